# lamport.pxi: Lamport clocks (Serf §6). Three of them belong to a Serf node; this knows one.
#
# A number that would bring a clock near its end is refused, where the wire's other implementation
# would wrap to nought: after that nothing new could be told from old. Whoever is refused is told.

cdef inline bint lamport_believable(uint64_t clock, uint64_t seen) noexcept nogil:
    if seen < LAMPORT_CEILING or seen <= clock:
        return True
    return seen - clock <= LAMPORT_STEP_MAX and seen != UINT64_MAX


cdef inline bint lamport_witness(uint64_t* clock, uint64_t seen) noexcept nogil:
    """Somebody's time: the clock stands behind it afterwards. False: not believable, no change."""
    if not lamport_believable(clock[0], seen):
        return False
    if seen >= clock[0]:
        clock[0] = seen + 1
    return True


@cython.final
cdef class LamportClock:
    """One clock, for the traces of the protocol."""

    cdef uint64_t clock

    def __cinit__(self, uint64_t time=0):
        self.clock = time

    def time(self) -> int:
        return self.clock

    def increment(self) -> int:
        self.clock += 1
        return self.clock

    def witness(self, uint64_t seen) -> bool:
        """Whether the time was believable."""
        return bool(lamport_witness(&self.clock, seen))
