# map.pxi: a hash map whose entries are embedded in what they stand for. Linear hashing: it grows
# by one bucket an entry, so no insertion is ever slower than another by the size of the map.
#
# The first `low` buckets are where a map of `low` buckets would have them; bucket `low + i` holds
# what was split off bucket `i`. It never shrinks. Equality is the caller's to check.

cdef extern from *:
    """
    #define gossip_expect(at) __builtin_prefetch(at)
    """
    void expect "gossip_expect"(const void* at) noexcept nogil    # NULL is fine

cdef struct entry_t:
    entry_t* next
    uint64_t hash

cdef struct map_t:
    pages_t heads               # entry_t*: the first entry of each bucket
    uint32_t buckets
    uint32_t low                # a power of two: low <= buckets <= 2 * low
    uint32_t count


cdef inline void map_init(map_t* self) noexcept nogil:
    memset(self, 0, sizeof(map_t))
    pages_init(&self.heads, sizeof(entry_t*))


cdef inline void map_free(map_t* self) noexcept nogil:
    """Forget all entries; they are not touched."""
    pages_free(&self.heads)
    map_init(self)


cdef inline entry_t** map_head(const map_t* self, uint32_t bucket) noexcept nogil:
    return &(<entry_t**>page_of(&self.heads, bucket))[in_page(bucket)]


cdef inline entry_t** map_head_of(const map_t* self, uint64_t hash) noexcept nogil:
    cdef uint32_t bucket = <uint32_t>hash & (2 * self.low - 1)
    if bucket >= self.buckets:
        bucket -= self.low
    return map_head(self, bucket)


cdef inline entry_t* map_first(const map_t* self, uint64_t hash) noexcept nogil:
    """The first entry that may have this hash; further ones follow as `next`."""
    return map_head_of(self, hash)[0] if self.buckets else NULL


cdef inline void map_expect(const map_t* self, uint64_t hash) noexcept nogil:
    """Have the memory at hand that map_first will read."""
    if self.buckets:
        expect(map_head_of(self, hash))


cdef inline void map_expect_first(const map_t* self, uint64_t hash) noexcept nogil:
    """Have the entry at hand that map_first will give; after map_expect."""
    expect(map_first(self, hash))


cdef bint map_split(map_t* self) noexcept nogil:
    """One bucket more. Without memory the chains just grow longer."""
    cdef uint32_t made = self.buckets
    cdef entry_t** link
    cdef entry_t** head
    cdef entry_t* entry
    if made == self.heads.count and not pages_grow(&self.heads):
        return made > 0
    if made == 0:
        self.low = PAGE_ITEMS
        self.buckets = PAGE_ITEMS
        return True
    if made == 2 * self.low:
        self.low = made
    self.buckets += 1
    head = map_head(self, made)
    link = map_head(self, made - self.low)
    while link[0] != NULL:
        entry = link[0]
        if <uint32_t>entry.hash & (2 * self.low - 1) == made:
            link[0] = entry.next
            entry.next = head[0]
            head[0] = entry
        else:
            link = &entry.next
    return True


cdef inline bint map_reserve(map_t* self) noexcept nogil:
    """Room for one more entry; False without memory."""
    return self.count < self.buckets or map_split(self)


cdef inline void map_put(map_t* self, entry_t* entry) noexcept nogil:
    """Add an entry, its hash set, after map_reserve."""
    cdef entry_t** head = map_head_of(self, entry.hash)
    entry.next = head[0]
    head[0] = entry
    self.count += 1


cdef inline void map_drop(map_t* self, entry_t* entry) noexcept nogil:
    """Take out an entry that is in the map."""
    cdef entry_t** link = map_head_of(self, entry.hash)
    while link[0] != entry:
        link = &link[0].next
    link[0] = entry.next
    self.count -= 1
