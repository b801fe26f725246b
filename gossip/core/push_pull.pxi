# push_pull.pxi: the whole table, written for a peer and merged from one; protocol §10.3, §11.2.


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


cdef bint write_push_pull(swim_t* s, bint join, buffer_t* out) noexcept nogil:
    """Appends header, every member, dead and left ones too, and the user state.

    Members as they lie in memory: on the wire any order will do (protocol §10.3), and the order of
    the table is a random one, which costs a cache miss or two a member.
    """
    cdef push_pull_header_t header
    cdef writer_t writer
    cdef member_t* row
    cdef uint32_t i
    header.nodes = s.table.order_count
    header.user_state_len = <int64_t>s.local_state.len
    header.join = join
    if not buffer_reserve(out, CLAIM_BYTES_MAX):
        return False
    writer = writer_of(buffer_end(out), CLAIM_BYTES_MAX)
    encode_push_pull_header(&writer, &header)
    out.len += writer_len(&writer)
    for i in range(s.table.used):
        row = row_at(s, i)
        if row.identity == NULL or not is_member(row):
            continue
        if not buffer_reserve(out, CLAIM_BYTES_MAX):
            return False
        writer = writer_of(buffer_end(out), CLAIM_BYTES_MAX)
        encode_member(row, &writer)
        out.len += writer_len(&writer)
    return buffer_append_slice(out, buffer_slice(&s.local_state))


cdef bint versions_fit(swim_t* s, const stream_reader_t* reader) noexcept nogil:
    """Whether every node of both tables can speak with every other.

    Entries without six sane version bytes take no part and are not merged either: one poisoned
    member must not stop all synchronisation of its pool (memberlist lets it).
    """
    cdef versions_t both = reader.versions
    cdef member_t* row
    cdef uint32_t i
    for i in range(s.table.used):        # as they lie in memory: the order is a random one
        row = row_at(s, i)
        if row.identity != NULL and is_member(row):
            versions_add(&both, row.identity.vsn, row.state == STATE_ALIVE)
    return versions_agree(&both)


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


cdef bint merge_push_pull(swim_t* s, stream_reader_t* reader) noexcept nogil:
    """Merges what a stream brought: all of it or, False, when versions do not fit, nothing."""
    cdef push_node_t node
    if not versions_fit(s, reader):
        s.stats[STAT_PUSH_PULLS_REFUSED] += 1
        return False
    s.from_packet = False
    while stream_next_node(reader, &node) == 1:
        merge_node(s, &node)
    if reader.user.len:
        tell_bytes(s, EVENT_STATE, reader.user, reader.header.join)
    return True
