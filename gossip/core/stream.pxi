# stream.pxi: requests and replies on streams, read as the bytes come in (protocol §10).
#
# One reader per direction of a stream; stream_write.pxi is the other way. No socket, no deadline:
# time and connections are the session's. All work is linear in the bytes, however they are cut,
# and can be done in slices.

# -- the phases

cdef int stream_label_phase(stream_reader_t* r) noexcept nogil:
    """The dialler's label header, which must be ours (protocol §8)."""
    cdef const envelope_t* e = r.envelope
    cdef slice_t rest = stream_rest(r), label
    cdef cursor_t c = cursor_of(rest)
    cdef uint8_t magic = 0, n = 0
    if not cursor_u8(&c, &magic):
        return STREAM_MORE
    r.phase = PHASE_OUTER
    if magic != MSG_LABEL:
        if e.label_len and not e.skip_inbound_label_check:
            return stream_fail(r, b"label header missing", False)
        return STREAM_NEXT
    if e.skip_inbound_label_check:
        return stream_fail(r, b"unexpected label header", False)
    r.phase = PHASE_LABEL
    if not cursor_u8(&c, &n):
        return STREAM_MORE
    if n == 0:
        return stream_fail(r, b"label header cannot be empty when present", False)
    if not cursor_slice(&c, n, &label):
        return STREAM_MORE
    if not slice_equal(label, envelope_label(e)):
        return stream_fail(r, b"label does not match the expected one", False)
    r.labelled = True
    r.at += 2 + n
    r.phase = PHASE_OUTER
    return STREAM_NEXT


cdef int stream_outer_phase(stream_reader_t* r) noexcept nogil:
    """The first type byte, and whether there must be a seal."""
    cdef int first = slice_first(stream_rest(r))
    if first < 0:
        return STREAM_MORE
    if first == MSG_ENCRYPT:
        if r.envelope.key_count == 0:
            return stream_fail(
                r, b"remote state is encrypted and encryption is not configured", True)
        r.phase = PHASE_SEALED
    elif r.envelope.key_count and r.envelope.verify_incoming:
        return stream_fail(
            r, b"encryption is configured but remote state is not encrypted", True)
    else:
        r.phase = PHASE_UNSEALED
    return STREAM_NEXT


cdef inline void stream_seal_head(uint32_t length, uint8_t* out) noexcept nogil:
    out[0] = MSG_ENCRYPT
    store_u32(&out[1], length)


cdef uint32_t stream_aad(const envelope_t* e, uint32_t length, uint8_t* out) noexcept nogil:
    """What a stream's seal authenticates besides the text: its header and the label (§9.3)."""
    stream_seal_head(length, out)
    memcpy(&out[STREAM_SEAL_HEAD], e.label, e.label_len)
    return STREAM_SEAL_HEAD + e.label_len


cdef int stream_sealed(stream_reader_t* r, slice_t sealed) noexcept nogil:
    """All of the seal is there."""
    cdef int reason = sealed_check(sealed)
    if sealed.len == 0:
        return stream_fail(r, b"cannot decrypt empty payload", True)
    if reason == DROP_SEAL_VERSION:
        return stream_fail_with(
            r, b"unsupported encryption version %u", slice_first(sealed), True)
    if reason == DROP_SEAL_TOO_SMALL:
        return stream_fail_with(r, b"payload is too small to decrypt: %u", sealed.len, True)
    if not buffer_reserve(&r.buffers[1], sealed.len):
        return stream_fail(r, b"out of memory", False)
    r.box = sealed_look(sealed, &r.seal)
    r.phase = PHASE_UNSEAL
    return STREAM_NEXT


cdef int stream_unseal_phase(stream_reader_t* r) noexcept nogil:
    """Try the keys in their order, the one in hand as far as the work goes."""
    cdef uint8_t[STREAM_SEAL_HEAD + LABEL_BYTES_MAX] aad
    cdef const envelope_t* e = r.envelope
    cdef slice_t plain = slice_of(r.buffers[1].data, r.box.len - TAG_BYTES)
    cdef uint32_t n = stream_aad(e, r.seal.length, aad)
    cdef int reason = DROP_DECRYPT
    cdef int result = PASS_FAILED
    while result == PASS_FAILED and (r.opening.state != NULL or r.key < e.key_count):
        result = pass_on(&r.opening, &e.keys[r.key], False, r.seal.nonce, slice_of(aad, n),
                         r.box.ptr, plain.len, r.buffers[1].data, r.seal.tag, &r.work)
        r.key += result == PASS_FAILED
    if result == PASS_MORE:
        return STREAM_NEXT
    if result == PASS_DONE:
        reason = sealed_opened(e, r.key, &r.seal, &plain)
    if reason == DROP_REPLAYED:
        return stream_fail(r, b"replayed message", False)
    if reason != DROP_NONE:
        return stream_fail(r, b"no installed keys could decrypt the message", True)
    r.buffers[1].len = plain.len
    stream_enter(r, 1)
    r.phase = PHASE_UNSEALED
    return STREAM_NEXT


cdef int stream_sealed_phase(stream_reader_t* r) noexcept nogil:
    cdef cursor_t c = cursor_of(slice_from(stream_rest(r), 1))
    cdef slice_t sealed
    cdef uint64_t n = 0
    if not cursor_uint(&c, 4, &n):
        return STREAM_MORE
    if n > STREAM_SEALED_MAX:
        return stream_fail_with(
            r, b"remote node state is larger than limit (%u)", <uint32_t>n, True)
    if not cursor_slice(&c, <size_t>n, &sealed):
        return STREAM_MORE
    return stream_sealed(r, sealed)


cdef int stream_unsealed_phase(stream_reader_t* r) noexcept nogil:
    cdef int first = slice_first(stream_rest(r))
    if first < 0:
        return stream_short(r)
    if first == MSG_COMPRESS:
        r.at += 1
        r.phase = PHASE_PACKED
    else:
        r.phase = PHASE_INNER
    return STREAM_NEXT


cdef int stream_packed_phase(stream_reader_t* r) noexcept nogil:
    cdef compress_t packed
    cdef slice_t item = slice_nil()
    cdef int result = stream_item(r, &item)
    if result == SCAN_MORE:
        return stream_short(r)
    if result == SCAN_BAD or decode_compress(item, &packed) != DROP_NONE:
        return stream_fail(r, b"msgpack decode error", True)
    if packed.algo != 0:
        return stream_fail_with(
            r, b"cannot decompress unknown algorithm %u", packed.algo, True)
    r.lzw = <lzw_t*>malloc(sizeof(lzw_t))
    if r.lzw == NULL:
        return stream_fail(r, b"out of memory", False)
    unpacker_begin(&r.unpacker)
    r.compressed_len = packed.buf.len
    r.packed_at = slice_offset(buffer_slice(&r.buffers[r.layer]), packed.buf)
    r.packed_end = r.packed_at + packed.buf.len
    r.phase = PHASE_INFLATE
    return STREAM_NEXT


cdef int stream_inflate_phase(stream_reader_t* r) noexcept nogil:
    cdef slice_t all_ = buffer_slice(&r.buffers[r.layer])
    cdef cursor_t c = cursor_of(slice_from(slice_head(all_, r.packed_end), r.packed_at))
    cdef uint32_t before = r.unpacker.at
    cdef int64_t pause = before + min(r.work, <int64_t>STREAM_INFLATED_MAX) * INFLATED_PER_WORK
    cdef int reason = lzw_unpack(&r.unpacker, &c, &r.buffers[2], r.limit,
                                 <uint32_t>min(pause, <int64_t>UINT32_MAX), r.lzw)
    if reason == LZW_PAUSE:
        r.work -= (r.unpacker.at - before) // INFLATED_PER_WORK + 1
        r.packed_at = r.packed_end - <uint32_t>cursor_left(&c)
        return STREAM_NEXT
    if reason == DROP_LZW_INVALID:
        return stream_fail(r, b"lzw: invalid code", True)
    if reason == DROP_LZW_TRUNCATED:
        return stream_fail(r, b"unexpected EOF", True)
    if reason == DROP_INFLATED_TOO_LARGE:
        return stream_fail_with(
            r, b"decompressed message is larger than limit (%u)", r.limit, True)
    if reason != DROP_NONE:
        return stream_fail(r, b"out of memory", False)
    if r.buffers[2].len == 0:
        return stream_fail(r, b"decompressed message is empty", True)
    r.compressed = True
    stream_enter(r, 2)
    r.phase = PHASE_INNER
    return STREAM_NEXT


cdef int stream_inner_phase(stream_reader_t* r) noexcept nogil:
    cdef int type_ = slice_first(stream_rest(r))
    if type_ < 0:
        return stream_short(r)
    r.type = <uint8_t>type_
    r.at += 1
    if type_ == MSG_PING or type_ == MSG_ACK or type_ == MSG_ERR:
        r.phase = PHASE_BODY
    elif type_ == MSG_PUSH_PULL or type_ == MSG_USER:
        r.phase = PHASE_HEADER
    else:
        return stream_fail_with(r, b"message type %u does not belong on a stream", type_, False)
    return STREAM_NEXT


cdef int stream_body_phase(stream_reader_t* r) noexcept nogil:
    cdef int result = stream_item(r, &r.body)
    if result == SCAN_MORE:
        return stream_short(r)
    if result == SCAN_BAD:
        return stream_fail(r, b"msgpack decode error", False)
    r.phase = PHASE_READY
    return STREAM_READY


cdef int stream_header_phase(stream_reader_t* r) noexcept nogil:
    """The header of a push/pull or user message, both into r.header (protocol §10.3, §10.5)."""
    cdef user_header_t user
    cdef slice_t item = slice_nil()
    cdef int reason, result = stream_item(r, &item)
    if result == SCAN_MORE:
        return stream_short(r)
    if r.type == MSG_USER:
        memset(&r.header, 0, sizeof(push_pull_header_t))
        reason = decode_body(&USER_HEADER, item, &user)
        r.header.user_state_len = user.user_msg_len
    else:
        reason = decode_body(&PUSH_PULL_HEADER, item, &r.header)
    if result == SCAN_BAD or reason != DROP_NONE:
        return stream_fail(r, b"msgpack decode error", False)
    if not 0 <= r.header.nodes <= STREAM_NODES_MAX:
        return stream_fail(r, b"invalid number of nodes", False)
    if not 0 <= r.header.user_state_len <= (
            STREAM_USER_MESSAGE_MAX if r.type == MSG_USER else STREAM_USER_STATE_MAX):
        return stream_fail(r, b"invalid length of the user data", False)
    r.phase = PHASE_NODES
    return STREAM_NEXT


cdef int stream_user_phase(stream_reader_t* r) noexcept nogil:
    cdef slice_t rest = stream_rest(r)
    if rest.len < r.header.user_state_len:
        return stream_short(r)
    r.user = slice_head(rest, <uint32_t>r.header.user_state_len)
    r.phase = PHASE_READY
    return STREAM_READY


cdef int stream_step(stream_reader_t* r) noexcept nogil:
    if r.phase == PHASE_LABEL:
        return stream_label_phase(r)
    if r.phase == PHASE_OUTER:
        return stream_outer_phase(r)
    if r.phase == PHASE_SEALED:
        return stream_sealed_phase(r)
    if r.phase == PHASE_UNSEAL:
        return stream_unseal_phase(r)
    if r.phase == PHASE_UNSEALED:
        return stream_unsealed_phase(r)
    if r.phase == PHASE_PACKED:
        return stream_packed_phase(r)
    if r.phase == PHASE_INFLATE:
        return stream_inflate_phase(r)
    if r.phase == PHASE_INNER:
        return stream_inner_phase(r)
    if r.phase == PHASE_BODY:
        return stream_body_phase(r)
    if r.phase == PHASE_HEADER:
        return stream_header_phase(r)
    if r.phase == PHASE_NODES:
        return stream_nodes_phase(r)
    return stream_user_phase(r)


# -- the reader's face

cdef int stream_go(stream_reader_t* r, int64_t* work) noexcept nogil:
    """Read on in what was taken, with so much work; what is left of it is given back."""
    cdef int result = STREAM_NEXT
    if r.phase == PHASE_READY:
        return STREAM_READY
    if r.phase == PHASE_FAILED:
        return STREAM_FAILED
    r.work = work[0]
    while result == STREAM_NEXT:
        result = stream_step(r) if r.work > 0 else STREAM_BUSY
    work[0] = r.work
    return result


cdef inline bint stream_takes(const stream_reader_t* r) noexcept nogil:
    """Whether further bytes belong to the message; it was whole before others."""
    return not (r.layer or r.phase >= PHASE_READY or r.phase == PHASE_INFLATE
                or r.phase == PHASE_UNSEAL)


cdef bint stream_take(stream_reader_t* r, const uint8_t* data, size_t n) noexcept nogil:
    """Take received bytes, to be read by stream_go. False: that failed, which stream_go tells."""
    if not stream_takes(r):
        return True
    if n > r.limit - r.buffers[0].len:
        stream_fail_with(r, b"message is larger than limit (%u)", r.limit, False)
    elif not buffer_append(&r.buffers[0], data, n):
        stream_fail(r, b"out of memory", False)
    return r.phase != PHASE_FAILED


cdef int stream_feed(stream_reader_t* r, const uint8_t* data, size_t n) noexcept nogil:
    """Take received bytes and read all of them: STREAM_MORE, STREAM_READY or STREAM_FAILED.

    Once ready, slices and nodes are valid until stream_reader_free, and further bytes are ignored.
    """
    cdef int64_t work = INT64_MAX
    stream_take(r, data, n)
    return stream_go(r, &work)


cdef int stream_end(stream_reader_t* r) noexcept nogil:
    """The peer sends no more: STREAM_READY if all was there, else STREAM_FAILED without a reply."""
    if r.phase == PHASE_READY:
        return STREAM_READY
    if r.phase != PHASE_FAILED:
        stream_fail(r, b"EOF" if r.buffers[0].len == 0 else b"unexpected EOF", False)
    return STREAM_FAILED
