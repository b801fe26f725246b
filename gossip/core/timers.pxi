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
    TIMER_KINDS

cdef struct timer_t:
    int64_t deadline            # ns
    uint64_t rank               # kind << 56 | sequence
    uint64_t ref                # the caller's: a row, a stream, a request
    int32_t handle
    uint8_t kind

cdef struct timers_t:
    timer_t* heap
    int32_t* where              # handle -> place in the heap; of a free handle: the next free one
    int32_t count
    int32_t capacity
    int32_t free_handle         # -1: none
    uint64_t sequence


cdef void timers_init(timers_t* self) noexcept nogil:
    memset(self, 0, sizeof(timers_t))
    self.free_handle = -1


cdef void timers_free(timers_t* self) noexcept nogil:
    free(self.heap)
    free(self.where)
    timers_init(self)


cdef bint timers_grow(timers_t* self) noexcept nogil:
    cdef int32_t capacity = max(16, 2 * self.capacity)
    cdef timer_t* heap
    cdef int32_t* where
    cdef int32_t handle
    if self.capacity > (1 << 29):
        return False
    heap = <timer_t*>realloc(self.heap, capacity * sizeof(timer_t))
    if heap == NULL:
        return False
    self.heap = heap
    where = <int32_t*>realloc(self.where, capacity * sizeof(int32_t))
    if where == NULL:
        return False
    self.where = where
    for handle in range(capacity - 1, self.capacity - 1, -1):
        where[handle] = self.free_handle
        self.free_handle = handle
    self.capacity = capacity
    return True


cdef inline bint timer_before(const timer_t* a, const timer_t* b) noexcept nogil:
    return a.deadline < b.deadline or (a.deadline == b.deadline and a.rank < b.rank)


cdef inline void timers_place(timers_t* self, int32_t at, const timer_t* timer) noexcept nogil:
    self.heap[at] = timer[0]
    self.where[timer.handle] = at


cdef void timers_settle(timers_t* self, int32_t at, timer_t timer) noexcept nogil:
    """Put `timer` where it belongs, given that the place `at` is empty."""
    cdef int32_t parent, child
    while at > 0:
        parent = (at - 1) >> 1
        if not timer_before(&timer, &self.heap[parent]):
            break
        timers_place(self, at, &self.heap[parent])
        at = parent
    while True:
        child = 2 * at + 1
        if child >= self.count:
            break
        if child + 1 < self.count and timer_before(&self.heap[child + 1], &self.heap[child]):
            child += 1
        if not timer_before(&self.heap[child], &timer):
            break
        timers_place(self, at, &self.heap[child])
        at = child
    timers_place(self, at, &timer)


cdef int32_t timers_arm(timers_t* self, uint8_t kind, uint64_t ref,
                        int64_t deadline) noexcept nogil:
    """A new timer; its handle, or -1 when there is no memory (nothing has changed then)."""
    cdef timer_t timer
    if self.free_handle < 0 and not timers_grow(self):
        return -1
    timer.handle = self.free_handle
    self.free_handle = self.where[timer.handle]
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
    timer = self.heap[self.where[handle]]
    timer.deadline = deadline
    timer.rank = (<uint64_t>timer.kind << 56) | self.sequence
    self.sequence += 1
    timers_settle(self, self.where[handle], timer)


cdef void timers_cancel(timers_t* self, int32_t handle) noexcept nogil:
    """Forget an armed timer and free its handle; handle -1 does nothing."""
    cdef int32_t hole
    if handle < 0:
        return
    hole = self.where[handle]
    self.where[handle] = self.free_handle
    self.free_handle = handle
    self.count -= 1
    if hole != self.count:
        timers_settle(self, hole, self.heap[self.count])


cdef inline int64_t timers_next(const timers_t* self) noexcept nogil:
    """The earliest deadline, INT64_MAX when no timer is armed."""
    return self.heap[0].deadline if self.count else INT64_MAX


cdef inline int timers_next_kind(const timers_t* self) noexcept nogil:
    """The kind of the timer that fires next, -1 when none is armed."""
    return self.heap[0].kind if self.count else -1


cdef bint timers_pop_due(timers_t* self, int64_t now, timer_t* out) noexcept nogil:
    """Take the next timer with a deadline <= now; its handle is free afterwards."""
    if self.count == 0 or self.heap[0].deadline > now:
        return False
    out[0] = self.heap[0]
    timers_cancel(self, out.handle)
    return True
