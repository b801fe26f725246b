# suspicion.pxi: suspicion timers and the formulas of time (protocol §14, §18, §20). Not the rules
# of who becomes suspect (merge.pxi), nor the heap the deadlines stand in (timers.pxi).

from libc.math cimport ceil, floor, frexp, log

cdef extern from *:
    """
    #define GOSSIP_NONE UINT32_MAX
    """
    const uint32_t NONE "GOSSIP_NONE"       # no row, no suspicion, no place

cdef double LOG10_OF_2 = 0.30102999566398119521
cdef double LOG2_OF_E = 1.44269504088896340736
cdef int64_t SECOND_NS = 1000000000
cdef int64_t MILLISECOND_NS = 1000000


cdef double go_log2(double x) noexcept nogil:
    """log2 rounded as memberlist's is: log10(1000) comes out below 3, and the truncation of
    `suspicion_min_ns` makes that visible."""
    cdef int exponent
    cdef double fraction = frexp(x, &exponent)
    if fraction == 0.5:
        return exponent - 1
    return log(fraction) * LOG2_OF_E + exponent


cdef double go_log10(double x) noexcept nogil:
    return go_log2(x) * LOG10_OF_2


cdef double seconds_of(int64_t duration_ns) noexcept nogil:
    return <double>(duration_ns // SECOND_NS) + <double>(duration_ns % SECOND_NS) / 1e9


cpdef int32_t retransmit_limit(int32_t mult, int64_t n) noexcept nogil:
    """How often a broadcast is sent in a pool of n nodes (protocol §14)."""
    return mult * <int32_t>ceil(go_log10(<double>(n + 1)))


cpdef int64_t push_pull_scale_ns(int64_t interval_ns, int64_t n) noexcept nogil:
    """The wait between push/pulls in a pool of n nodes (protocol §20)."""
    if n <= 32:
        return interval_ns
    return interval_ns * (<int64_t>ceil(go_log2(<double>n) - 5.0) + 1)


cpdef int32_t suspicion_k(int32_t mult, int64_t n) noexcept nogil:
    """How many confirmations bring the suspicion down to its minimum (protocol §18)."""
    return mult - 2 if n - 2 >= mult - 2 else 0


cpdef int64_t suspicion_min_ns(int32_t mult, int64_t n, int64_t interval_ns) noexcept nogil:
    """The shortest time from suspect to dead in a pool of n nodes (protocol §18)."""
    cdef double scale = max(1.0, go_log10(<double>max(n, 1)))
    return mult * <int64_t>(1000.0 * scale) * interval_ns // 1000


cpdef int64_t suspicion_timeout_ns(
    int32_t k, int32_t confirmations, int64_t min_ns, int64_t max_ns
) noexcept nogil:
    """From the start of the suspicion to its end, after so many confirmations: whole
    milliseconds, computed in float seconds (protocol §18)."""
    cdef double low, high, fraction
    if k < 1:
        return min_ns
    low = seconds_of(min_ns)
    high = seconds_of(max_ns)
    fraction = log(confirmations + 1.0) / log(k + 1.0)
    return max(min_ns, <int64_t>floor(1000.0 * (high - fraction * (high - low))) * MILLISECOND_NS)


cpdef int64_t suspicion_remaining_ns(
    int32_t k, int32_t confirmations, int64_t elapsed_ns, int64_t min_ns, int64_t max_ns
) noexcept nogil:
    """What is left of the suspicion; zero or negative: it ends at once."""
    return suspicion_timeout_ns(k, confirmations, min_ns, max_ns) - elapsed_ns


cdef struct suspicion_t:
    int64_t started_ns
    int64_t min_ns
    int64_t max_ns
    uint8_t* accuser            # owned: who suspected first, so that a failure can say why
    uint32_t accuser_len
    uint32_t row                # of a free entry: the next free one
    int32_t timer
    uint8_t k
    uint8_t confirmations
    # Hashes of the first accuser's name and of those who confirmed. A collision makes one
    # confirmation not count, and the suspicion last longer: the safe side.
    uint64_t[1 + SUSPICION_CONFIRMATIONS_MAX] accusers

cdef struct suspicions_t:
    pages_t entries             # suspicion_t
    uint32_t used               # entries ever used
    uint32_t count
    uint32_t free_entry


cdef void suspicions_init(suspicions_t* self) noexcept nogil:
    memset(self, 0, sizeof(suspicions_t))
    pages_init(&self.entries, sizeof(suspicion_t))
    self.free_entry = NONE


cdef inline suspicion_t* suspicion_at(suspicions_t* self, uint32_t index) noexcept nogil:
    """The entry; it stays where it is until suspicion_end."""
    return &(<suspicion_t*>page_of(&self.entries, index))[in_page(index)]


cdef void suspicions_free(suspicions_t* self) noexcept nogil:
    cdef uint32_t index
    for index in range(self.used):
        free(suspicion_at(self, index).accuser)
    pages_free(&self.entries)
    suspicions_init(self)


cdef uint32_t suspicion_start(
    suspicions_t* self, uint32_t row, int32_t k, int64_t min_ns, int64_t max_ns,
    slice_t from_, uint64_t from_hash, int64_t now,
) noexcept nogil:
    """Open a suspicion about `row`; its index, NONE without memory. The accuser cannot confirm."""
    cdef uint32_t index
    cdef uint8_t* accuser
    cdef suspicion_t* entry
    # Nothing bounds a From on the wire; what is kept of it is for people to read.
    cdef uint32_t accuser_len = min(from_.len, <uint32_t>NAME_BYTES_MAX)
    if (self.free_entry == NONE and self.used == self.entries.count
            and not pages_grow(&self.entries)):
        return NONE
    accuser = <uint8_t*>malloc(accuser_len + 1)
    if accuser == NULL:
        return NONE
    if accuser_len:
        memcpy(accuser, from_.ptr, accuser_len)
    if self.free_entry != NONE:
        index = self.free_entry
        self.free_entry = suspicion_at(self, index).row
    else:
        index = self.used
        self.used += 1
    entry = suspicion_at(self, index)
    self.count += 1
    entry.started_ns = now
    entry.min_ns = min_ns
    entry.max_ns = max_ns
    entry.accuser = accuser
    entry.accuser_len = accuser_len
    entry.row = row
    entry.timer = -1
    entry.k = <uint8_t>min(max(k, 0), <int32_t>SUSPICION_CONFIRMATIONS_MAX)
    entry.confirmations = 0
    entry.accusers[0] = from_hash
    return index


cdef inline int64_t suspicion_deadline(const suspicion_t* self) noexcept nogil:
    """When the suspicion ends: after max_ns, or min_ns where nobody could confirm; then sooner
    with each confirmation."""
    if self.k == 0:
        return self.started_ns + self.min_ns
    if self.confirmations == 0:
        return self.started_ns + self.max_ns
    return self.started_ns + suspicion_timeout_ns(
        self.k, self.confirmations, self.min_ns, self.max_ns)


cdef inline bint suspicion_wants(const suspicion_t* self) noexcept nogil:
    """Whether one more accuser would still count."""
    return self.confirmations < self.k


cdef bint suspicion_confirm(
    suspicion_t* self, uint64_t from_hash, int64_t now, int64_t* deadline
) noexcept nogil:
    """Count one more accuser, if new and still wanted. `deadline` is set in any case, and lies
    never before `now`: a suspicion that has waited long enough ends at once."""
    cdef int index
    cdef bint counted = suspicion_wants(self)
    for index in range(self.confirmations + 1):
        if self.accusers[index] == from_hash:
            counted = False
    if counted:
        self.confirmations += 1
        self.accusers[self.confirmations] = from_hash
    deadline[0] = max(now, suspicion_deadline(self))
    return counted


cdef inline slice_t suspicion_accuser(const suspicion_t* self) noexcept nogil:
    cdef slice_t name
    name.ptr = self.accuser
    name.len = self.accuser_len
    return name


cdef void suspicion_end(suspicions_t* self, uint32_t index) noexcept nogil:
    """Close a suspicion; its timer is the caller's to cancel. NONE does nothing."""
    cdef suspicion_t* entry
    if index == NONE:
        return
    entry = suspicion_at(self, index)
    free(entry.accuser)
    entry.accuser = NULL
    entry.row = self.free_entry
    self.free_entry = index
    self.count -= 1
