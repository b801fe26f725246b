# buffer.pxi: a growable run of bytes.
#
# For streams and scratch space; nothing on the packet path grows. Memory comes from malloc; a
# failure to get it is a False result and leaves the buffer as it was.

cdef struct buffer_t:
    uint8_t* data
    size_t len
    size_t cap


cdef inline void buffer_init(buffer_t* b) noexcept nogil:
    b.data = NULL
    b.len = 0
    b.cap = 0


cdef inline void buffer_clear(buffer_t* b) noexcept nogil:
    """Forget the bytes, keep the memory."""
    b.len = 0


cdef void buffer_free(buffer_t* b) noexcept nogil:
    free(b.data)
    buffer_init(b)


cdef bint buffer_reserve(buffer_t* b, size_t extra) noexcept nogil:
    """Make room for `extra` more bytes; moves the data, so slices into it are void afterwards."""
    cdef size_t cap = b.cap
    cdef uint8_t* data
    if extra <= b.cap - b.len:
        return True
    if extra > (<size_t>-1 >> 1) - b.len:
        return False
    if cap < 64:
        cap = 64
    while cap < b.len + extra:
        cap *= 2
    data = <uint8_t*>realloc(b.data, cap)
    if data == NULL:
        return False
    b.data = data
    b.cap = cap
    return True


cdef inline uint8_t* buffer_end(buffer_t* b) noexcept nogil:
    """Where the next byte goes."""
    return b.data + b.len if b.len else b.data


cdef bint buffer_append(buffer_t* b, const uint8_t* data, size_t n) noexcept nogil:
    if n == 0:
        return True
    if not buffer_reserve(b, n):
        return False
    memcpy(buffer_end(b), data, n)
    b.len += n
    return True


cdef inline slice_t buffer_slice(const buffer_t* b) noexcept nogil:
    return slice_of(b.data, b.len)
