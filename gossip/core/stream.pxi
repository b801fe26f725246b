# stream.pxi: requests and replies on streams, read as the bytes come in (protocol §10).
#
# One reader per direction of a stream; stream_write.pxi is the other way. No socket, no deadline:
# time and connections are the session's. All work is linear in the bytes, however they are cut,
# and can be done in slices.

from libc.stdio cimport snprintf

cdef enum StreamResult:
    STREAM_MORE                 # go on feeding
    STREAM_READY                # all there; further bytes are ignored
    STREAM_FAILED               # see error and reply_error
    STREAM_BUSY                 # the work allowed is used up: go on with stream_go
    STREAM_NEXT                 # within this file: go on, perhaps with another phase

cdef enum StreamPhase:
    PHASE_LABEL
    PHASE_OUTER                 # the first type byte: sealed, compressed or plain
    PHASE_SEALED
    PHASE_UNSEALED              # the type byte inside the seal
    PHASE_PACKED
    PHASE_INFLATE
    PHASE_INNER                 # the type byte of the message itself
    PHASE_BODY
    PHASE_HEADER
    PHASE_NODES
    PHASE_USER
    PHASE_READY
    PHASE_FAILED

cdef enum:
    STREAM_SEAL_HEAD = 5        # type and length
    STREAM_LAYERS = 3           # bytes as received, unsealed, inflated
    STREAM_ERROR_BYTES = 96
    NODES_AT_ONCE = 8           # of a push/pull: looked up together, to wait for memory once

# Looks at some nodes of a push/pull: which of them are to be given out when all of it is there.
ctypedef void (*see_fn)(void* ctx, const push_node_t* nodes, uint32_t count,
                        uint8_t* keep) noexcept nogil

cdef struct stream_reader_t:
    const envelope_t* envelope
    uint32_t limit              # bytes of any one layer
    int64_t work                # that may still be done now, see limits.pxi
    uint8_t phase
    uint8_t layer               # which of the buffers is being read
    buffer_t[STREAM_LAYERS] buffers
    uint32_t at                 # read up to here, within the layer
    bint scanning               # the end of an item is being looked for
    uint32_t scanned            # up to here
    lzw_t* lzw                  # while it inflates
    unpacker_t unpacker
    uint32_t packed_at          # within the layer: LZW bytes read up to here
    uint32_t packed_end
    # What was found.
    bint labelled
    seal_t seal
    bint compressed
    uint32_t compressed_len
    uint8_t type
    push_pull_header_t header
    slice_t user                # user state or user message
    slice_t body                # map of a ping, ack or err
    char[STREAM_ERROR_BYTES] error
    bint reply_error            # the accepting side answers with the error, else it just closes
    versions_t versions         # of all nodes that are sane; the living narrow them
    uint32_t nodes_read
    see_fn see                  # NULL: all nodes are given out
    void* seer
    buffer_t kept               # uint32_t each: where the nodes begin that are given out
    uint32_t kept_next          # the next of them
    scanner_t scanner           # last: large, and begun before each use


cdef void stream_reader_init(stream_reader_t* r, const envelope_t* e, bint expect_label,
                             uint32_t limit) noexcept nogil:
    """A reader of one request (`expect_label`: we accepted the stream) or of one reply.

    `limit` bounds the bytes received, unsealed and inflated, each; 0 means the largest allowed.
    """
    cdef uint32_t i
    memset(r, 0, sizeof(stream_reader_t) - sizeof(scanner_t))
    r.envelope = e
    versions_init(&r.versions)
    r.limit = limit if 0 < limit < STREAM_INFLATED_MAX else STREAM_INFLATED_MAX
    r.phase = PHASE_LABEL if expect_label else PHASE_OUTER
    for i in range(STREAM_LAYERS):
        buffer_init(&r.buffers[i])
    buffer_init(&r.kept)


cdef void stream_reader_free(stream_reader_t* r) noexcept nogil:
    cdef uint32_t i
    for i in range(STREAM_LAYERS):
        buffer_free(&r.buffers[i])
    buffer_free(&r.kept)
    free(r.lzw)


cdef int stream_fail(stream_reader_t* r, const char* text, bint reply) noexcept nogil:
    r.phase = PHASE_FAILED
    r.reply_error = reply
    snprintf(r.error, STREAM_ERROR_BYTES, b"%s", text)
    return STREAM_FAILED


cdef int stream_fail_with(stream_reader_t* r, const char* form, uint32_t number,
                          bint reply) noexcept nogil:
    """Fail with a text that holds a number, `%u`."""
    cdef char[STREAM_ERROR_BYTES] text
    snprintf(text, STREAM_ERROR_BYTES, form, number)
    return stream_fail(r, text, reply)


cdef inline int stream_short(stream_reader_t* r) noexcept nogil:
    """The bytes at hand do not suffice: wait, unless they came out of an envelope and are all."""
    if r.layer == 0:
        return STREAM_MORE
    return stream_fail(r, b"unexpected end of the message", False)


cdef inline slice_t stream_rest(const stream_reader_t* r) noexcept nogil:
    return slice_from(buffer_slice(&r.buffers[r.layer]), r.at)


cdef void stream_enter(stream_reader_t* r, uint8_t layer) noexcept nogil:
    """Read on in another layer. The one before goes with the reader: that can take its time."""
    r.layer = layer
    r.at = 0


cdef int stream_item(stream_reader_t* r, slice_t* item) noexcept nogil:
    """Take one whole msgpack value, going on where the last call stopped: a SCAN result."""
    cdef slice_t all_ = buffer_slice(&r.buffers[r.layer])
    cdef cursor_t c
    cdef int result
    if not r.scanning:
        scanner_begin(&r.scanner)
        r.scanning = True
        r.scanned = r.at
    c = cursor_of(slice_from(all_, r.scanned))
    result = scanner_feed(&r.scanner, &c)
    r.scanned = all_.len - <uint32_t>cursor_left(&c)
    if result == SCAN_DONE:
        item[0] = slice_head(stream_rest(r), r.scanned - r.at)
        r.at = r.scanned
        r.scanning = False
    return result


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


cdef uint32_t stream_aad(const envelope_t* e, uint32_t length, uint8_t* out) noexcept nogil:
    """What a stream's seal authenticates besides the text: its header and the label (§9.3)."""
    out[0] = MSG_ENCRYPT
    store_u32(&out[1], length)
    memcpy(&out[STREAM_SEAL_HEAD], e.label, e.label_len)
    return STREAM_SEAL_HEAD + e.label_len


cdef int stream_unseal(stream_reader_t* r, slice_t sealed) noexcept nogil:
    cdef uint8_t[STREAM_SEAL_HEAD + LABEL_BYTES_MAX] aad
    cdef slice_t plain = slice_nil()
    cdef uint32_t n = stream_aad(r.envelope, sealed.len, aad)
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
    reason = sealed_open(r.envelope, sealed, slice_of(aad, n), r.buffers[1].data, &r.seal, &plain)
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
    return stream_unseal(r, sealed)


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


cdef inline bint stream_node_whole(stream_reader_t* r, push_node_t* node) noexcept nogil:
    """Take the next node if all of it has come. Tried once a node: the rest is stream_item's."""
    cdef slice_t rest
    cdef cursor_t c
    if r.scanning:
        return False
    rest = stream_rest(r)
    c = cursor_of(rest)
    if message_decode(&PUSH_NODE, &c, node) != DROP_NONE:
        return False
    r.at += rest.len - <uint32_t>cursor_left(&c)
    return True


cdef int stream_node(stream_reader_t* r, push_node_t* node) noexcept nogil:
    """Take the next node: a SCAN result."""
    cdef slice_t item = slice_nil()
    cdef int result
    if stream_node_whole(r, node):
        return SCAN_DONE
    result = stream_item(r, &item)
    if result == SCAN_DONE and decode_body(&PUSH_NODE, item, node) != DROP_NONE:
        return SCAN_BAD
    return result


cdef bint stream_keep(stream_reader_t* r, const push_node_t* nodes, const uint32_t* at,
                      uint32_t count) noexcept nogil:
    """Take notice of nodes that are there; False without memory."""
    cdef uint8_t[NODES_AT_ONCE] keep
    cdef uint32_t i
    memset(keep, 1, NODES_AT_ONCE)
    if r.see != NULL and count:
        r.see(r.seer, nodes, count, keep)
    for i in range(count):
        if versions_sane(nodes[i].vsn):
            versions_add(&r.versions, nodes[i].vsn.ptr, nodes[i].state == 0)
        if keep[i] and not buffer_append(&r.kept, <const uint8_t*>&at[i], sizeof(uint32_t)):
            return False
    r.nodes_read += count
    r.work -= count * <int64_t>WORK_ROW
    return True


cdef int stream_nodes_phase(stream_reader_t* r) noexcept nogil:
    """Find and check every node once; stream_next_node gives out those that are kept."""
    cdef push_node_t[NODES_AT_ONCE] nodes
    cdef uint32_t[NODES_AT_ONCE] at
    cdef uint32_t n
    cdef int result = SCAN_DONE
    while r.nodes_read < r.header.nodes:
        n = 0
        while n < NODES_AT_ONCE and r.nodes_read + n < r.header.nodes:
            at[n] = r.at
            result = stream_node(r, &nodes[n])
            if result != SCAN_DONE:
                break
            n += 1
        if not stream_keep(r, nodes, at, n):
            return stream_fail(r, b"out of memory", False)
        if result == SCAN_MORE:
            return stream_short(r)
        if result == SCAN_BAD:
            return stream_fail(r, b"msgpack decode error", False)
        if r.work <= 0:
            return STREAM_NEXT
    r.phase = PHASE_USER
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


cdef bint stream_take(stream_reader_t* r, const uint8_t* data, size_t n) noexcept nogil:
    """Take received bytes, to be read by stream_go. False: that failed, which stream_go tells."""
    if r.layer or r.phase >= PHASE_READY or r.phase == PHASE_INFLATE:
        return True                     # the message was whole before these
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


cdef int stream_next_node(stream_reader_t* r, push_node_t* out) noexcept nogil:
    """The next node of a push/pull that is ready: 1, or 0 behind the last; -1 cannot happen."""
    cdef slice_t all_ = buffer_slice(&r.buffers[r.layer])
    cdef const uint32_t* kept = <const uint32_t*>r.kept.data
    cdef cursor_t c
    if r.kept_next >= r.kept.len // sizeof(uint32_t):
        return 0
    c = cursor_of(slice_from(all_, kept[r.kept_next]))
    r.kept_next += 1
    return 1 if message_decode(&PUSH_NODE, &c, out) == DROP_NONE else -1
