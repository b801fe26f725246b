# happenings.pxi: what is going to happen, in the order of time and, at one time, of planning.

cdef enum HappeningKind:
    HAPPENS_ARRIVAL             # a datagram reaches an address
    HAPPENS_WAKE                # a node's next deadline
    HAPPENS_THAW                # a pause is over
    HAPPENS_SERVE               # a node that was paused or busy takes the next of what waits
    HAPPENS_DIAL                # of a stream: the other side is asked
    HAPPENS_ACCEPTED
    HAPPENS_REFUSED
    HAPPENS_BYTES
    HAPPENS_END                 # the other side sends no more
    HAPPENS_RESET
    HAPPENS_TIMED_OUT           # what this side sent was never acknowledged
    HAPPENS_RETRY               # a stream's segment is sent again, by the system

# One datagram, or a piece of a stream, on its way; its bytes follow the struct.
cdef struct parcel_t:
    addr_t source
    uint32_t len

cdef struct happening_t:
    int64_t at
    uint64_t serial
    parcel_t* parcel            # owned, or NULL
    uint32_t node
    uint32_t pipe
    uint8_t kind
    uint8_t end                 # of the pipe: where it happens

cdef struct queued_t:           # what waits in a node's socket
    queued_t* next
    happening_t item

cdef struct inbox_t:            # oldest first
    queued_t* first
    queued_t* last

cdef struct segment_t:          # what one end of a stream has still to bring over to the other
    segment_t* next
    parcel_t* parcel            # owned, or NULL
    int64_t leaves              # not sooner
    uint8_t kind

cdef struct heap_t:             # four children a node: shallower than two, and they share lines
    happening_t* items
    uint32_t count
    uint32_t capacity
    uint64_t serial


cdef inline uint8_t* parcel_bytes(parcel_t* parcel) noexcept nogil:
    return <uint8_t*>parcel + sizeof(parcel_t)


cdef parcel_t* parcel_new(const uint8_t* data, uint32_t size, const addr_t* source) noexcept nogil:
    """A copy; NULL without memory."""
    cdef parcel_t* parcel = <parcel_t*>malloc(sizeof(parcel_t) + size)
    if parcel != NULL:
        parcel.source = source[0]
        parcel.len = size
        if size:
            memcpy(parcel_bytes(parcel), data, size)
    return parcel


cdef inline bint sooner(const happening_t* a, const happening_t* b) noexcept nogil:
    return a.at < b.at or (a.at == b.at and a.serial < b.serial)


cdef bint heap_push(heap_t* heap, happening_t* item) noexcept nogil:
    """Plans something; False without memory. Its serial is set here."""
    cdef uint32_t at = heap.count, parent, capacity
    cdef happening_t* items
    if heap.count == heap.capacity:
        capacity = max(<uint32_t>1024, 2 * heap.capacity)
        items = <happening_t*>realloc(heap.items, capacity * sizeof(happening_t))
        if items == NULL:
            return False
        heap.items = items
        heap.capacity = capacity
    item.serial = heap.serial
    heap.serial += 1
    heap.count += 1
    while at:
        parent = (at - 1) >> 2
        if not sooner(item, &heap.items[parent]):
            break
        heap.items[at] = heap.items[parent]
        at = parent
    heap.items[at] = item[0]
    return True


cdef void heap_pop(heap_t* heap, happening_t* out) noexcept nogil:
    """Takes the next thing to happen; there must be one."""
    cdef happening_t* items = heap.items
    cdef happening_t* last
    cdef uint32_t at = 0, child, best, end
    out[0] = items[0]
    heap.count -= 1
    last = &items[heap.count]
    while True:
        child = 4 * at + 1
        if child >= heap.count:
            break
        best = child
        end = min(child + 4, heap.count)
        child += 1
        while child < end:
            if sooner(&items[child], &items[best]):
                best = child
            child += 1
        if not sooner(&items[best], last):
            break
        items[at] = items[best]
        at = best
    items[at] = last[0]


cdef void heap_free(heap_t* heap) noexcept nogil:
    cdef uint32_t at
    for at in range(heap.count):
        free(heap.items[at].parcel)
    free(heap.items)
    memset(heap, 0, sizeof(heap_t))
