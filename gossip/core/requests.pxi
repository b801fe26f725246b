# requests.pxi: what the user asks of his node. A request returns a number; its answer is an event
# `done` of that number, at once or later.

cdef void answer(swim_t* s, uint32_t request, const char* error) noexcept nogil:
    tell_done(s, request, error, strlen(error), 0)


cdef bint start_node(swim_t* s) noexcept nogil:
    """The node takes its own row, and its timers begin; protocol §16, §20."""
    cdef alive_t alive
    s.incarnation = min(coarse_clock(s), <uint32_t>INCARNATION_START_MAX - 1) + 1
    s.self_row = table_add(&s.table, identity_retain(s.identity), &s.rng, STATE_DEAD, s.now_ns)
    if s.self_row == NONE:
        return False
    row_at(s, s.self_row).flags |= MEMBER_SELF
    s.started = True
    s.behind_ns = INT64_MIN
    s.stalled_ns = INT64_MIN
    if s.delegate != NULL:
        s.delegate.start(s)
    own_alive(s, &alive)
    accept_alive(s, s.self_row, &alive, 0)
    s.probe.interval_timer = timers_arm(&s.timers, TIMER_PROBE_INTERVAL, 0,
                                        s.now_ns + s.settings.probe_interval_ns)
    if s.settings.gossip_nodes > 0 and s.settings.gossip_interval_ns > 0:
        timers_arm(&s.timers, TIMER_GOSSIP, 0, s.now_ns + s.settings.gossip_interval_ns)
    if s.settings.push_pull_interval_ns > 0:
        timers_arm(&s.timers, TIMER_PUSH_PULL, 0, s.now_ns + <int64_t>(
            rng_u64(&s.rng) % <uint64_t>s.settings.push_pull_interval_ns))
    return True


cdef bint others_up(swim_t* s) noexcept nogil:
    """Whether anybody else would hear a broadcast."""
    cdef uint32_t up = rows_in(s, STATE_ALIVE) + rows_in(s, STATE_SUSPECT)
    if is_up(row_at(s, s.self_row)):
        up -= 1
    return up > 0


cdef uint32_t ask_join(swim_t* s, const addr_t* peer) noexcept nogil:
    cdef uint32_t request = next_request(s)
    start_push_pull(s, peer, True, request)
    return request


cdef uint32_t ask_leave(swim_t* s) noexcept nogil:
    cdef uint32_t request = next_request(s)
    begin_leave(s, request)
    return request


cdef void begin_leave(swim_t* s, uint32_t request) noexcept nogil:
    """Says goodbye; answered when the word has been spread often enough (protocol §21)."""
    cdef claim_t claim
    if s.leaving:
        answer(s, request, b"already leaving")
        return
    s.leaving = True
    heal_clear(s)
    memset(&claim, 0, sizeof(claim))
    claim.incarnation = s.incarnation
    claim.node = identity_name(s.identity)
    claim.from_ = claim.node
    s.leave_request = request
    handle_dead(s, &claim, request if others_up(s) else 0)
    end_lonely_leave(s)


cdef void end_lonely_leave(swim_t* s) noexcept nogil:
    """A leave is done as well when nobody is left who would hear it: a whole pool may leave."""
    if s.leave_request and not others_up(s):
        tell_done(s, s.leave_request, NULL, 0, 0)
        s.leave_request = 0


cdef uint32_t ask_update(swim_t* s, slice_t meta) noexcept nogil:
    """New metadata under a new incarnation; answered when it has been spread (protocol §21)."""
    cdef uint32_t request = next_request(s)
    cdef alive_t alive
    cdef identity_t* identity
    if s.leaving:
        answer(s, request, b"this node has left its pool")
        return request
    if incarnation_jumps(s, 0, s.incarnation + 1, INCARNATION_AHEAD_OWN):
        answer(s, request, b"peers have driven the incarnation to its limit; try again later")
        return request
    identity = identities_intern(s.identities, identity_name(s.identity),
                                 identity_addr(s.identity), s.identity.port, meta,
                                 s.identity.vsn)
    if identity == NULL:
        answer(s, request, b"no memory")
        return request
    identity_release(s.identities, s.identity)
    s.identity = identity
    if not planted(BUG_STALE_META):
        s.incarnation += 1
    own_alive(s, &alive)
    accept_alive(s, s.self_row, &alive, request if others_up(s) else 0)
    if not others_up(s):
        tell_done(s, request, NULL, 0, 0)
    return request


cdef member_t* addressee(swim_t* s, slice_t name, uint32_t request) noexcept nogil:
    """The member a request is for; NULL, with the request answered, when there is none."""
    cdef uint32_t index = find_row(s, name)
    if index == NONE or not is_member(row_at(s, index)):
        answer(s, request, b"no such member")
        return NULL
    return row_at(s, index)


cdef uint32_t ask_ping(swim_t* s, slice_t name) noexcept nogil:
    cdef uint32_t request = next_request(s)
    cdef member_t* row = addressee(s, name, request)
    cdef waiter_t* waiter
    cdef addr_t to
    if row == NULL:
        return request
    identity_addr_t(row.identity, &to)
    waiter = new_waiter(s, TIMER_REQUEST, s.now_ns + s.settings.probe_timeout_ns)
    if waiter == NULL:
        answer(s, request, b"too many pings are under way")
        return request
    waiter.request = request
    waiter.requester = to
    send_ping(s, &to, waiter.sequence, identity_name(row.identity), True)
    return request


cdef uint32_t ask_send(swim_t* s, slice_t name, slice_t payload) noexcept nogil:
    """A best-effort user message: one packet, no answer from the peer (protocol §4.8)."""
    cdef uint32_t request = next_request(s)
    cdef member_t* row = addressee(s, name, request)
    cdef slot_t* slot
    cdef writer_t writer
    cdef addr_t to
    if row == NULL:
        return request
    identity_addr_t(row.identity, &to)
    slot = new_packet(s, &to, payload.len + 1)
    if slot == NULL:
        answer(s, request, b"too much is waiting to be sent")
        return request
    writer = packet_begin(&s.envelope, slot)
    writer_u8(&writer, MSG_USER)
    writer_slice_in(&writer, payload)
    if send_packet(s, slot, &writer, protocol_max(row) >= PROTOCOL_CRC):
        tell_done(s, request, NULL, 0, 0)
    else:
        answer(s, request, b"the message does not fit a packet; send it reliably")
    return request


cdef uint32_t ask_send_reliably(swim_t* s, slice_t name, slice_t payload) noexcept nogil:
    """A user message over a stream; answered when its receiver closes (protocol §10.5)."""
    cdef uint32_t request = next_request(s)
    cdef member_t* row = addressee(s, name, request)
    cdef uint8_t[64] bytes
    cdef writer_t writer = writer_of(bytes, 64)
    cdef user_header_t header
    cdef session_t* session
    cdef blob_t* message
    cdef addr_t to
    if row == NULL:
        return request
    identity_addr_t(row.identity, &to)
    header.user_msg_len = payload.len
    encode_user_header(&writer, &header)
    message = blob_new(writer_slice(&writer), payload)
    if message == NULL:
        answer(s, request, b"no memory")
        return request
    session = open_session(s, SESSION_USER_MESSAGE, &to, request)
    if session == NULL:
        blob_release(message)
    else:
        session.sender = sender_new(message)
    return request


cdef bint ask_broadcast(swim_t* s, slice_t name, slice_t payload) noexcept nogil:
    """Queues a user message for everybody; a later one of the same name takes its place."""
    return queue_add(&s.queues[QUEUE_USER], name, 0, payload, 0)


cdef void refuse(swim_t* s, uint32_t index) noexcept nogil:
    """Remembers a refused name, so that it is not asked about again, and forgets the oldest."""
    cdef uint32_t place = <uint32_t>(s.refusals % PENDING_MAX)
    if s.refusals >= PENDING_MAX:
        table_remove(&s.table, s.refused[place])
    table_set_state(&s.table, index, STATE_REFUSED, s.now_ns)
    s.refused[place] = index
    s.refusals += 1


cdef void admit(swim_t* s, slice_t name, bint allowed) noexcept nogil:
    """The answer of accept_member about a name that waits."""
    cdef uint32_t index = find_row(s, name)
    cdef member_t* row
    cdef alive_t alive
    if index == NONE or row_at(s, index).state != STATE_PENDING:
        return
    row = row_at(s, index)
    if not allowed:
        refuse(s, index)
        return
    if s.table.order_count >= s.settings.max_members:
        drop(s, DROP_MEMBERS_FULL)
        table_remove(&s.table, index)
        return
    memset(&alive, 0, sizeof(alive))
    alive.incarnation = row.incarnation
    alive.node = identity_name(row.identity)
    alive.addr = identity_addr(row.identity)
    alive.port = row.identity.port
    alive.meta = identity_meta(row.identity)
    alive.vsn = slice_of(row.identity.vsn, VSN_BYTES)
    table_set_state(&s.table, index, STATE_DEAD, s.now_ns)
    table_promote(&s.table, index, &s.rng)
    accept_alive(s, index, &alive, 0)
