# stream_reader.pxi: what is known of a stream while it is read: bytes, how far, what was found; and
# the nodes of a push/pull, which are many. stream.pxi reads with it.

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
    PHASE_UNSEAL
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
    slice_t box                 # text and tag, while it is unsealed
    pass_t opening
    uint32_t key                # the one that is tried
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
    pass_drop(&r.opening)
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


# -- the nodes of a push/pull

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
