# dedup.pxi: what was seen at which Lamport time: the ring behind user events, and behind queries
# (Serf §10, §11.3). It knows keys of 64 bits, not what they stand for.
#
# A ring has a slot for each of the last so many times; a time takes the slot of an older one. What
# a slot remembers is bounded, so a flood of one time is refused instead of kept.

cdef enum DedupVerdict:
    DEDUP_NEW
    DEDUP_OLD                   # before the ring, or before the least time that counts
    DEDUP_SEEN
    DEDUP_FULL                  # too many of that time, or no memory

cdef struct moment_t:
    uint64_t ltime
    uint32_t count              # keys; 0: the slot is empty
    uint32_t capacity
    uint64_t* keys
    buffer_t kept               # what the owner wants to find again
    uint32_t kept_count

cdef struct dedup_t:
    moment_t* ring
    uint32_t size
    uint64_t minimum            # older times are old whatever the clock says
    size_t kept_bytes           # of all slots


cdef bint dedup_init(dedup_t* self, uint32_t size) noexcept nogil:
    memset(self, 0, sizeof(dedup_t))
    self.ring = <moment_t*>calloc(size, sizeof(moment_t))
    self.size = size if self.ring != NULL else 0
    return self.ring != NULL


cdef void dedup_free(dedup_t* self) noexcept nogil:
    cdef uint32_t i
    for i in range(self.size):
        free(self.ring[i].keys)
        buffer_free(&self.ring[i].kept)
    free(self.ring)
    memset(self, 0, sizeof(dedup_t))


cdef void moment_restart(dedup_t* self, moment_t* moment, uint64_t ltime) noexcept nogil:
    """Give the slot to another time; the memory for a few keys stays."""
    self.kept_bytes -= moment.kept.len
    buffer_free(&moment.kept)
    moment.kept_count = 0
    moment.count = 0
    moment.ltime = ltime


cdef bint moment_has(const moment_t* moment, uint64_t key) noexcept nogil:
    cdef uint32_t i
    for i in range(moment.count):
        if moment.keys[i] == key:
            return True
    return False


cdef bint moment_add(moment_t* moment, uint64_t key) noexcept nogil:
    cdef uint32_t capacity = moment.capacity
    cdef uint64_t* keys
    if moment.count == MOMENT_MAX:
        return False
    if moment.count == capacity:
        capacity = 2 * capacity if capacity else 2
        keys = <uint64_t*>realloc(moment.keys, capacity * sizeof(uint64_t))
        if keys == NULL:
            return False
        moment.keys = keys
        moment.capacity = capacity
    moment.keys[moment.count] = key
    moment.count += 1
    return True


cdef int dedup_see(dedup_t* self, uint64_t clock, uint64_t ltime, uint64_t key,
                   moment_t** at) noexcept nogil:
    """The verdict on something of time `ltime`, the clock having witnessed that; a new one is
    remembered, and `at` is then its slot."""
    cdef moment_t* moment = &self.ring[ltime % self.size]
    if ltime < self.minimum or (clock > self.size and ltime < clock - self.size):
        return DEDUP_OLD
    if moment.count == 0 or moment.ltime != ltime:
        moment_restart(self, moment, ltime)
    elif moment_has(moment, key):
        return DEDUP_SEEN
    if not moment_add(moment, key):
        return DEDUP_FULL
    at[0] = moment
    return DEDUP_NEW


cdef bint dedup_keep(dedup_t* self, moment_t* moment, slice_t bytes) noexcept nogil:
    """Keep some bytes with a slot, as long as there is room for them."""
    if self.kept_bytes + bytes.len > EVENTS_KEPT_BYTES_MAX or not buffer_append(
            &moment.kept, bytes.ptr, bytes.len):
        return False
    self.kept_bytes += bytes.len
    moment.kept_count += 1
    return True
