# awareness.pxi: Lifeguard's local health score (protocol §17). 0 is healthy; each step up makes
# this node probe more slowly, for it may be the slow one. What changes it is decided in probe.pxi.

cdef struct awareness_t:
    int32_t score
    int32_t limit               # AwarenessMaxMultiplier; the score stays in [0, limit - 1]


cdef inline void awareness_init(awareness_t* self, int32_t limit) noexcept nogil:
    self.score = 0
    self.limit = max(1, limit)


cdef inline void awareness_apply(awareness_t* self, int32_t delta) noexcept nogil:
    """Add `delta` and clamp. The sum cannot overflow: deltas are a few helpers at most."""
    self.score = min(max(self.score + delta, 0), self.limit - 1)


cdef inline int64_t awareness_scale(const awareness_t* self, int64_t duration_ns) noexcept nogil:
    return duration_ns * (self.score + 1)
