# large.pxi: where large buffers go. The system takes and gives pages slowly: a table of 10,000
# costs more in page faults than in merging. So the last few large buffers are kept for the next
# stream that needs one, and what cannot be kept is given back bit by bit: that takes its time.
# Cores that share their scratch share these too: in a simulation of thousands, two large buffers
# for each would be most of the memory, and nobody waits while pages are given back.

cdef struct trash_t:           # a large buffer nobody needs, linked through its own bytes
    trash_t* next
    size_t bytes

cdef struct large_t:
    uint32_t owners
    bint shared                # by several cores
    buffer_t[SPARE_BUFFERS] spares
    trash_t* trash


cdef large_t* large_new() noexcept nogil:
    """None kept yet, one owner; NULL without memory."""
    cdef large_t* large = <large_t*>calloc(1, sizeof(large_t))
    if large != NULL:
        large.owners = 1
    return large


cdef large_t* large_retain(large_t* self, bint shared) noexcept nogil:
    """One more owner; `shared`: it is not the only core."""
    self.owners += 1
    self.shared = self.shared or shared
    return self


cdef void large_discard(large_t* self, buffer_t* b) noexcept nogil:
    """Free a buffer of any size."""
    cdef trash_t* trash
    cdef size_t bytes = b.cap
    cdef int i
    if bytes < BUFFER_MAPPED:
        buffer_free(b)
        return
    for i in range(SPARE_BUFFERS):
        if self.spares[i].cap == 0 and bytes <= SPARE_BYTES_MAX:
            self.spares[i] = b[0]
            buffer_init(b)
            return
    if self.shared:
        buffer_free(b)
        return
    trash = <trash_t*>b.data
    trash.next = self.trash
    trash.bytes = bytes
    self.trash = trash
    buffer_init(b)


cdef void large_expect(large_t* self, buffer_t* b, size_t extra) noexcept nogil:
    """A buffer takes `extra` more bytes soon: if that makes it a large one, let it be a spare."""
    cdef buffer_t spare
    cdef int i
    if b.cap >= BUFFER_MAPPED or b.len + extra <= BUFFER_MAPPED // 2:
        return
    for i in range(SPARE_BUFFERS):
        spare = self.spares[i]
        if spare.cap:
            buffer_init(&self.spares[i])
            buffer_clear(&spare)
            buffer_append(&spare, b.data, b.len)      # it has the room
            buffer_free(b)
            b[0] = spare
            return


cdef void large_give_back(large_t* self) noexcept nogil:
    """Give a piece of what was discarded back to the system, from its end."""
    cdef trash_t* trash = self.trash
    cdef size_t n = min(trash.bytes, <size_t>RELEASE_BYTES)
    cdef size_t left = trash.bytes - n
    trash.bytes = left
    if left == 0:
        self.trash = trash.next
    munmap(<uint8_t*>trash + left, n)


cdef void large_release(large_t* self) noexcept nogil:
    """One owner less; the last one frees all. NULL is fine."""
    cdef int i
    if self == NULL:
        return
    self.owners -= 1
    if self.owners:
        return
    while self.trash != NULL:
        large_give_back(self)
    for i in range(SPARE_BUFFERS):
        buffer_free(&self.spares[i])
    free(self)
