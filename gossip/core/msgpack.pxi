# msgpack.pxi: the msgpack dialect of the wire (protocol §2).
#
# Single values, read as liberally and written as narrowly as HashiCorp's library does. No message
# is known here. Readers return False for anything memberlist would reject the whole message for.

cdef enum:
    SPILL_BYTES = 1 << 16   # ring behind strings that came as arrays of numbers, a thread each

cdef extern from *:
    """
    static _Thread_local uint8_t gossip_spill[1 << 16];
    static _Thread_local uint32_t gossip_spilled;
    """
    uint8_t* gossip_spill
    uint32_t gossip_spilled


# -- reading

cdef uint8_t* spill_take(uint32_t n) noexcept nogil:
    """Memory for a string that does not stand in one piece in the packet.

    Valid until 15 more of the largest such strings were read by this thread: longer than any
    message is looked at. No real node sends them, so the packet itself need not be copied.
    """
    global gossip_spilled
    if gossip_spilled + n > SPILL_BYTES:
        gossip_spilled = 0
    cdef uint8_t* at = &gossip_spill[gossip_spilled]
    gossip_spilled += n
    return at


cdef bint msgpack_number(cursor_t* c, uint8_t head, uint64_t* bits, bint* negative) noexcept nogil:
    """The integer that begins with `head`: two's complement bits, and whether it is below zero."""
    negative[0] = False
    if head <= 0x7F:
        bits[0] = head
        return True
    if head >= 0xE0:
        bits[0] = <uint64_t><int64_t><int8_t>head
        negative[0] = True
        return True
    if 0xCC <= head <= 0xCF:
        return cursor_uint(c, 1 << (head - 0xCC), bits)
    if not 0xD0 <= head <= 0xD3 or not cursor_uint(c, 1 << (head - 0xD0), bits):
        return False
    if head == 0xD0:
        bits[0] = <uint64_t><int64_t><int8_t>bits[0]
    elif head == 0xD1:
        bits[0] = <uint64_t><int64_t><int16_t>bits[0]
    elif head == 0xD2:
        bits[0] = <uint64_t><int64_t><int32_t>bits[0]
    negative[0] = (bits[0] >> 63) != 0
    return True


cdef bint msgpack_wide(cursor_t* c, uint8_t head, uint64_t maximum, uint64_t* out) noexcept nogil:
    cdef bint negative
    if head == 0xC0:
        out[0] = 0
        return True
    return msgpack_number(c, head, out, &negative) and not negative and out[0] <= maximum


cdef inline bint msgpack_unsigned(cursor_t* c, uint64_t maximum, uint64_t* out) noexcept nogil:
    """An integer of any width and signedness within 0..maximum; nil is 0."""
    cdef uint8_t head
    if not cursor_u8(c, &head):
        return False
    if head <= 0x7F:
        out[0] = head
        return True
    return msgpack_wide(c, head, maximum, out)


cdef bint msgpack_signed(cursor_t* c, int64_t* out) noexcept nogil:
    """An integer that fits 64 signed bits; nil is 0."""
    cdef uint8_t head
    cdef uint64_t bits = 0
    cdef bint negative
    if not cursor_u8(c, &head):
        return False
    if head != 0xC0:
        if not msgpack_number(c, head, &bits, &negative):
            return False
        if not negative and (bits >> 63) != 0:
            return False
    out[0] = <int64_t>bits
    return True


cdef bint msgpack_bool(cursor_t* c, uint8_t* out) noexcept nogil:
    """True, false, the one-byte integers 0 and 1, or nil for false."""
    cdef uint8_t head
    if not cursor_u8(c, &head):
        return False
    if head == 0xC2 or head == 0xC0 or head == 0x00:
        out[0] = 0
    elif head == 0xC3 or head == 0x01:
        out[0] = 1
    else:
        return False
    return True


cdef bint msgpack_octets(cursor_t* c, uint64_t count, slice_t* out) noexcept nogil:
    """A string given as an array of integers 0..255."""
    cdef uint8_t* at
    cdef uint64_t value = 0
    cdef uint32_t i
    cdef bint negative
    cdef uint8_t head
    if count > OCTETS_MAX or count > cursor_left(c):
        return False
    at = spill_take(<uint32_t>count)
    for i in range(<uint32_t>count):
        if not cursor_u8(c, &head) or not msgpack_number(c, head, &value, &negative):
            return False
        if negative or value > 0xFF:
            return False
        at[i] = <uint8_t>value
    out[0] = slice_of(at, <size_t>count)
    return True


cdef bint msgpack_raw_wide(cursor_t* c, uint8_t head, slice_t* out) noexcept nogil:
    cdef uint64_t n = 0
    if head == 0xC0:
        out[0] = slice_nil()
        return True
    if (head & 0xF0) == 0x90:
        return msgpack_octets(c, head & 0x0F, out)
    if head == 0xDC or head == 0xDD:
        return cursor_uint(c, 2 << (head - 0xDC), &n) and msgpack_octets(c, n, out)
    if 0xD9 <= head <= 0xDB:
        return cursor_uint(c, 1 << (head - 0xD9), &n) and cursor_slice(c, <size_t>n, out)
    if 0xC4 <= head <= 0xC6:
        return cursor_uint(c, 1 << (head - 0xC4), &n) and cursor_slice(c, <size_t>n, out)
    return False


cdef inline bint msgpack_raw(cursor_t* c, slice_t* out) noexcept nogil:
    """A string or byte string: raw, str8, bin, an array of octets, or nil."""
    cdef uint8_t head
    if not cursor_u8(c, &head):
        return False
    if (head & 0xE0) == 0xA0:
        return cursor_slice(c, head & 0x1F, out)
    return msgpack_raw_wide(c, head, out)


cdef inline bint msgpack_raw_whole(cursor_t* c, slice_t* out) noexcept nogil:
    """The same where it will be pointed to for longer: an array of octets stands in no one piece.
    """
    cdef int head = slice_first(cursor_rest(c))
    if (head & 0xF0) == 0x90 or head == 0xDC or head == 0xDD:
        return False
    return msgpack_raw(c, out)


# -- passing over values

cdef enum:
    SCAN_MORE = 0           # the value goes on behind the bytes at hand
    SCAN_DONE
    SCAN_BAD                # no msgpack, or nested too deeply

cdef struct scanner_t:
    uint64_t skip           # bytes of the current string still to pass
    uint32_t depth
    uint64_t[MSGPACK_DEPTH_MAX + 1] left


cdef inline void scanner_begin(scanner_t* s) noexcept nogil:
    """Look for the end of one value."""
    s.skip = 0
    s.depth = 1
    s.left[0] = 1


cdef bint scanner_token(cursor_t* c, uint64_t* skip, uint64_t* items) noexcept nogil:
    """One header: bytes and values that belong to it. Head 0xC1, which nothing uses, has neither.

    False when the header is not all there; the cursor then stands anywhere.
    """
    cdef uint8_t head
    skip[0] = 0
    items[0] = 0
    if not cursor_u8(c, &head):
        return False
    if head <= 0x7F or head >= 0xE0:
        return True
    if head <= 0x8F:
        items[0] = 2 * (head & 0x0F)
    elif head <= 0x9F:
        items[0] = head & 0x0F
    elif head <= 0xBF:
        skip[0] = head & 0x1F
    elif head <= 0xC3:
        pass
    elif head <= 0xC6:
        return cursor_uint(c, 1 << (head - 0xC4), skip)
    elif head <= 0xC9:
        if not cursor_uint(c, 1 << (head - 0xC7), skip):
            return False
        skip[0] += 1
    elif head <= 0xCB:
        skip[0] = 4 << (head - 0xCA)
    elif head <= 0xCF:
        skip[0] = 1 << (head - 0xCC)
    elif head <= 0xD3:
        skip[0] = 1 << (head - 0xD0)
    elif head <= 0xD8:
        skip[0] = 1 + (1 << (head - 0xD4))
    elif head <= 0xDB:
        return cursor_uint(c, 1 << (head - 0xD9), skip)
    elif head <= 0xDD:
        return cursor_uint(c, 2 << (head - 0xDC), items)
    else:
        if not cursor_uint(c, 2 << (head - 0xDE), items):
            return False
        items[0] *= 2
    return True


cdef int scanner_feed(scanner_t* s, cursor_t* c) noexcept nogil:
    """Go on to the end of the value, as far as there are bytes. Linear over all calls."""
    cdef cursor_t at
    cdef uint64_t skip = 0, items = 0
    while True:
        if s.skip:
            skip = s.skip if s.skip < cursor_left(c) else cursor_left(c)
            cursor_take(c, <size_t>skip)
            s.skip -= skip
            if s.skip:
                return SCAN_MORE
        while s.left[s.depth - 1] == 0:
            s.depth -= 1
            if s.depth == 0:
                return SCAN_DONE
        at = c[0]
        if slice_first(cursor_rest(c)) == 0xC1:
            return SCAN_BAD
        if not scanner_token(&at, &skip, &items):
            return SCAN_MORE
        c[0] = at
        s.skip = skip
        s.left[s.depth - 1] -= 1
        if items:
            if s.depth > MSGPACK_DEPTH_MAX:
                return SCAN_BAD
            s.left[s.depth] = items
            s.depth += 1


cdef bint msgpack_skip(cursor_t* c) noexcept nogil:
    """Advance over one value of any type."""
    cdef scanner_t s
    scanner_begin(&s)
    return scanner_feed(&s, c) == SCAN_DONE


cdef bint msgpack_value(cursor_t* c, slice_t* out) noexcept nogil:
    """One value of any type as it is encoded."""
    cdef cursor_t from_ = c[0]
    if not msgpack_skip(c):
        return False
    return cursor_slice(&from_, cursor_left(&from_) - cursor_left(c), out)


cdef bint msgpack_list(cursor_t* c, uint64_t* count) noexcept nogil:
    """The head of an array; nil is an empty one."""
    cdef uint8_t head
    count[0] = 0
    if not cursor_u8(c, &head):
        return False
    if (head & 0xF0) == 0x90:
        count[0] = head & 0x0F
        return True
    if head == 0xDC or head == 0xDD:
        return cursor_uint(c, 2 << (head - 0xDC), count)
    return head == 0xC0


cdef bint msgpack_map(cursor_t* c, uint64_t* count) noexcept nogil:
    """The head of a map; nil is an empty one."""
    cdef uint8_t head
    count[0] = 0
    if not cursor_u8(c, &head):
        return False
    if (head & 0xF0) == 0x80:
        count[0] = head & 0x0F
        return True
    if head == 0xDE or head == 0xDF:
        return cursor_uint(c, 2 << (head - 0xDE), count)
    return head == 0xC0


# -- writing

cdef inline void msgpack_put_unsigned(writer_t* w, uint64_t value) noexcept nogil:
    if value <= 0x7F:
        writer_u8(w, <uint8_t>value)
    elif value <= 0xFF:
        writer_uint(w, 0xCC, 1, value)
    elif value <= 0xFFFF:
        writer_uint(w, 0xCD, 2, value)
    elif value <= UINT32_MAX:
        writer_uint(w, 0xCE, 4, value)
    else:
        writer_uint(w, 0xCF, 8, value)


cdef inline void msgpack_put_signed(writer_t* w, int64_t value) noexcept nogil:
    """The shortest signed form: 151 is d1 00 97, not cc 97."""
    cdef uint64_t bits = <uint64_t>value
    if -32 <= value <= 127:
        writer_u8(w, <uint8_t>bits)
    elif -0x80 <= value < 0x80:
        writer_uint(w, 0xD0, 1, bits)
    elif -0x8000 <= value < 0x8000:
        writer_uint(w, 0xD1, 2, bits)
    elif -<int64_t>0x80000000 <= value < <int64_t>0x80000000:
        writer_uint(w, 0xD2, 4, bits)
    else:
        writer_uint(w, 0xD3, 8, bits)


cdef inline void msgpack_put_raw_head(writer_t* w, uint32_t n) noexcept nogil:
    """The header of a string; never str8 or bin."""
    if n < 32:
        writer_u8(w, <uint8_t>(0xA0 | n))
    elif n <= 0xFFFF:
        writer_uint(w, 0xDA, 2, n)
    else:
        writer_uint(w, 0xDB, 4, n)


cdef inline void msgpack_put_raw(writer_t* w, slice_t s) noexcept nogil:
    msgpack_put_raw_head(w, s.len)
    writer_bytes(w, s.ptr, s.len)


cdef inline void msgpack_put_list(writer_t* w, uint32_t n) noexcept nogil:
    """The head of an array."""
    if n < 16:
        writer_u8(w, <uint8_t>(0x90 | n))
    elif n <= 0xFFFF:
        writer_uint(w, 0xDC, 2, n)
    else:
        writer_uint(w, 0xDD, 4, n)


cdef inline void msgpack_put_map(writer_t* w, uint32_t n) noexcept nogil:
    """The head of a map."""
    if n < 16:
        writer_u8(w, <uint8_t>(0x80 | n))
    elif n <= 0xFFFF:
        writer_uint(w, 0xDE, 2, n)
    else:
        writer_uint(w, 0xDF, 4, n)
