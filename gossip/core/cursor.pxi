# cursor.pxi: bounded reading and writing of wire bytes.
#
# The only file with pointer arithmetic on them: a check stands before each advance. It knows
# nothing of msgpack or messages. Multi-byte numbers are big-endian, the wire's order.

cdef extern from *:
    """
    #if defined(__SANITIZE_ADDRESS__)
    #include <sanitizer/asan_interface.h>
    #define gossip_poison(p, n) __asan_poison_memory_region((p), (n))
    #define gossip_unpoison(p, n) __asan_unpoison_memory_region((p), (n))
    #else
    #define gossip_poison(p, n) ((void)(p), (void)(n))
    #define gossip_unpoison(p, n) ((void)(p), (void)(n))
    #endif
    """
    # Forbid and allow again the use of bytes; nothing at all in a build without the sanitizer.
    void gossip_poison(const void* at, size_t n) noexcept nogil
    void gossip_unpoison(const void* at, size_t n) noexcept nogil


cdef struct cursor_t:
    const uint8_t* ptr
    const uint8_t* end

cdef struct writer_t:
    uint8_t* base
    uint8_t* ptr
    uint8_t* end
    bint full               # something did not fit: what was written is not to be used


# -- slices

cdef inline slice_t slice_of(const uint8_t* ptr, size_t n) noexcept nogil:
    cdef slice_t out
    out.ptr = ptr
    out.len = <uint32_t>n
    return out


cdef inline slice_t slice_nil() noexcept nogil:
    return slice_of(NULL, 0)


cdef inline bint slice_equal(slice_t a, slice_t b) noexcept nogil:
    """Equal bytes; nil and empty are equal."""
    return a.len == b.len and (a.len == 0 or memcmp(a.ptr, b.ptr, a.len) == 0)


cdef inline uint32_t slice_offset(slice_t whole, slice_t part) noexcept nogil:
    """Where in the whole a part of it begins; 0 for an empty one."""
    return <uint32_t>(part.ptr - whole.ptr) if part.len else 0


cdef inline slice_t slice_from(slice_t s, uint32_t start) noexcept nogil:
    """What follows the first `start` bytes; empty when there are fewer."""
    if start >= s.len:
        start = s.len
    return slice_of(s.ptr + start if start else s.ptr, s.len - start)


cdef inline int slice_first(slice_t s) noexcept nogil:
    """The first byte, or -1."""
    return s.ptr[0] if s.len else -1


cdef inline uint8_t slice_at(slice_t s, uint32_t i) noexcept nogil:
    """Byte number `i`, which the caller knows is there."""
    return s.ptr[i]


cdef inline slice_t slice_tail(slice_t s, uint32_t n) noexcept nogil:
    """The last `n` bytes, or all when there are fewer."""
    return slice_from(s, s.len - n if n < s.len else 0)


cdef inline slice_t slice_head(slice_t s, uint32_t n) noexcept nogil:
    """The first `n` bytes, or all when there are fewer."""
    return slice_of(s.ptr, n if n < s.len else s.len)


cdef inline bytes slice_bytes(slice_t s):
    """A copy for Python; nil becomes empty."""
    return s.ptr[:s.len] if s.len else b""


# -- reading

cdef inline cursor_t cursor_of(slice_t s) noexcept nogil:
    cdef cursor_t c
    c.ptr = s.ptr
    c.end = s.ptr + s.len if s.len else s.ptr
    return c


cdef inline size_t cursor_left(const cursor_t* c) noexcept nogil:
    return <size_t>(c.end - c.ptr)


cdef inline slice_t cursor_rest(const cursor_t* c) noexcept nogil:
    return slice_of(c.ptr, cursor_left(c))


cdef inline const uint8_t* cursor_take(cursor_t* c, size_t n) noexcept nogil:
    """Advance over `n` bytes and return where they begin, or NULL when there are fewer."""
    cdef const uint8_t* at = c.ptr
    if cursor_left(c) < n:
        return NULL
    c.ptr = at + n
    return at


cdef inline bint cursor_slice(cursor_t* c, size_t n, slice_t* out) noexcept nogil:
    if cursor_left(c) < n:
        return False
    out[0] = slice_of(c.ptr, n)
    c.ptr += n
    return True


cdef inline bint cursor_u8(cursor_t* c, uint8_t* out) noexcept nogil:
    if c.ptr == c.end:
        return False
    out[0] = c.ptr[0]
    c.ptr += 1
    return True


cdef inline bint cursor_uint(cursor_t* c, uint32_t width, uint64_t* out) noexcept nogil:
    """An unsigned number of 1, 2, 4 or 8 bytes."""
    cdef const uint8_t* at = cursor_take(c, width)
    if at == NULL:
        return False
    if width == 1:
        out[0] = at[0]
    elif width == 2:
        out[0] = load_u16(at)
    elif width == 4:
        out[0] = load_u32(at)
    else:
        out[0] = (<uint64_t>load_u32(at) << 32) | load_u32(at + 4)
    return True


cdef inline uint16_t load_u16(const uint8_t* at) noexcept nogil:
    return <uint16_t>((at[0] << 8) | at[1])


cdef inline uint32_t load_u32(const uint8_t* at) noexcept nogil:
    return ((<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16)
            | (<uint32_t>at[2] << 8) | <uint32_t>at[3])


cdef inline uint32_t load_u32_little(const uint8_t* at) noexcept nogil:
    return (<uint32_t>at[0] | (<uint32_t>at[1] << 8)
            | (<uint32_t>at[2] << 16) | (<uint32_t>at[3] << 24))


cdef inline void store_u16(uint8_t* at, uint16_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>value


cdef inline void store_u32(uint8_t* at, uint32_t value) noexcept nogil:
    store_u16(at, <uint16_t>(value >> 16))
    store_u16(at + 2, <uint16_t>value)


# A key as it stands on the wire, its header byte included, padded with zeros: comparing and writing
# it takes two words where there is room for sixteen bytes, as there mostly is.
cdef struct key_t:
    uint64_t[2] word
    uint64_t[2] mask
    uint8_t len             # of header and name, at most 16


cdef inline bint cursor_key(cursor_t* c, const key_t* key) noexcept nogil:
    """Advance over exactly this key, or stay."""
    cdef uint64_t[2] word
    cdef size_t left = cursor_left(c)
    if left >= 16:
        memcpy(word, c.ptr, 16)
        if (((word[0] ^ key.word[0]) & key.mask[0])
                | ((word[1] ^ key.word[1]) & key.mask[1])) != 0:
            return False
    elif left >= 8 and key.len <= 8:
        memcpy(word, c.ptr, 8)
        if (word[0] ^ key.word[0]) & key.mask[0]:
            return False
    elif left < key.len or memcmp(c.ptr, key.word, key.len) != 0:
        return False
    c.ptr += key.len
    return True


# -- writing

cdef inline writer_t writer_of(uint8_t* base, size_t n) noexcept nogil:
    cdef writer_t w
    w.base = base
    w.ptr = base
    w.end = base + n if n else base
    w.full = False
    return w


cdef inline uint32_t writer_len(const writer_t* w) noexcept nogil:
    return <uint32_t>(w.ptr - w.base)


cdef inline size_t writer_room(const writer_t* w) noexcept nogil:
    return <size_t>(w.end - w.ptr)


cdef inline slice_t writer_slice(const writer_t* w) noexcept nogil:
    """All that was written so far."""
    return slice_of(w.base, <size_t>(w.ptr - w.base))


cdef inline uint8_t* writer_take(writer_t* w, size_t n) noexcept nogil:
    """Room for `n` bytes that the caller fills in, or NULL and the writer is full."""
    cdef uint8_t* at = w.ptr
    if writer_room(w) < n:
        w.full = True
        return NULL
    w.ptr = at + n
    return at


cdef inline void writer_u8(writer_t* w, uint8_t value) noexcept nogil:
    if w.ptr == w.end:
        w.full = True
        return
    w.ptr[0] = value
    w.ptr += 1


cdef inline void writer_uint(writer_t* w, uint8_t head, uint32_t width,
                             uint64_t value) noexcept nogil:
    """A header byte and the low `width` (1, 2, 4, 8) bytes of a number."""
    cdef uint8_t* at = writer_take(w, 1 + width)
    if at == NULL:
        return
    at[0] = head
    if width == 1:
        at[1] = <uint8_t>value
    elif width == 2:
        store_u16(at + 1, <uint16_t>value)
    elif width == 4:
        store_u32(at + 1, <uint32_t>value)
    else:
        store_u32(at + 1, <uint32_t>(value >> 32))
        store_u32(at + 5, <uint32_t>value)


cdef inline void writer_bytes(writer_t* w, const uint8_t* data, size_t n) noexcept nogil:
    if writer_room(w) < n:
        w.full = True
        return
    if n:
        memcpy(w.ptr, data, n)
        w.ptr += n


cdef inline uint8_t* writer_before(writer_t* w, size_t n) noexcept nogil:
    """Begin `n` bytes earlier, for a header; the memory there is known to be ours."""
    w.base -= n
    return w.base


cdef inline void writer_key(writer_t* w, const key_t* key) noexcept nogil:
    if writer_room(w) >= 16:
        memcpy(w.ptr, key.word, 16)
        w.ptr += key.len
    else:
        writer_bytes(w, <const uint8_t*>key.word, key.len)
