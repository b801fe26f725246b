# buffer.pxi: a growable run of bytes.
#
# For streams and scratch space; nothing on the packet path grows. A failure to get memory is a
# False result and leaves the buffer as it was. Large buffers are pages of the system's: they grow
# by moving pages, where malloc may copy megabytes.

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* at, size_t n, int protection, int flags, int fd, int64_t offset)
    void* mremap(void* at, size_t old, size_t new, int flags)
    int munmap(void* at, size_t n)
    void* MAP_FAILED
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MREMAP_MAYMOVE

cdef enum:
    BUFFER_MAPPED = 1 << 18     # from this size on


cdef inline void buffer_init(buffer_t* b) noexcept nogil:
    b.data = NULL
    b.len = 0
    b.cap = 0


cdef inline void buffer_clear(buffer_t* b) noexcept nogil:
    """Forget the bytes, keep the memory."""
    b.len = 0


cdef void buffer_free(buffer_t* b) noexcept nogil:
    if b.cap >= BUFFER_MAPPED:
        munmap(b.data, b.cap)
    else:
        free(b.data)
    buffer_init(b)


cdef uint8_t* buffer_moved(buffer_t* b, size_t cap) noexcept nogil:
    """The bytes in memory of another size; NULL, and nothing has changed, without memory."""
    cdef void* data
    if cap < BUFFER_MAPPED:
        return <uint8_t*>realloc(b.data, cap)
    if b.cap >= BUFFER_MAPPED:
        data = mremap(b.data, b.cap, cap, MREMAP_MAYMOVE)
        return NULL if data == MAP_FAILED else <uint8_t*>data
    data = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if data == MAP_FAILED:
        return NULL
    if b.len:
        memcpy(data, b.data, b.len)
    free(b.data)
    return <uint8_t*>data


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
    data = buffer_moved(b, cap)
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


# -- bytes that several hold

cdef struct blob_t:
    uint32_t refs
    uint32_t len
    # The bytes follow.


cdef inline slice_t blob_slice(const blob_t* blob) noexcept nogil:
    """The bytes; NULL has none."""
    if blob == NULL:
        return slice_nil()
    return slice_of(<const uint8_t*>blob + sizeof(blob_t), blob.len)


cdef blob_t* blob_new(slice_t head, slice_t tail) noexcept nogil:
    """A copy of both, one behind the other, with one holder; NULL without memory."""
    cdef size_t n = <size_t>head.len + tail.len
    cdef blob_t* blob = <blob_t*>malloc(sizeof(blob_t) + n)
    cdef uint8_t* to = <uint8_t*>blob + sizeof(blob_t)
    if blob == NULL or n > UINT32_MAX:
        free(blob)
        return NULL
    blob.refs = 1
    blob.len = <uint32_t>n
    if head.len:
        memcpy(to, head.ptr, head.len)
    if tail.len:
        memcpy(to + head.len, tail.ptr, tail.len)
    return blob


cdef inline blob_t* blob_retain(blob_t* blob) noexcept nogil:
    if blob != NULL:
        blob.refs += 1
    return blob


cdef void blob_release(blob_t* blob) noexcept nogil:
    if blob != NULL:
        blob.refs -= 1
        if blob.refs == 0:
            free(blob)
