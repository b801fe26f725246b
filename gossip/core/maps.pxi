# maps.pxi: messages as the msgpack maps of the wire, both directions (protocol §2, §4).
#
# Driven by the tables of messages.pxi. Decoded slices point into the packet.

# -- decoding

cdef inline bint field_decode(const field_t* f, cursor_t* c, void* out) noexcept nogil:
    cdef void* at = <char*>out + f.offset
    cdef uint64_t value = 0
    if f.kind == KIND_VALUE:
        return msgpack_value(c, <slice_t*>at)
    if f.kind >= KIND_STRING:
        return msgpack_raw(c, <slice_t*>at)
    if f.kind == KIND_U32:
        if not msgpack_unsigned(c, 0xFFFFFFFF, &value):
            return False
        (<uint32_t*>at)[0] = <uint32_t>value
    elif f.kind == KIND_U16:
        if not msgpack_unsigned(c, 0xFFFF, &value):
            return False
        (<uint16_t*>at)[0] = <uint16_t>value
    elif f.kind == KIND_BOOL:
        return msgpack_bool(c, <uint8_t*>at)
    elif f.kind == KIND_U64:
        return msgpack_unsigned(c, UINT64_MAX, <uint64_t*>at)
    elif f.kind == KIND_I64:
        return msgpack_signed(c, <int64_t*>at)
    else:
        if not msgpack_unsigned(c, 0xFF, &value):
            return False
        (<uint8_t*>at)[0] = <uint8_t>value
    return True


cdef int message_find(const message_t* m, slice_t name) noexcept nogil:
    """Which field has this name; `count` when none has."""
    cdef int i
    for i in range(m.count):
        if slice_equal(field_name(&m.fields[i]), name):
            return i
    return m.count


cdef inline bint expected_value(const field_t* f, cursor_t* c, void* at) noexcept nogil:
    """A value in a form that our own kind writes; False for any other, which may be right too."""
    cdef uint64_t value = 0
    cdef uint8_t head
    if f.kind == KIND_VALUE or not cursor_u8(c, &head):
        return False                    # a value of any type is decode_map's
    if f.kind >= KIND_STRING:
        if (head & 0xE0) == 0xA0:
            return cursor_slice(c, head & 0x1F, <slice_t*>at)
        if head == 0xC0:                # the slice is nil already
            return True
        return (head == 0xDA and cursor_uint(c, 2, &value)
                and cursor_slice(c, <size_t>value, <slice_t*>at))
    if head <= 0x7F:
        value = head
    elif f.kind == KIND_BOOL and (head == 0xC2 or head == 0xC3):
        value = head & 1
    elif not 0xCC <= head <= 0xCF or not cursor_uint(c, 1 << (head - 0xCC), &value):
        return False
    if f.kind == KIND_U32 and value <= UINT32_MAX:
        (<uint32_t*>at)[0] = <uint32_t>value
    elif f.kind == KIND_U16 and value <= 0xFFFF:
        (<uint16_t*>at)[0] = <uint16_t>value
    elif f.kind == KIND_U64:
        (<uint64_t*>at)[0] = value
    elif f.kind == KIND_I64 and value <= <uint64_t>INT64_MAX:
        (<int64_t*>at)[0] = <int64_t>value
    elif value <= (1 if f.kind == KIND_BOOL else 0xFF):
        (<uint8_t*>at)[0] = <uint8_t>value
    else:
        return False
    return True


cdef bint decode_expected(const message_t* m, cursor_t* from_, uint32_t n,
                          void* out) noexcept nogil:
    """A map exactly as our own kind writes it, which nearly all are: keys in order, plain forms.

    `out` is clear. False for all else: nothing was advanced, `out` is to be cleared again, and
    decode_map decides. The cursor is a copy that is shown to nobody, so it lives in registers.
    """
    cdef cursor_t c = from_[0]
    cdef const field_t* f = m.fields
    cdef const field_t* end = &m.fields[m.count]
    cdef uint32_t seen = 0, present = 0, bit = 1
    while f != end:
        if cursor_key(&c, &f.key):
            if not expected_value(f, &c, <char*>out + f.offset):
                return False
            present |= bit
            seen += 1
        elif not f.optional:
            return False
        bit <<= 1
        f += 1
    if seen != n:
        return False
    (<uint32_t*>out)[0] = present
    from_[0] = c
    return True


cdef bint decode_map(const message_t* m, cursor_t* c, uint64_t n, void* out) noexcept nogil:
    """Pairs in any order; in the order our own kind writes them each key is one comparison."""
    cdef uint32_t expected = 0, index
    cdef uint64_t i
    cdef slice_t name
    for i in range(n):
        if expected < m.count and cursor_key(c, &m.fields[expected].key):
            index = expected
        else:
            if not msgpack_raw(c, &name) or name.len == 0:
                return False
            index = message_find(m, name)
        if index == m.count:
            if not msgpack_skip(c):
                return False
            continue
        if not field_decode(&m.fields[index], c, out):
            return False
        (<uint32_t*>out)[0] |= <uint32_t>1 << index
        expected = index + 1
    return True


cdef bint decode_array(const message_t* m, cursor_t* c, uint64_t n, void* out) noexcept nogil:
    """Values in declaration order; further ones are passed over, missing ones are zero."""
    cdef uint32_t index
    cdef uint64_t i
    for i in range(n):
        if i < m.count:
            index = m.declared[i]
            if not field_decode(&m.fields[index], c, out):
                return False
            (<uint32_t*>out)[0] |= <uint32_t>1 << index
        elif not msgpack_skip(c):
            return False
    return True


cdef int message_decode(const message_t* m, cursor_t* c, void* out) noexcept nogil:
    """Read one body into its struct and advance behind it: 0, or DROP_DECODE (protocol §2.2).

    After an error the struct is not to be used.
    """
    cdef uint8_t head
    cdef uint64_t n = 0
    cdef bint ok = False
    memset(out, 0, m.size)
    if not cursor_u8(c, &head):
        return DROP_DECODE
    if (head & 0xF0) == 0x80:
        ok = decode_expected(m, c, head & 0x0F, out)
        if not ok:
            memset(out, 0, m.size)
            ok = decode_map(m, c, head & 0x0F, out)
    elif head == 0xC0:
        ok = True
    elif (head & 0xF0) == 0x90:
        ok = decode_array(m, c, head & 0x0F, out)
    elif head == 0xDC or head == 0xDD:
        ok = cursor_uint(c, 2 << (head - 0xDC), &n) and decode_array(m, c, n, out)
    elif head == 0xDE or head == 0xDF:
        ok = cursor_uint(c, 2 << (head - 0xDE), &n) and decode_map(m, c, n, out)
    return DROP_NONE if ok else DROP_DECODE


cdef inline int decode_body(const message_t* m, slice_t body, void* out) noexcept nogil:
    """A body that begins the slice; bytes behind it are ignored."""
    cdef cursor_t c = cursor_of(body)
    return message_decode(m, &c, out)


cdef int decode_ping(slice_t body, ping_t* out) noexcept nogil:
    return decode_body(&PING, body, out)


cdef int decode_indirect_ping(slice_t body, indirect_ping_t* out) noexcept nogil:
    return decode_body(&INDIRECT_PING, body, out)


cdef int decode_ack(slice_t body, ack_t* out) noexcept nogil:
    return decode_body(&ACK, body, out)


cdef int decode_nack(slice_t body, nack_t* out) noexcept nogil:
    return decode_body(&NACK, body, out)


cdef int decode_claim(slice_t body, claim_t* out) noexcept nogil:
    """Suspect or dead: they differ in the type byte only."""
    return decode_body(&SUSPECT, body, out)


cdef int decode_alive(slice_t body, alive_t* out) noexcept nogil:
    return decode_body(&ALIVE, body, out)


cdef int decode_compress(slice_t body, compress_t* out) noexcept nogil:
    return decode_body(&COMPRESS, body, out)


cdef int decode_err(slice_t body, err_t* out) noexcept nogil:
    return decode_body(&ERR, body, out)


# -- encoding

cdef inline bint field_empty(const field_t* f, const void* at) noexcept nogil:
    if f.kind >= KIND_STRING:
        return (<const slice_t*>at).len == 0
    if f.kind == KIND_U32:
        return (<const uint32_t*>at)[0] == 0
    if f.kind == KIND_U16:
        return (<const uint16_t*>at)[0] == 0
    if f.kind == KIND_I64 or f.kind == KIND_U64:
        return (<const int64_t*>at)[0] == 0
    return (<const uint8_t*>at)[0] == 0


cdef inline void field_encode(const field_t* f, writer_t* w, const void* at) noexcept nogil:
    writer_key(w, &f.key)
    if f.kind >= KIND_BYTES and (<const slice_t*>at).ptr == NULL:
        writer_u8(w, 0xC0)
    elif f.kind == KIND_VALUE:
        writer_bytes(w, (<const slice_t*>at).ptr, (<const slice_t*>at).len)
    elif f.kind >= KIND_STRING:
        msgpack_put_raw(w, (<const slice_t*>at)[0])
    elif f.kind == KIND_U32:
        msgpack_put_unsigned(w, (<const uint32_t*>at)[0])
    elif f.kind == KIND_U16:
        msgpack_put_unsigned(w, (<const uint16_t*>at)[0])
    elif f.kind == KIND_BOOL:
        writer_u8(w, 0xC3 if (<const uint8_t*>at)[0] else 0xC2)
    elif f.kind == KIND_U64:
        msgpack_put_unsigned(w, (<const uint64_t*>at)[0])
    elif f.kind == KIND_I64:
        msgpack_put_signed(w, (<const int64_t*>at)[0])
    else:
        msgpack_put_unsigned(w, (<const uint8_t*>at)[0])


cdef void message_encode(const message_t* m, writer_t* w, const void* value) noexcept nogil:
    """Write the type byte, if it has one, and the map in wire order, byte for byte as Go does."""
    cdef uint32_t i, n = m.count
    for i in range(m.count):
        if m.fields[i].optional and field_empty(&m.fields[i],
                                                <const char*>value + m.fields[i].offset):
            n -= 1
    if m.type != MSG_BARE:
        writer_u8(w, m.type)
    writer_u8(w, <uint8_t>(0x80 | n))
    for i in range(m.count):
        if m.fields[i].optional and field_empty(&m.fields[i],
                                                <const char*>value + m.fields[i].offset):
            continue
        field_encode(&m.fields[i], w, <const char*>value + m.fields[i].offset)


cdef void encode_ping(writer_t* w, const ping_t* value) noexcept nogil:
    message_encode(&PING, w, value)


cdef void encode_indirect_ping(writer_t* w, const indirect_ping_t* value) noexcept nogil:
    message_encode(&INDIRECT_PING, w, value)


cdef void encode_ack(writer_t* w, const ack_t* value) noexcept nogil:
    message_encode(&ACK, w, value)


cdef void encode_nack(writer_t* w, const nack_t* value) noexcept nogil:
    message_encode(&NACK, w, value)


cdef void encode_suspect(writer_t* w, const claim_t* value) noexcept nogil:
    message_encode(&SUSPECT, w, value)


cdef void encode_dead(writer_t* w, const claim_t* value) noexcept nogil:
    message_encode(&DEAD, w, value)


cdef void encode_alive(writer_t* w, const alive_t* value) noexcept nogil:
    message_encode(&ALIVE, w, value)


cdef void encode_err(writer_t* w, const err_t* value) noexcept nogil:
    message_encode(&ERR, w, value)


cdef void encode_compress_head(writer_t* w, uint32_t n) noexcept nogil:
    """The start of a type 9 message of n bytes of LZW data, which follow (protocol §6)."""
    cdef uint8_t algorithm = 0
    writer_u8(w, MSG_COMPRESS)
    writer_u8(w, 0x82)
    field_encode(&COMPRESS.fields[0], w, &algorithm)
    writer_key(w, &COMPRESS.fields[1].key)
    msgpack_put_raw_head(w, n)


cdef void encode_push_pull_header(writer_t* w, const push_pull_header_t* value) noexcept nogil:
    """The start of a push/pull: type byte and header; nodes and user state follow."""
    message_encode(&PUSH_PULL_HEADER, w, value)


cdef void encode_push_node(writer_t* w, const push_node_t* value) noexcept nogil:
    """One node of a push/pull: a bare map."""
    message_encode(&PUSH_NODE, w, value)


cdef void encode_user_header(writer_t* w, const user_header_t* value) noexcept nogil:
    """The start of a reliable user message: type byte and header; the message follows."""
    message_encode(&USER_HEADER, w, value)
