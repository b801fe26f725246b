# links.pxi: what is special about the way from one node to one other. A map that only grows, until
# all of it is cleared.

cdef struct link_t:
    uint64_t key                # source << 32 | target, plus 1; 0: free
    double loss
    int64_t delay_ns            # beside what the zones say
    int64_t clogged_until       # what is sent before waits until then
    bint cut_datagrams
    bint cut_streams

cdef struct links_t:
    link_t* slots
    uint32_t capacity           # a power of two
    uint32_t count


cdef inline uint64_t link_key(uint32_t source, uint32_t target) noexcept nogil:
    return ((<uint64_t>source << 32) | target) + 1


cdef link_t* link_slot(const links_t* links, uint64_t key) noexcept nogil:
    """Where the key is or would be put; there is always a free slot."""
    cdef uint32_t at = <uint32_t>((key * <uint64_t>0x9E3779B97F4A7C15) >> 32)
    while True:
        at &= links.capacity - 1
        if links.slots[at].key == key or links.slots[at].key == 0:
            return &links.slots[at]
        at += 1


cdef inline link_t* link_find(const links_t* links, uint32_t source,
                              uint32_t target) noexcept nogil:
    """The link, or NULL where nothing is special."""
    cdef link_t* link
    if links.count == 0:
        return NULL
    link = link_slot(links, link_key(source, target))
    return link if link.key else NULL


cdef bint links_grow(links_t* links) noexcept nogil:
    cdef links_t grown
    cdef uint32_t at
    grown.capacity = max(<uint32_t>64, 2 * links.capacity)
    grown.count = links.count
    grown.slots = <link_t*>calloc(grown.capacity, sizeof(link_t))
    if grown.slots == NULL:
        return False
    for at in range(links.capacity):
        if links.slots[at].key:
            link_slot(&grown, links.slots[at].key)[0] = links.slots[at]
    free(links.slots)
    links[0] = grown
    return True


cdef link_t* link_make(links_t* links, uint32_t source, uint32_t target) noexcept nogil:
    """The link, made if need be; NULL without memory."""
    cdef link_t* link
    if 2 * links.count >= links.capacity and not links_grow(links):
        return NULL
    link = link_slot(links, link_key(source, target))
    if link.key == 0:
        link.key = link_key(source, target)
        links.count += 1
    return link


cdef void links_clear(links_t* links) noexcept nogil:
    free(links.slots)
    memset(links, 0, sizeof(links_t))
