# timers.pxi: one binary heap of deadlines. It reads no clock and calls nobody: due timers are
# popped by the one who was told the time.
#
# Order of firing: deadline, then kind (the order of the enum), then the order of arming; so a run
# is reproducible whatever the heap looks like inside. A handle names a timer from arm to pop or
# cancel, however often it moves in the heap.

cdef enum TimerKind:
    TIMER_PROBE_TIMEOUT = 0     # the direct ack did not come: go to the indirect stage
    TIMER_PROBE_DEADLINE        # the whole probe is over
    TIMER_PROBE_INTERVAL        # the next probe is due
    TIMER_SUSPICION
    TIMER_GOSSIP
    TIMER_PUSH_PULL
    TIMER_REAP
    TIMER_RELAY
    TIMER_REQUEST
    TIMER_STREAM
    TIMER_QUEUE_CHECK           # these, and TIMER_REAP, are the Serf layer's
    TIMER_QUERY
    TIMER_PRUNE
    TIMER_LEAVE
    TIMER_FORCED_LEAVE
    TIMER_HEAL                  # a lost member may be called
    TIMER_HEALED                # nobody came back for a while
    TIMER_KINDS

cdef struct timer_t:
    int64_t deadline            # ns
    uint64_t rank               # kind << 56 | sequence
    uint64_t ref                # the caller's: a row, a stream, a request
    int32_t handle
    uint8_t kind

cdef struct timers_t:
    pages_t heap                # timer_t
    pages_t where               # int32_t: place of each handle; of a free one: the next free one
    int32_t count
    int32_t handles             # ever given out
    int32_t free_handle         # -1: none
    uint64_t sequence


cdef void timers_init(timers_t* self) noexcept nogil:
    memset(self, 0, sizeof(timers_t))
    pages_init(&self.heap, sizeof(timer_t))
    pages_init(&self.where, sizeof(int32_t))
    self.free_handle = -1


cdef inline timer_t* timer_at(const timers_t* self, uint32_t at) noexcept nogil:
    """The timer at a place of the heap."""
    return &(<timer_t*>page_of(&self.heap, at))[in_page(at)]


cdef inline int32_t* place_of(const timers_t* self, uint32_t handle) noexcept nogil:
    return &(<int32_t*>page_of(&self.where, handle))[in_page(handle)]


cdef void timers_free(timers_t* self) noexcept nogil:
    pages_free(&self.heap)
    pages_free(&self.where)
    timers_init(self)


cdef bint timers_grow(timers_t* self) noexcept nogil:
    """Room for more handles, and for as many timers: the heap's pages are had first."""
    return ((self.heap.count > self.where.count or pages_grow(&self.heap))
            and pages_grow(&self.where))


cdef inline bint timer_before(const timer_t* a, const timer_t* b) noexcept nogil:
    return a.deadline < b.deadline or (a.deadline == b.deadline and a.rank < b.rank)


cdef inline void timers_place(timers_t* self, int32_t at, const timer_t* timer) noexcept nogil:
    timer_at(self, at)[0] = timer[0]
    place_of(self, timer.handle)[0] = at


cdef void timers_settle(timers_t* self, int32_t at, timer_t timer) noexcept nogil:
    """Put `timer` where it belongs, given that the place `at` is empty."""
    cdef int32_t parent, child
    while at > 0:
        parent = (at - 1) >> 1
        if not timer_before(&timer, timer_at(self, parent)):
            break
        timers_place(self, at, timer_at(self, parent))
        at = parent
    while True:
        child = 2 * at + 1
        if child >= self.count:
            break
        if child + 1 < self.count and timer_before(
                timer_at(self, child + 1), timer_at(self, child)):
            child += 1
        if not timer_before(timer_at(self, child), &timer):
            break
        timers_place(self, at, timer_at(self, child))
        at = child
    timers_place(self, at, &timer)


cdef int32_t timers_arm(timers_t* self, uint8_t kind, uint64_t ref,
                        int64_t deadline) noexcept nogil:
    """A new timer; its handle, or -1 when there is no memory (nothing has changed then)."""
    cdef timer_t timer
    if self.free_handle >= 0:
        timer.handle = self.free_handle
        self.free_handle = place_of(self, timer.handle)[0]
    elif <uint32_t>self.handles < self.where.count or timers_grow(self):
        timer.handle = self.handles
        self.handles += 1
    else:
        return -1
    timer.deadline = deadline
    timer.kind = kind
    timer.ref = ref
    timer.rank = (<uint64_t>kind << 56) | self.sequence
    self.sequence += 1
    self.count += 1
    timers_settle(self, self.count - 1, timer)
    return timer.handle


cdef void timers_rearm(timers_t* self, int32_t handle, int64_t deadline) noexcept nogil:
    """Move an armed timer to another deadline, as if armed just now; handle -1 does nothing."""
    cdef timer_t timer
    if handle < 0:
        return
    timer = timer_at(self, place_of(self, handle)[0])[0]
    timer.deadline = deadline
    timer.rank = (<uint64_t>timer.kind << 56) | self.sequence
    self.sequence += 1
    timers_settle(self, place_of(self, handle)[0], timer)


cdef void timers_cancel(timers_t* self, int32_t handle) noexcept nogil:
    """Forget an armed timer and free its handle; handle -1 does nothing."""
    cdef int32_t hole
    if handle < 0:
        return
    hole = place_of(self, handle)[0]
    place_of(self, handle)[0] = self.free_handle
    self.free_handle = handle
    self.count -= 1
    if hole != self.count:
        timers_settle(self, hole, timer_at(self, self.count)[0])


cdef inline int64_t timers_next(const timers_t* self) noexcept nogil:
    """The earliest deadline, INT64_MAX when no timer is armed."""
    return timer_at(self, 0).deadline if self.count else INT64_MAX


cdef inline int timers_next_kind(const timers_t* self) noexcept nogil:
    """The kind of the timer that fires next, -1 when none is armed."""
    return timer_at(self, 0).kind if self.count else -1


cdef bint timers_pop_due(timers_t* self, int64_t now, timer_t* out) noexcept nogil:
    """Take the next timer with a deadline <= now; its handle is free afterwards."""
    if self.count == 0 or timer_at(self, 0).deadline > now:
        return False
    out[0] = timer_at(self, 0)[0]
    timers_cancel(self, out.handle)
    return True
