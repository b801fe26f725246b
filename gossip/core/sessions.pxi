# sessions.pxi: what happens on a stream. One request, at most one reply, then the end
# (protocol §10). The driver dials, writes and closes as the commands say, and brings what comes in.

cdef enum SessionRole:
    SESSION_SERVE
    SESSION_PUSH_PULL
    SESSION_TCP_PING
    SESSION_USER_MESSAGE

cdef enum CommandKind:
    COMMAND_OPEN
    COMMAND_WRITE
    COMMAND_CLOSE

cdef struct session_t:
    uint32_t stream            # slot and serial: a late report about an old stream finds nothing
    uint8_t role
    bint join
    bint opened
    addr_t peer
    uint32_t request           # of the user, answered at the end; 0: none
    uint32_t sequence          # TCP ping
    identity_t* target         # TCP ping: a reference, for the probe may end first
    int32_t timer
    slice_t message            # SESSION_USER_MESSAGE: owned
    stream_reader_t reader


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


# --- life of a session --------------------------------------------------------------------------

cdef session_t* find_session(swim_t* s, uint32_t stream) noexcept nogil:
    cdef session_t* session = s.sessions[stream % STREAMS_MAX]
    return session if session != NULL and session.stream == stream else NULL


cdef session_t* new_session(swim_t* s, uint8_t role, const addr_t* peer) noexcept nogil:
    """A session with its deadline armed; NULL, and counted, at a limit."""
    cdef session_t* session = NULL
    cdef uint32_t i, slot
    if s.sessions_used < STREAMS_MAX and not (
            role == SESSION_SERVE and s.sessions_inbound >= STREAMS_INBOUND_MAX):
        session = <session_t*>calloc(1, sizeof(session_t))
    if session == NULL:
        s.stats[STAT_STREAMS_REFUSED] += 1
        return NULL
    for i in range(STREAMS_MAX):
        s.session_serial += 1
        slot = s.session_serial % STREAMS_MAX
        if s.sessions[slot] == NULL and s.session_serial != 0:
            break
    session.stream = s.session_serial
    session.role = role
    session.peer = peer[0]
    session.timer = timers_arm(&s.timers, TIMER_STREAM, session.stream,
                               s.now_ns + s.settings.tcp_timeout_ns)
    stream_reader_init(&session.reader, &s.envelope, s.opened, role == SESSION_SERVE, 0)
    s.sessions[slot] = session
    s.sessions_used += 1
    s.sessions_inbound += role == SESSION_SERVE
    return session


cdef void free_session(swim_t* s, session_t* session) noexcept nogil:
    s.sessions[session.stream % STREAMS_MAX] = NULL
    s.sessions_used -= 1
    s.sessions_inbound -= session.role == SESSION_SERVE
    timers_cancel(&s.timers, session.timer)
    stream_reader_free(&session.reader)
    identity_release(s.identities, session.target)
    free(<void*>session.message.ptr)
    free(session)


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


cdef bint send_state(swim_t* s, session_t* session, bint join) noexcept nogil:
    cdef buffer_t state
    cdef bint sent
    memset(&state, 0, sizeof(state))
    sent = (write_push_pull(s, join, &state)
            and send_on_stream(s, session, buffer_slice(&state)))
    buffer_free(&state)
    return sent


# --- the dialling side --------------------------------------------------------------------------

cdef void start_push_pull(swim_t* s, const addr_t* peer, bint join,
                          uint32_t request) noexcept nogil:
    cdef session_t* session = open_session(s, SESSION_PUSH_PULL, peer, request)
    if session != NULL:
        session.join = join
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
    cdef bint sent
    if session.role == SESSION_PUSH_PULL:
        sent = send_state(s, session, session.join)
    elif session.role == SESSION_TCP_PING:
        own_ping(s, session.sequence, identity_name(session.target), &ping)
        encode_ping(&writer, &ping)
        sent = send_on_stream(s, session, writer_slice(&writer))
    else:
        sent = send_on_stream(s, session, session.message)
    if not sent:
        fail_session(s, session, b"no memory for the request")


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
        if merge_push_pull(s, reader):
            end_session(s, session, NULL, 0)
        else:
            fail_session(s, session, b"the peer's members speak versions that do not fit ours")
    elif (session.role == SESSION_TCP_PING and reader.type == MSG_ACK
            and decode_ack(reader.body, &ack) == DROP_NONE and ack.seq_no == session.sequence):
        if s.probe.phase != PROBE_IDLE and s.probe.sequence == session.sequence:
            s.probe.tcp_acked = True
        end_session(s, session, NULL, 0)
    else:
        fail_session(s, session, b"the peer's reply is of an unexpected type")


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
        if send_state(s, session, reader.header.join):
            merge_push_pull(s, reader)
    elif reader.type == MSG_PING:
        failed = not serve_ping(s, session)
    elif reader.type == MSG_USER:
        if reader.user.len:
            s.source = session.peer
            tell_bytes(s, EVENT_MESSAGE, reader.user, True)
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


# --- what the driver reports --------------------------------------------------------------------

cdef void session_opened(swim_t* s, uint32_t stream) noexcept nogil:
    cdef session_t* session = find_session(s, stream)
    if session != NULL and session.role != SESSION_SERVE and not session.opened:
        session.opened = True
        write_request(s, session)


cdef void session_received(swim_t* s, uint32_t stream, const uint8_t* data,
                           size_t size) noexcept nogil:
    cdef session_t* session = find_session(s, stream)
    cdef int status
    if session == NULL:
        return
    status = stream_feed(&session.reader, data, size)
    if status == STREAM_READY:
        if session.role == SESSION_SERVE:
            serve(s, session)
        else:
            read_reply(s, session)
    elif status == STREAM_FAILED:
        refuse_stream(s, session)


cdef void session_ended(swim_t* s, uint32_t stream) noexcept nogil:
    cdef session_t* session = find_session(s, stream)
    if session == NULL:
        return
    if session.role == SESSION_USER_MESSAGE and session.opened:
        end_session(s, session, NULL, 0)      # no reply; its receiver closes (protocol §10.5)
    else:
        fail_session(s, session, b"the peer closed the connection before its message was complete")


cdef void session_failed(swim_t* s, uint32_t stream, const char* text, size_t size) noexcept nogil:
    cdef session_t* session = find_session(s, stream)
    if session != NULL:
        end_session(s, session, text, min(size, <size_t>ERROR_TEXT_BYTES_MAX))


cdef void session_timeout(swim_t* s, uint32_t stream) noexcept nogil:
    cdef session_t* session = find_session(s, stream)
    if session != NULL:
        session.timer = -1
        fail_session(s, session, b"timed out" if session.opened or session.role == SESSION_SERVE
                     else b"timed out while connecting")
