# push_pull.pxi: the whole table, written for a peer and merged from one; protocol §10.3, §11.2.

cdef enum:
    MERGE_OK = 0
    MERGE_MALFORMED = 1
    MERGE_INCOMPATIBLE = 2

# The range of versions that all members of both tables can agree on.
cdef struct versions_t:
    uint8_t protocol_low
    uint8_t protocol_high
    uint8_t delegate_low
    uint8_t delegate_high


cdef bint write_push_pull(swim_t* s, bint join, buffer_t* out) noexcept nogil:
    """Appends header, every member, dead and left ones too, and the user state."""
    cdef uint8_t[CLAIM_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, CLAIM_BYTES_MAX)
    cdef push_pull_header_t header
    cdef push_node_t node
    cdef member_t* row
    cdef uint32_t i
    header.nodes = s.table.order_count
    header.user_state_len = <int64_t>s.local_state.len
    header.join = join
    encode_push_pull_header(&writer, &header)
    if not buffer_append_slice(out, writer_slice(&writer)):
        return False
    for i in range(s.table.order_count):
        row = row_at(s, table_at(&s.table, i))
        node.name = identity_name(row.identity)
        node.addr = identity_addr(row.identity)
        node.port = row.identity.port
        node.meta = identity_meta(row.identity)
        node.incarnation = row.incarnation
        node.state = row.state
        node.vsn = slice_of(row.identity.vsn, VSN_BYTES)
        writer = writer_of(bytes, CLAIM_BYTES_MAX)
        encode_push_node(&writer, &node)
        if not buffer_append_slice(out, writer_slice(&writer)):
            return False
    return buffer_append_slice(out, buffer_slice(&s.local_state))


# --- versions -----------------------------------------------------------------------------------

cdef void narrow(versions_t* range_, const uint8_t* vsn) noexcept nogil:
    range_.protocol_low = max(range_.protocol_low, vsn[0])
    range_.protocol_high = min(range_.protocol_high, vsn[1])
    range_.delegate_low = max(range_.delegate_low, vsn[3])
    range_.delegate_high = min(range_.delegate_high, vsn[4])


cdef bint within(const versions_t* range_, const uint8_t* vsn) noexcept nogil:
    return (range_.protocol_low <= vsn[2] <= range_.protocol_high
            and range_.delegate_low <= vsn[5] <= range_.delegate_high)


cdef int check_versions(swim_t* s, stream_reader_t* reader) noexcept nogil:
    """Whether every node of both tables can speak with every other.

    Entries without six sane version bytes take no part and are not merged either: one poisoned
    member must not stop all synchronisation of its pool (memberlist lets it).
    """
    cdef versions_t range_ = versions_t(0, 255, 0, 255)
    cdef push_node_t node
    cdef member_t* row
    cdef uint32_t i
    cdef int more = stream_next_node(reader, &node)
    while more == 1:
        if node.state == STATE_ALIVE and versions_sane(node.vsn):
            narrow(&range_, node.vsn.ptr)
        more = stream_next_node(reader, &node)
    stream_rewind(reader)
    if more < 0:
        return MERGE_MALFORMED
    for i in range(s.table.order_count):
        row = row_at(s, table_at(&s.table, i))
        if row.state == STATE_ALIVE:
            narrow(&range_, row.identity.vsn)
    for i in range(s.table.order_count):
        if not within(&range_, row_at(s, table_at(&s.table, i)).identity.vsn):
            return MERGE_INCOMPATIBLE
    while stream_next_node(reader, &node) == 1:
        if versions_sane(node.vsn) and not within(&range_, node.vsn.ptr):
            stream_rewind(reader)
            return MERGE_INCOMPATIBLE
    stream_rewind(reader)
    return MERGE_OK


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


cdef int merge_push_pull(swim_t* s, stream_reader_t* reader) noexcept nogil:
    """Merges what a stream brought: all of it or, when versions do not fit, nothing."""
    cdef push_node_t node
    cdef int verdict = check_versions(s, reader)
    if verdict != MERGE_OK:
        s.stats[STAT_PUSH_PULLS_REFUSED] += 1
        return verdict
    s.from_packet = False
    while stream_next_node(reader, &node) == 1:
        merge_node(s, &node)
    if reader.user.len:
        tell_bytes(s, EVENT_STATE, reader.user, reader.header.join)
    return MERGE_OK
