# lzw.pxi: LZW exactly as the wire has it (protocol §6.1).
#
# Codes of 9 to 12 bits, least significant bit first, for literals of 8 bits.
# The encoder's output is byte for byte Go's: greedy matching leaves no choice. No type 9 envelope
# here. The scratch is a caller's and is used for one call at a time, in either direction.

cdef enum:
    LZW_CLEAR = 256
    LZW_END = 257
    LZW_NONE = 0xFFFF
    LZW_CODES = 4096
    LZW_SLOTS = 8192        # of the encoder's dictionary, at most half full

cdef struct lzw_t:
    # Encoder: (generation << 32 | prefix code << 20 | byte << 12 | code); an entry of an earlier
    # generation is free, so that clearing the dictionary costs one addition.
    uint64_t[LZW_SLOTS] slots
    uint32_t generation
    # Decoder: each code stands for bytes put out before: where, from the first, and how many.
    uint32_t[LZW_CODES] start
    uint32_t[LZW_CODES] length


cdef void lzw_init(lzw_t* z) noexcept nogil:
    memset(z.slots, 0, sizeof(z.slots))
    z.generation = 1


cdef struct bits_t:          # the encoder's side of the code stream
    uint32_t pending
    uint32_t count
    uint32_t width
    uint32_t hi             # last code given out
    uint32_t overflow       # first code too large for the width


cdef inline void lzw_put(bits_t* b, writer_t* w, uint32_t code) noexcept nogil:
    b.pending |= code << b.count
    b.count += b.width
    while b.count >= 8:
        writer_u8(w, <uint8_t>b.pending)
        b.pending >>= 8
        b.count -= 8


cdef inline void lzw_restart(lzw_t* z, bits_t* b) noexcept nogil:
    b.width = 9
    b.hi = LZW_END
    b.overflow = 512
    z.generation += 1
    if z.generation == 0:   # once in four thousand million clears old entries would look new
        lzw_init(z)


cdef inline bint lzw_advance(lzw_t* z, bits_t* b, writer_t* w) noexcept nogil:
    """Take the next code; False when all are used up and the dictionary was cleared instead."""
    b.hi += 1
    if b.hi == b.overflow:
        b.width += 1
        b.overflow *= 2
    if b.hi == LZW_CODES - 1:
        lzw_put(b, w, LZW_CLEAR)
        lzw_restart(z, b)
        return False
    return True


cdef inline uint64_t* lzw_slot(lzw_t* z, uint32_t pair, uint32_t shift,
                               uint32_t mask) noexcept nogil:
    """Where this (code << 8 | byte) stands, or the free slot where it belongs."""
    cdef uint64_t wanted = (<uint64_t>z.generation << 20) | pair
    cdef uint32_t at = <uint32_t>(pair * <uint32_t>0x9E3779B1) >> shift
    while z.slots[at] >> 12 != wanted and z.slots[at] >> 32 == z.generation:
        at = (at + 1) & mask
    return &z.slots[at]


cdef void lzw_encode(slice_t plain, writer_t* w, lzw_t* z) noexcept nogil:
    """Compress into a bounded writer; it is full when the result did not fit."""
    cdef bits_t b
    cdef uint32_t i, code, pair, bits = 13
    cdef uint64_t* slot
    cdef const uint8_t* data = plain.ptr
    while bits > 9 and <uint32_t>1 << (bits - 2) >= plain.len:     # short input: stay in the cache
        bits -= 1
    lzw_restart(z, &b)
    b.pending = 0
    b.count = 0
    lzw_put(&b, w, LZW_CLEAR)
    if plain.len:
        code = data[0]
        for i in range(1, plain.len):
            pair = (code << 8) | data[i]
            slot = lzw_slot(z, pair, 32 - bits, (<uint32_t>1 << bits) - 1)
            if slot[0] >> 32 == z.generation:
                code = <uint32_t>slot[0] & 0xFFF
                continue
            lzw_put(&b, w, code)
            if w.full:
                return
            if lzw_advance(z, &b, w):
                slot[0] = (((<uint64_t>z.generation << 20) | pair) << 12) | b.hi
            code = data[i]
        lzw_put(&b, w, code)
        lzw_advance(z, &b, w)
    lzw_put(&b, w, LZW_END)
    if b.count:
        writer_u8(w, <uint8_t>b.pending)


cdef inline size_t lzw_bound(size_t n) noexcept nogil:
    """Bytes that n bytes can take at most: twelve bits each, clear codes, the ends."""
    return n + (n >> 1) + (n >> 9) + 16


cdef struct unpacker_t:      # the decoder's side of the code stream
    uint64_t pending
    uint32_t count
    uint32_t width
    uint32_t hi
    uint32_t overflow
    uint32_t last           # the code before, or LZW_NONE


cdef inline uint32_t lzw_get(unpacker_t* u, cursor_t* c) noexcept nogil:
    """The next code, or LZW_NONE at the end of the input."""
    cdef uint8_t byte = 0
    cdef uint32_t code
    while u.count < u.width:
        if not cursor_u8(c, &byte):
            return LZW_NONE
        u.pending |= <uint64_t>byte << u.count
        u.count += 8
    code = <uint32_t>u.pending & ((<uint32_t>1 << u.width) - 1)
    u.pending >>= u.width
    u.count -= u.width
    return code


cdef inline void lzw_forget(unpacker_t* u) noexcept nogil:
    u.width = 9
    u.hi = LZW_END
    u.overflow = 512
    u.last = LZW_NONE


cdef inline void lzw_step(unpacker_t* u, uint32_t code) noexcept nogil:
    """Count a code that was expanded. When all are used up no more are learnt until a clear."""
    u.last = code
    u.hi += 1
    if u.hi >= u.overflow:
        if u.width == 12:
            u.last = LZW_NONE
            u.hi -= 1
        else:
            u.width += 1
            u.overflow *= 2


cdef int lzw_decode(slice_t packed, buffer_t* out, size_t limit, lzw_t* z) noexcept nogil:
    """Append the plain bytes, at most `limit` of them: 0, or the reason why not.

    The buffer grows only when its free space is smaller than the limit. A code is expanded by
    copying from the output: what it stands for was put out before, in one piece.
    """
    cdef unpacker_t u
    cdef cursor_t c = cursor_of(packed)
    cdef uint32_t code, start, n, at = 0
    cdef size_t base = out.len
    cdef uint8_t* to
    u.pending = 0
    u.count = 0
    lzw_forget(&u)
    while True:
        code = lzw_get(&u, &c)
        if code == LZW_NONE:
            return DROP_LZW_TRUNCATED
        if code == LZW_CLEAR:
            lzw_forget(&u)
            continue
        if code == LZW_END:
            out.len = base + at
            return DROP_NONE
        if code > u.hi:
            return DROP_LZW_INVALID
        if u.last != LZW_NONE:
            # The new code: the bytes of the last one and the first of this one, right behind.
            z.start[u.hi] = at - (1 if u.last < LZW_CLEAR else z.length[u.last])
            z.length[u.hi] = at - z.start[u.hi] + 1
        n = 1 if code < LZW_CLEAR else z.length[code]
        if n > limit - at:
            return DROP_INFLATED_TOO_LARGE
        out.len = base + at
        if n > out.cap - out.len and not buffer_reserve(out, n):
            out.len = base
            return DROP_NO_MEMORY
        to = buffer_end(out)
        if code < LZW_CLEAR:
            to[0] = <uint8_t>code
        else:
            start = z.start[code]
            lzw_copy(to, &out.data[base + start], n)
        at += n
        lzw_step(&u, code)


cdef inline void lzw_copy(uint8_t* to, const uint8_t* source, uint32_t n) noexcept nogil:
    """Forward, byte by byte when they overlap: a code may end with its own first byte."""
    cdef uint32_t i
    if to - source >= n:
        memcpy(to, source, n)
        return
    for i in range(n):
        to[i] = source[i]
