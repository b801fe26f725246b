# push_pull.pxi: the whole table, written for a peer and merged from one; protocol §10.3, §11.2.
#
# Both in slices of bounded work, so that a large table holds nobody up. Rows may come, go and
# change in between: each is written, and each entry merged, as things are at that moment.

cdef enum:
    MERGE_OK = 0
    MERGE_MORE = 1
    MERGE_INCOMPATIBLE = 2

cdef enum:
    SENDER_ROOM = 320            # for what stands before the text: label, seal, compress header
    ROWS_AHEAD = 8               # whose identities are asked for while a row is looked at

# A message on its way out to a stream: made, then handed over, bit by bit.
cdef struct sender_t:
    uint32_t row                 # the next one to write
    uint32_t entries             # still to be written
    bint head_written
    bint join
    blob_t* tail                 # what follows the entries: user state, or a whole message
    made_state_t state           # or this does, when a layer above makes it
    uint32_t tail_at
    buffer_t plain               # of one step
    buffer_t out                 # SENDER_ROOM, then the text
    uint32_t out_at              # handed over up to here
    bint sealing                 # all is there but the cipher text
    pass_t pass_
    packer_t packer
    lzw_t lzw


# --- writing ------------------------------------------------------------------------------------

cdef sender_t* sender_new(blob_t* tail) noexcept nogil:
    """For a message that is just these bytes, which it takes over; NULL without memory."""
    cdef sender_t* o = <sender_t*>malloc(sizeof(sender_t))
    if o == NULL:
        blob_release(tail)
        return NULL
    memset(o, 0, sizeof(sender_t) - sizeof(lzw_t))
    o.head_written = True
    o.state.done = True
    o.tail = tail
    return o


cdef sender_t* push_pull_sender(swim_t* s, bint join) noexcept nogil:
    """For the whole table as it is, and the user state."""
    cdef sender_t* o = sender_new(blob_retain(s.local_state) if s.delegate == NULL else NULL)
    if o != NULL:
        o.head_written = False
        o.state.done = s.delegate == NULL
        o.join = join
    return o


cdef void sender_free(swim_t* s, sender_t* o) noexcept nogil:
    if o != NULL:
        blob_release(o.tail)
        large_discard(s.large, &o.state.head)
        large_discard(s.large, &o.state.body)
        large_discard(s.large, &o.state.scratch)
        pass_drop(&o.pass_)
        buffer_free(&o.plain)
        large_discard(s.large, &o.out)
        free(o)


cdef inline uint32_t tail_bytes(const sender_t* o) noexcept nogil:
    return blob_slice(o.tail).len + <uint32_t>(o.state.head.len + o.state.body.len)


cdef slice_t tail_piece(const sender_t* o) noexcept nogil:
    """The next bytes behind the entries that stand in one piece; empty at the end."""
    cdef uint32_t at = o.tail_at
    if o.tail != NULL:
        return slice_from(blob_slice(o.tail), at)
    if at < o.state.head.len:
        return slice_from(buffer_slice(&o.state.head), at)
    return slice_from(buffer_slice(&o.state.body), at - <uint32_t>o.state.head.len)


cdef bint write_head(swim_t* s, sender_t* o) noexcept nogil:
    cdef uint8_t[CLAIM_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, CLAIM_BYTES_MAX)
    cdef push_pull_header_t header
    o.entries = s.table.order_count
    header.nodes = o.entries
    header.user_state_len = tail_bytes(o)
    header.join = o.join
    encode_push_pull_header(&writer, &header)
    o.head_written = True
    return buffer_append_slice(&o.plain, writer_slice(&writer))


cdef member_t* next_row(swim_t* s, sender_t* o) noexcept nogil:
    """The next member by number. The header has promised how many there are: rows that went since
    are made up for with this node's own, which tells the peer nothing twice."""
    cdef member_t* row
    while o.row < s.table.used:
        row = row_at(s, o.row)
        o.row += 1
        if row.identity != NULL and is_member(row):
            return row
    return row_at(s, s.self_row)


cdef void encode_member(const member_t* row, writer_t* writer) noexcept nogil:
    """One member as the entry of a push/pull."""
    cdef push_node_t node
    node.name = identity_name(row.identity)
    node.addr = identity_addr(row.identity)
    node.port = row.identity.port
    node.meta = identity_meta(row.identity)
    node.incarnation = row.incarnation
    node.state = row.state
    node.vsn = slice_of(row.identity.vsn, VSN_BYTES)
    encode_push_node(writer, &node)


cdef bint write_entry(swim_t* s, sender_t* o) noexcept nogil:
    cdef writer_t writer
    if not buffer_reserve(&o.plain, CLAIM_BYTES_MAX):
        return False
    writer = writer_of(buffer_end(&o.plain), CLAIM_BYTES_MAX)
    encode_member(next_row(s, o), &writer)
    o.plain.len += writer_len(&writer)
    o.entries -= 1
    s.work -= WORK_ENTRY
    return True


cdef inline int64_t packing_work(swim_t* s, const sender_t* o) noexcept nogil:
    """What the bytes of this step cost once more: they may be compressed."""
    return <int64_t>o.plain.len // PLAIN_PER_WORK if s.envelope.compression else 0


cdef bint write_some(swim_t* s, sender_t* o) noexcept nogil:
    """The next bytes of the message into `plain`, as many as the work allows to compress."""
    cdef slice_t piece
    buffer_clear(&o.plain)
    if not o.state.done:
        return s.delegate.make_state(s, &o.state)
    if not o.head_written and not write_head(s, o):
        return False
    while o.entries and s.work > packing_work(s, o):
        if not write_entry(s, o):
            return False
    if o.entries == 0:
        piece = slice_head(tail_piece(o), STREAM_PIECE_BYTES)
        if not buffer_append_slice(&o.plain, piece):
            return False
        o.tail_at += piece.len
        s.work -= <int64_t>piece.len // COPIED_PER_WORK
    s.work -= packing_work(s, o)
    return True


cdef inline bint sender_done(const sender_t* o) noexcept nogil:
    return o.head_written and o.entries == 0 and o.tail_at == tail_bytes(o)


cdef bint sender_begin(swim_t* s, sender_t* o) noexcept nogil:
    cdef writer_t w
    if not buffer_reserve(&o.out, SENDER_ROOM + STREAM_PIECE_BYTES):
        return False
    o.out.len = SENDER_ROOM
    if s.envelope.compression:
        w = writer_of(buffer_end(&o.out), o.out.cap - o.out.len)
        lzw_begin(&o.packer, &w, &o.lzw, UINT32_MAX)
        o.out.len += writer_len(&w)
    return True


cdef bint sender_close(swim_t* s, sender_t* o) noexcept nogil:
    """Put the inner envelopes around the text; `out_at` is then where the first of them begins."""
    cdef uint8_t[64] bytes
    cdef writer_t w
    cdef slice_t head
    cdef uint32_t start = SENDER_ROOM
    if s.envelope.compression:
        w = writer_of(bytes, 64)
        encode_compress_head(&w, <uint32_t>o.out.len - SENDER_ROOM)
        head = writer_slice(&w)
        start -= head.len
        memcpy(&o.out.data[start], head.ptr, head.len)
    if envelope_seals(&s.envelope):
        start -= STREAM_SEAL_HEAD + SEAL_HEAD
        if not stream_seal_begin(&s.envelope, &o.out, start):
            return False
        o.sealing = True
    o.out_at = start
    return True


cdef bint sender_seal(swim_t* s, sender_t* o, bint label, bint* made) noexcept nogil:
    """A step of sealing, if there is a seal; then the label stands before all."""
    cdef uint32_t start = o.out_at
    cdef int result = PASS_DONE
    if o.sealing:
        result = stream_seal_on(&s.envelope, &o.out, start, &o.pass_, &s.work)
    made[0] = result == PASS_DONE
    if made[0] and label and s.envelope.label_len:
        start -= label_overhead(&s.envelope)
        o.out.data[start] = MSG_LABEL
        o.out.data[start + 1] = s.envelope.label_len
        memcpy(&o.out.data[start + 2], s.envelope.label, s.envelope.label_len)
        o.out_at = start
    return result != PASS_FAILED


cdef bint sender_make(swim_t* s, sender_t* o, bint label, bint* made) noexcept nogil:
    """One step of making the message; False: no memory, no nonce, or too long for any receiver."""
    cdef writer_t w
    made[0] = False
    if o.sealing:
        return sender_seal(s, o, label, made)
    if o.out.len == 0 and not sender_begin(s, o):
        return False
    if not write_some(s, o):
        return False
    large_expect(s.large, &o.out, o.plain.len)
    if not s.envelope.compression:
        if not buffer_append_slice(&o.out, buffer_slice(&o.plain)):
            return False
    else:
        if not buffer_reserve(&o.out, lzw_bound(o.plain.len)):
            return False
        w = writer_of(buffer_end(&o.out), o.out.cap - o.out.len)
        lzw_more(&o.packer, buffer_slice(&o.plain), &w)
        if sender_done(o):
            lzw_finish(&o.packer, &w)
        o.out.len += writer_len(&w)
    return not sender_done(o) or (sender_close(s, o) and sender_seal(s, o, label, made))


# --- versions -----------------------------------------------------------------------------------

# A received table on its way in: our versions are looked at, then its entries are merged.
cdef struct receiver_t:
    versions_t versions          # of both tables; those of theirs the reader has gathered
    uint32_t row
    bint join                    # said, or to be said
    bint ours_seen
    void* reading                # the user state, by a layer above


cdef void see_ours(swim_t* s, receiver_t* i, const versions_t* theirs) noexcept nogil:
    """Entries without six sane version bytes take no part and are not merged either: one poisoned
    member must not stop all synchronisation of its pool (memberlist lets it)."""
    cdef member_t* row
    if i.row == 0:
        i.versions = theirs[0]
    while s.work > 0:
        if i.row >= s.table.used:
            i.ours_seen = True
            return
        row = row_at(s, i.row)           # as they lie in memory: the order is a random one
        expect(row_at(s, min(i.row + ROWS_AHEAD, s.table.used - 1)).identity)
        i.row += 1
        if row.identity != NULL and is_member(row):
            versions_add(&i.versions, row.identity.vsn, row.state == STATE_ALIVE)
        s.work -= WORK_ROW


# --- what is known ------------------------------------------------------------------------------

cdef inline bint says_nothing_new(swim_t* s, const push_node_t* node,
                                  const member_t* row) noexcept nogil:
    """Whether the entry is about a life of another member that we know, no newer and at the same
    place. No rule acts on that (merge.pxi), whatever becomes of the row before the merge."""
    return (row.number != s.self_row and is_member(row)
            and node.incarnation <= row.incarnation and node.port == row.identity.port
            and node.meta.len <= META_BYTES_MAX and node.vsn.len == VSN_BYTES
            and memcmp(node.vsn.ptr, row.identity.vsn, VSN_BYTES) == 0
            and slice_equal(node.addr, identity_addr(row.identity)))


cdef void see_nodes(void* ctx, const push_node_t* nodes, uint32_t count,
                    uint8_t* keep) noexcept nogil:
    """Which entries are worth a merge: see_fn. In a pool at rest, none is.

    Each step asks for the memory of the next for all entries, so that they wait together.
    """
    cdef swim_t* s = <swim_t*>ctx
    cdef uint64_t[NODES_AT_ONCE] hashes
    cdef uint32_t i, row
    for i in range(count):
        hashes[i] = table_hash(&s.table, nodes[i].name)
        map_expect(&s.table.names, hashes[i])
    for i in range(count):
        map_expect_first(&s.table.names, hashes[i])
    for i in range(count):
        table_expect(&s.table, hashes[i])
    for i in range(count):
        if nodes[i].state == STATE_ALIVE:
            row = table_find(&s.table, nodes[i].name, hashes[i])
            keep[i] = row == NONE or not says_nothing_new(s, &nodes[i], row_at(s, row))


# --- merge --------------------------------------------------------------------------------------

cdef void merge_node(swim_t* s, const push_node_t* node) noexcept nogil:
    """One entry as the claim it stands for: a remote death is only a suspicion."""
    cdef alive_t alive
    cdef claim_t claim
    if node.state == STATE_ALIVE:
        memset(&alive, 0, sizeof(alive))
        alive.incarnation = node.incarnation
        alive.node = node.name
        alive.addr = node.addr
        alive.port = node.port
        alive.meta = node.meta
        alive.vsn = node.vsn
        handle_alive(s, &alive)
        return
    memset(&claim, 0, sizeof(claim))
    claim.incarnation = node.incarnation
    claim.node = node.name
    if node.state == STATE_LEFT:
        claim.from_ = node.name
        handle_dead(s, &claim, 0)
    elif node.state == STATE_SUSPECT or node.state == STATE_DEAD:
        claim.from_ = identity_name(s.identity)
        handle_suspect(s, &claim)


cdef int merge_user_state(swim_t* s, receiver_t* i, stream_reader_t* reader) noexcept nogil:
    """What stands behind the entries: for the layer above, or the user."""
    cdef bint join = i.join or reader.header.join
    if reader.user.len == 0:
        return MERGE_OK
    if s.delegate == NULL:
        tell_bytes(s, EVENT_STATE, reader.user, reader.header.join)
        return MERGE_OK
    return MERGE_OK if s.delegate.merge_state(s, reader.user, join, &i.reading) else MERGE_MORE


cdef int merge_some(swim_t* s, receiver_t* i, stream_reader_t* reader) noexcept nogil:
    """One slice of merging what a stream brought: all of it or, when versions do not fit, nothing.
    """
    cdef push_node_t node
    if not i.ours_seen:
        see_ours(s, i, &reader.versions)
        if i.ours_seen and not versions_agree(&i.versions):
            s.stats[STAT_PUSH_PULLS_REFUSED] += 1
            return MERGE_INCOMPATIBLE
        return MERGE_MORE
    s.from_packet = False
    while s.work > 0:
        if stream_next_node(reader, &node) != 1:
            return merge_user_state(s, i, reader)
        merge_node(s, &node)
        s.work -= WORK_ROW
    return MERGE_MORE
