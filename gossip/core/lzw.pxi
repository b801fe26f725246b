# lzw.pxi: LZW exactly as the wire has it (protocol §6.1).
#
# Codes of 9 to 12 bits, least significant bit first, for literals of 8 bits.
# The encoder's output is byte for byte Go's: greedy matching leaves no choice. No type 9 envelope
# here. Both directions can stop anywhere and go on later. The scratch is a caller's, for one run in
# one direction at a time.

cdef enum:
    LZW_CLEAR = 256
    LZW_END = 257
    LZW_NONE = 0xFFFF
    LZW_CODES = 4096
    LZW_SLOT_BITS = 13
    LZW_SLOTS = 1 << LZW_SLOT_BITS      # of the encoder's dictionary, at most half full
    LZW_SHORT = 64                      # bytes; longer text is not looked at before
    LZW_PAUSE = -1                      # beside the drop reasons: go on with another call
    LZW_SLACK = 16                      # bytes behind a short copy that it may overwrite

cdef struct run_t:           # bytes put out before: where, counted from the first, and how many
    uint32_t start
    uint32_t length

cdef union lzw_t:
    uint32_t[LZW_SLOTS] slots           # encoder: prefix code << 20 | byte << 12 | code; 0: free
    run_t[LZW_CODES] runs               # decoder: what each code stands for

cdef struct packer_t:        # the encoder's side of the code stream
    uint32_t* slots
    uint32_t bits           # of a slot number: short input uses, and clears, few of the slots
    uint32_t pending
    uint32_t count
    uint32_t width
    uint32_t hi             # last code given out
    uint32_t overflow       # first code too large for the width
    uint32_t code           # of the bytes that are not put out yet; LZW_NONE: there are none


cdef inline void lzw_put(packer_t* p, writer_t* w, uint32_t code) noexcept nogil:
    p.pending |= code << p.count
    p.count += p.width
    while p.count >= 8:
        writer_u8(w, <uint8_t>p.pending)
        p.pending >>= 8
        p.count -= 8


cdef inline void lzw_restart(packer_t* p) noexcept nogil:
    p.width = 9
    p.hi = LZW_END
    p.overflow = 512
    memset(p.slots, 0, sizeof(uint32_t) << p.bits)


cdef inline bint lzw_advance(packer_t* p, writer_t* w) noexcept nogil:
    """Take the next code; False when all are used up and the dictionary was cleared instead."""
    p.hi += 1
    if p.hi == p.overflow:
        p.width += 1
        p.overflow *= 2
    if p.hi == LZW_CODES - 1:
        lzw_put(p, w, LZW_CLEAR)
        lzw_restart(p)
        return False
    return True


cdef void lzw_begin(packer_t* p, writer_t* w, lzw_t* z, uint32_t n) noexcept nogil:
    """Ready to compress n bytes: a dictionary of at most 3838 and at most n entries."""
    p.slots = z.slots
    p.bits = 8
    while p.bits < LZW_SLOT_BITS and <uint32_t>1 << (p.bits - 1) < n:
        p.bits += 1
    p.pending = 0
    p.count = 0
    p.code = LZW_NONE
    lzw_restart(p)
    lzw_put(p, w, LZW_CLEAR)


cdef inline uint32_t* lzw_slot(const packer_t* p, uint32_t code, uint32_t byte) noexcept nogil:
    """Where (code, byte) stands, or the free slot where it belongs."""
    cdef uint32_t mask = (<uint32_t>1 << p.bits) - 1
    cdef uint32_t at = (code * <uint32_t>0x9E3779B1 + byte * <uint32_t>0x85EBCA77) >> (32 - p.bits)
    cdef uint32_t pair = code << 8 | byte
    while p.slots[at] != 0 and p.slots[at] >> 12 != pair:
        at = (at + 1) & mask
    return &p.slots[at]


cdef bint lzw_hopeless(slice_t plain, uint32_t room) noexcept nogil:
    """Whether it is plain at sight that short text does not fit `room` bytes when compressed.

    Each byte that was not seen before costs a code of its own, of 9 bits; so do both ends.
    """
    cdef uint64_t[4] seen
    cdef uint32_t bits = 18
    cdef uint8_t byte = 0
    cdef cursor_t c = cursor_of(plain)
    if plain.len > LZW_SHORT:
        return False
    memset(seen, 0, sizeof(seen))
    while bits <= 8 * room and cursor_u8(&c, &byte):
        if not seen[byte >> 6] >> (byte & 63) & 1:
            seen[byte >> 6] |= <uint64_t>1 << (byte & 63)
            bits += 9
    return bits > 8 * room


cdef void lzw_more(packer_t* state, slice_t plain, writer_t* w) noexcept nogil:
    """Compress further bytes; once the writer is full the run is void."""
    cdef packer_t p = state[0]              # a copy, so that it can stand in registers
    cdef uint32_t* slot
    cdef uint8_t byte = 0
    cdef cursor_t c = cursor_of(plain)
    if p.code == LZW_NONE and cursor_u8(&c, &byte):
        p.code = byte
    while cursor_u8(&c, &byte):
        slot = lzw_slot(&p, p.code, byte)
        if slot[0] != 0:
            p.code = slot[0] & (LZW_CODES - 1)
            continue
        lzw_put(&p, w, p.code)
        if w.full:
            return
        if lzw_advance(&p, w):
            slot[0] = p.code << 20 | <uint32_t>byte << 12 | p.hi
        p.code = byte
    state[0] = p


cdef void lzw_finish(packer_t* p, writer_t* w) noexcept nogil:
    if p.code != LZW_NONE:
        lzw_put(p, w, p.code)
        lzw_advance(p, w)
    lzw_put(p, w, LZW_END)
    if p.count:
        writer_u8(w, <uint8_t>p.pending)


cdef void lzw_encode(slice_t plain, writer_t* w, lzw_t* z) noexcept nogil:
    """Compress into a bounded writer; it is full when the result did not fit."""
    cdef packer_t p
    lzw_begin(&p, w, z, plain.len)
    lzw_more(&p, plain, w)
    if not w.full:
        lzw_finish(&p, w)


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
    uint32_t before         # where that one was expanded
    uint32_t at             # bytes put out


cdef inline uint32_t lzw_get(unpacker_t* u, cursor_t* c) noexcept nogil:
    """The next code, or LZW_NONE at the end of the input."""
    cdef uint8_t byte = 0
    cdef uint32_t code
    if u.count < u.width and cursor_left(c) >= 4:
        u.pending |= <uint64_t>load_u32_little(cursor_take(c, 4)) << u.count
        u.count += 32
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


cdef inline void lzw_copy(uint8_t* to, const uint8_t* source, uint32_t n,
                          size_t room) noexcept nogil:
    """Expand a code of n > 0 bytes. It may end with the first byte it puts out: that comes last."""
    if n <= LZW_SLACK <= room:
        memcpy(to, source, 8)
        memcpy(&to[8], &source[8], 8)
    else:
        memcpy(to, source, n - 1)
    to[n - 1] = source[n - 1]


cdef void unpacker_begin(unpacker_t* u) noexcept nogil:
    memset(u, 0, sizeof(unpacker_t))
    lzw_forget(u)


cdef int lzw_unpack(unpacker_t* state, cursor_t* packed, buffer_t* out, size_t limit,
                    uint32_t pause, lzw_t* z) noexcept nogil:
    """Append plain bytes, at most `limit` of them: 0 behind the last, LZW_PAUSE after `pause`
    bytes or soon after, or the reason why not.

    The buffer grows only when its free space is smaller than the limit. A code is expanded by
    copying from the output: what it stands for was put out before, in one piece.
    """
    cdef unpacker_t u = state[0]            # copies, so that they can stand in registers
    cdef cursor_t c = packed[0]
    cdef uint32_t code, n
    cdef size_t base = out.len - u.at
    while u.at < pause:
        code = lzw_get(&u, &c)
        if code == LZW_NONE:
            return DROP_LZW_TRUNCATED
        if code == LZW_CLEAR:
            lzw_forget(&u)
            continue
        if code == LZW_END:
            return DROP_NONE
        if code > u.hi:
            return DROP_LZW_INVALID
        if u.last != LZW_NONE:
            # The new code: the bytes of the last one and the first of this one, right behind.
            z.runs[u.hi] = run_t(u.before, u.at - u.before + 1)
        n = 1 if code < LZW_CLEAR else z.runs[code].length
        if n > limit - u.at:
            return DROP_INFLATED_TOO_LARGE
        if n > out.cap - out.len and not buffer_reserve(out, n):
            return DROP_NO_MEMORY
        if code < LZW_CLEAR:
            buffer_end(out)[0] = <uint8_t>code
        else:
            lzw_copy(buffer_end(out), &out.data[base + z.runs[code].start], n,
                     out.cap - out.len)
        u.before = u.at
        u.at += n
        out.len = base + u.at
        lzw_step(&u, code)
    state[0] = u
    packed[0] = c
    return LZW_PAUSE


cdef int lzw_decode(slice_t packed, buffer_t* out, size_t limit, lzw_t* z) noexcept nogil:
    """Append all the plain bytes, at most `limit` of them: 0, or the reason why not."""
    cdef unpacker_t u
    cdef cursor_t c = cursor_of(packed)
    unpacker_begin(&u)
    return lzw_unpack(&u, &c, out, limit, UINT32_MAX, z)
