# sessions.pxi: what happens on a stream. One request, at most one reply, then the end
# (protocol §10). The driver dials, writes and closes as the commands say, and brings what comes in.
#
# What a session has to do it does in steps, as far as the work of one entry goes; the rest waits in
# a queue that each tick takes one turn of. A table of a few nodes is done with at once.

# --- commands -----------------------------------------------------------------------------------

cdef command_t* push_command(swim_t* s, uint8_t kind, uint32_t stream) noexcept nogil:
    cdef commands_t* commands = &s.commands
    cdef uint32_t capacity = commands.capacity * 2 if commands.capacity else 16
    cdef command_t* ring
    cdef command_t* command
    cdef uint32_t i
    if commands.count == commands.capacity:
        ring = <command_t*>malloc(capacity * sizeof(command_t))
        if ring == NULL:
            drop(s, DROP_NO_MEMORY)
            return NULL
        for i in range(commands.count):
            ring[i] = commands.ring[(commands.head + i) & (commands.capacity - 1)]
        free(commands.ring)
        commands.ring = ring
        commands.head = 0
        commands.capacity = capacity
    command = &commands.ring[(commands.head + commands.count) & (commands.capacity - 1)]
    memset(command, 0, sizeof(command_t))
    command.kind = kind
    command.stream = stream
    commands.count += 1
    return command


cdef bint pop_command(swim_t* s, command_t* command) noexcept nogil:
    """Moves the oldest command out; the caller then owns its bytes."""
    cdef commands_t* commands = &s.commands
    if commands.count == 0:
        return False
    command[0] = commands.ring[commands.head]
    commands.head = (commands.head + 1) & (commands.capacity - 1)
    commands.count -= 1
    return True


cdef bint written(swim_t* s, session_t* session) noexcept nogil:
    """Whether the driver has taken all that is to be written: a thread may be ahead of it."""
    cdef commands_t* commands = &s.commands
    cdef command_t* command
    cdef uint32_t i
    for i in range(commands.count):
        command = &commands.ring[(commands.head + i) & (commands.capacity - 1)]
        if command.kind == COMMAND_WRITE and command.stream == session.stream:
            return False
    return session.stage != STAGE_MAKE and session.stage != STAGE_WRITE


# --- the end of a session ------------------------------------------------------------------------

cdef void end_session(swim_t* s, session_t* session, const char* error,
                      size_t length) noexcept nogil:
    """Closes the stream and answers the request; `error` is NULL when all went well."""
    if error != NULL:
        s.stats[STAT_STREAMS_FAILED] += 1
    push_command(s, COMMAND_CLOSE, session.stream)
    tell_done(s, session.request, error, length, 0)
    free_session(s, session)


cdef void fail_session(swim_t* s, session_t* session, const char* error) noexcept nogil:
    end_session(s, session, error, strlen(error))


cdef session_t* open_session(swim_t* s, uint8_t role, const addr_t* peer,
                             uint32_t request) noexcept nogil:
    """Asks the driver to dial; NULL, with the request answered, when no more streams fit."""
    cdef session_t* session = new_session(s, role, peer)
    cdef command_t* command
    cdef const char* error = b"too many streams are open; try again"
    if session == NULL:
        tell_done(s, request, error, strlen(error), 0)
        return NULL
    session.request = request
    command = push_command(s, COMMAND_OPEN, session.stream)
    if command != NULL:
        command.peer = peer[0]
    return session


cdef bint send_on_stream(swim_t* s, session_t* session, slice_t plain) noexcept nogil:
    """One message through the stream's envelopes, after the dialler's label header."""
    cdef command_t* command = push_command(s, COMMAND_WRITE, session.stream)
    if command == NULL:
        return False
    if session.role != SESSION_SERVE and not stream_label(&s.envelope, &command.bytes):
        return False
    if session.role != SESSION_TCP_PING:      # that one keeps the deadline of its probe
        timers_rearm(&s.timers, session.timer, s.now_ns + s.settings.tcp_timeout_ns)
    return stream_seal(&s.envelope, s.opened, plain, &command.bytes)


# --- the dialling side --------------------------------------------------------------------------

cdef void start_push_pull(swim_t* s, const addr_t* peer, bint join,
                          uint32_t request) noexcept nogil:
    cdef session_t* session = open_session(s, SESSION_PUSH_PULL, peer, request)
    if session != NULL:
        session.receiver.join = join
        s.stats[STAT_PUSH_PULLS_SENT] += 1


cdef void start_tcp_ping(swim_t* s) noexcept nogil:
    """The fallback of the probe under way; it may take as long as the probe."""
    cdef session_t* session = open_session(s, SESSION_TCP_PING, &s.probe.address, 0)
    if session != NULL:
        session.sequence = s.probe.sequence
        session.target = identity_retain(s.probe.target)
        timers_rearm(&s.timers, session.timer, s.probe.deadline_ns)


cdef void write_request(swim_t* s, session_t* session) noexcept nogil:
    """The connection stands: say what it was opened for."""
    cdef uint8_t[CLAIM_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, CLAIM_BYTES_MAX)
    cdef ping_t ping
    if session.role == SESSION_PUSH_PULL:
        session.sender = push_pull_sender(s, session.receiver.join)
    if session.role == SESSION_TCP_PING or session.role == SESSION_FIND:
        own_ping(s, session.sequence, identity_name(session.target), &ping)
        encode_ping(&writer, &ping)
        if not send_on_stream(s, session, writer_slice(&writer)):
            fail_session(s, session, b"no memory for the request")
    elif session.sender == NULL:
        fail_session(s, session, b"no memory for the request")
    else:
        session.stage = STAGE_MAKE


cdef void own_ping(swim_t* s, uint32_t sequence, slice_t node, ping_t* ping) noexcept nogil:
    """A ping with this node as its source."""
    memset(ping, 0, sizeof(ping_t))
    ping.seq_no = sequence
    ping.node = node
    ping.source_addr = identity_addr(s.identity)
    ping.source_port = s.identity.port
    ping.source_node = identity_name(s.identity)


cdef void read_reply(swim_t* s, session_t* session) noexcept nogil:
    cdef stream_reader_t* reader = &session.reader
    cdef char[ERROR_TEXT_BYTES_MAX] text
    cdef err_t err
    cdef ack_t ack
    if reader.type == MSG_ERR and decode_err(reader.body, &err) == DROP_NONE:
        end_session(s, session, text, remote_error(text, err.error))
    elif session.role == SESSION_PUSH_PULL and reader.type == MSG_PUSH_PULL:
        session.stage = STAGE_MERGE
    elif (session.target != NULL and reader.type == MSG_ACK
            and decode_ack(reader.body, &ack) == DROP_NONE and ack.seq_no == session.sequence):
        acked(s, session)
    else:
        fail_session(s, session, b"the peer's reply is of an unexpected type")


cdef void acked(swim_t* s, session_t* session) noexcept nogil:
    if session.role == SESSION_FIND:
        s.stats[STAT_HEAL_ANSWERS] += 1
        heal_found(s, &session.peer, HEAL_ROUNDS, 0)
    elif s.probe.phase != PROBE_IDLE and s.probe.sequence == session.sequence:
        s.probe.tcp_acked = True
    end_session(s, session, NULL, 0)


cdef size_t remote_error(char* text, slice_t reason) noexcept nogil:
    """`remote error: ...` as memberlist says it, cut to the size of the text."""
    cdef const char* prefix = b"remote error: "
    cdef size_t length = min(<size_t>reason.len, <size_t>(ERROR_TEXT_BYTES_MAX - 14))
    memcpy(text, prefix, 14)
    if length:
        memcpy(&text[14], reason.ptr, length)
    return 14 + length


# --- the serving side ---------------------------------------------------------------------------

cdef void serve(swim_t* s, session_t* session) noexcept nogil:
    """A whole request is here. A push/pull is answered before it is merged (protocol §10.3)."""
    cdef stream_reader_t* reader = &session.reader
    cdef bint failed = False
    if reader.type == MSG_PUSH_PULL:
        s.stats[STAT_PUSH_PULLS_RECEIVED] += 1
        session.sender = push_pull_sender(s, reader.header.join)
        session.stage = STAGE_MAKE
        if session.sender != NULL:
            return
        failed = True
    elif reader.type == MSG_PING:
        failed = not serve_ping(s, session)
    elif reader.type == MSG_USER:
        if reader.user.len:
            s.source = session.peer
            take_message(s, reader.user, True)
    else:
        failed = True
    if failed:
        fail_session(s, session, b"request refused")
    else:
        end_session(s, session, NULL, 0)


cdef bint serve_ping(swim_t* s, session_t* session) noexcept nogil:
    """The ack of a TCP ping has no payload; a ping for another name gets none (protocol §10.4)."""
    cdef uint8_t[64] bytes
    cdef writer_t writer = writer_of(bytes, 64)
    cdef ping_t ping
    cdef ack_t ack
    if decode_ping(session.reader.body, &ping) != DROP_NONE:
        return False
    if ping.node.len and not is_self(s, ping.node):
        drop(s, DROP_PING_WRONG_NODE)
        return False
    memset(&ack, 0, sizeof(ack))
    ack.seq_no = ping.seq_no
    encode_ack(&writer, &ack)
    return send_on_stream(s, session, writer_slice(&writer))


cdef void refuse_stream(swim_t* s, session_t* session) noexcept nogil:
    """A request that could not be read: some failures are told to the peer (protocol §10.1)."""
    cdef uint8_t[ERROR_TEXT_BYTES_MAX + 32] bytes
    cdef writer_t writer = writer_of(bytes, ERROR_TEXT_BYTES_MAX + 32)
    cdef err_t err
    if session.role == SESSION_SERVE and session.reader.reply_error:
        memset(&err, 0, sizeof(err))
        err.error = slice_of(<const uint8_t*>session.reader.error,
                            <uint32_t>strlen(session.reader.error))
        encode_err(&writer, &err)
        send_on_stream(s, session, writer_slice(&writer))
    fail_session(s, session, session.reader.error)


cdef void over_budget(swim_t* s, session_t* session) noexcept nogil:
    """Others hold the room that this stream of a peer's would need; the peer may try again."""
    s.stats[STAT_STREAMS_OVER_BUDGET] += 1
    stream_fail(&session.reader, b"the streams of others hold too many bytes; try again", True)
    refuse_stream(s, session)


# --- work -----------------------------------------------------------------------------------------

cdef void read_on(swim_t* s, session_t* session) noexcept nogil:
    cdef int status = stream_go(&session.reader, &s.work)
    if status != STREAM_FAILED and not within_budget(s, session, 0):
        over_budget(s, session)
    elif status == STREAM_READY:
        if session.role == SESSION_SERVE:
            serve(s, session)
        else:
            read_reply(s, session)
    elif status == STREAM_FAILED:
        refuse_stream(s, session)
    elif status == STREAM_MORE and session.ended and session.role == SESSION_USER_MESSAGE \
            and session.opened:
        end_session(s, session, NULL, 0)      # no reply; its receiver closes (protocol §10.5)
    elif status == STREAM_MORE and session.ended:
        fail_session(s, session, b"the peer closed the connection before its message was complete")
    elif status == STREAM_MORE:
        session.stage = STAGE_WAIT


cdef void make_on(swim_t* s, session_t* session) noexcept nogil:
    cdef bint made
    if not sender_make(s, session.sender, session.role != SESSION_SERVE, &made):
        fail_session(s, session, b"no memory for the message, or it is too long")
    elif not within_budget(s, session, 0):
        over_budget(s, session)
    elif made:
        timers_rearm(&s.timers, session.timer, s.now_ns + s.settings.tcp_timeout_ns)
        session.stage = STAGE_WRITE


cdef void write_on(swim_t* s, session_t* session) noexcept nogil:
    """Hand one piece over; behind the last comes what the session was written to for."""
    cdef sender_t* o = session.sender
    cdef slice_t piece = slice_head(slice_from(buffer_slice(&o.out), o.out_at), STREAM_PIECE_BYTES)
    cdef command_t* command = push_command(s, COMMAND_WRITE, session.stream)
    if command == NULL or not buffer_append_slice(&command.bytes, piece):
        fail_session(s, session, b"no memory for the message")
        return
    o.out_at += piece.len
    s.work -= WORK_PIECE
    if o.out_at < o.out.len:
        return
    sender_free(s, o)
    session.sender = NULL
    if session.role == SESSION_SERVE:
        session.stage = STAGE_MERGE
    else:
        session.stage = STAGE_READ


cdef void merge_on(swim_t* s, session_t* session) noexcept nogil:
    cdef int verdict = merge_some(s, &session.receiver, &session.reader)
    if verdict == MERGE_OK and session.request and s.heal.rounds == 0:
        heal_found(s, &session.peer, HEAL_ROUNDS - 1, s.settings.probe_interval_ns)
    if verdict == MERGE_OK or (verdict == MERGE_INCOMPATIBLE and session.role == SESSION_SERVE):
        end_session(s, session, NULL, 0)
    elif verdict == MERGE_INCOMPATIBLE:
        fail_session(s, session, b"the peer's members speak versions that do not fit ours")


cdef void work_on(swim_t* s, session_t* session) noexcept nogil:
    """Step by step, as far as the work goes; what is left waits in the queue."""
    cdef uint32_t stream = session.stream
    while session != NULL and session.stage != STAGE_WAIT and s.work > 0:
        if session.stage == STAGE_READ:
            read_on(s, session)
        elif session.stage == STAGE_MAKE:
            make_on(s, session)
        elif session.stage == STAGE_WRITE:
            write_on(s, session)
        else:
            merge_on(s, session)
        session = find_session(s, stream)
    if session != NULL and session.stage != STAGE_WAIT and not session.queued:
        queue_work(s, session)


cdef bint swim_has_work(swim_t* s) noexcept nogil:
    return s.working != NULL or s.large.trash != NULL


cdef void work_a_slice(swim_t* s) noexcept nogil:
    """What a tick does of the work that waits: one turn of one session."""
    cdef session_t* session = s.working
    if session != NULL:
        forget_work(s, session)
        work_on(s, session)
    elif s.large.trash != NULL:
        large_give_back(s.large)


# --- what the driver reports ----------------------------------------------------------------------

cdef void session_opened(swim_t* s, uint32_t stream) noexcept nogil:
    cdef session_t* session = find_session(s, stream)
    if session != NULL and session.role != SESSION_SERVE and not session.opened:
        session.opened = True
        s.work = WORK_SLICE
        write_request(s, session)
        session = find_session(s, stream)
        if session != NULL:
            work_on(s, session)


cdef void session_received(swim_t* s, uint32_t stream, const uint8_t* data,
                           size_t size) noexcept nogil:
    cdef session_t* session = find_session(s, stream)
    if session == NULL:
        return
    if stream_takes(&session.reader) and not may_receive(s, session, size):
        over_budget(s, session)
        return
    large_expect(s.large, &session.reader.buffers[0], size)
    stream_take(&session.reader, data, size)
    if session.stage == STAGE_WAIT:
        session.stage = STAGE_READ
        s.work = WORK_SLICE
        work_on(s, session)


cdef void session_ended(swim_t* s, uint32_t stream) noexcept nogil:
    """The peer sends no more; what it did send may still be read, answered and merged."""
    cdef session_t* session = find_session(s, stream)
    if session == NULL:
        return
    session.ended = True
    if session.role == SESSION_USER_MESSAGE and not written(s, session):
        fail_session(s, session, b"the peer did not read all of it")
    elif session.stage == STAGE_WAIT:
        session.stage = STAGE_READ
        s.work = WORK_SLICE
        work_on(s, session)


cdef void session_failed(swim_t* s, uint32_t stream, const char* text, size_t size) noexcept nogil:
    cdef session_t* session = find_session(s, stream)
    if session != NULL and session.stage != STAGE_MERGE:     # that needs the connection no more
        end_session(s, session, text, min(size, <size_t>ERROR_TEXT_BYTES_MAX))


cdef void session_timeout(swim_t* s, uint32_t stream) noexcept nogil:
    cdef session_t* session = find_session(s, stream)
    if session != NULL:
        session.timer = -1
        fail_session(s, session, b"timed out" if session.opened or session.role == SESSION_SERVE
                     else b"timed out while connecting")
