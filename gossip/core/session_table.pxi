# session_table.pxi: the sessions of a node: what each is, how many there may be, and how many bytes
# those may hold that others opened. What happens in them is sessions.pxi.
#
# What others open they pay for with nothing, as long as nobody knows who they are. So each such
# stream is granted some bytes; what it holds beyond comes out of one budget for all, and whose
# bytes do not fit it fails alone. One address gets neither all places nor all bytes.

cdef enum SessionRole:
    SESSION_SERVE
    SESSION_PUSH_PULL
    SESSION_TCP_PING
    SESSION_FIND               # a TCP ping for a lost member
    SESSION_USER_MESSAGE

cdef enum SessionStage:
    STAGE_WAIT                 # for the driver or the peer
    STAGE_READ
    STAGE_MAKE                 # the state or message that will be written
    STAGE_WRITE
    STAGE_MERGE                # what was read; it is all there

cdef struct session_t:
    uint32_t stream            # slot and serial: a late report about an old stream finds nothing
    uint8_t role
    uint8_t stage
    bint opened
    bint ended                 # the peer sends no more
    bint queued                # for work
    session_t* next            # in that queue
    addr_t peer
    uint32_t request           # of the user, answered at the end; 0: none
    uint32_t sequence          # TCP pings
    identity_t* target         # TCP pings: a reference, for the probe may end first
    int32_t timer
    sender_t* sender           # what is written that is not small
    size_t charged             # bytes held that the budget of inbound streams pays for
    receiver_t receiver
    stream_reader_t reader


cdef session_t* find_session(swim_t* s, uint32_t stream) noexcept nogil:
    cdef session_t* session = s.sessions[stream % STREAMS_MAX]
    return session if session != NULL and session.stream == stream else NULL


# --- places ------------------------------------------------------------------------------------

cdef uint32_t streams_from(swim_t* s, const addr_t* peer) noexcept nogil:
    """Inbound streams of that address, whatever their ports."""
    cdef uint32_t i, count = 0
    for i in range(STREAMS_MAX):
        if s.sessions[i] != NULL and s.sessions[i].role == SESSION_SERVE:
            count += addr_same_ip(&s.sessions[i].peer, peer)
    return count


cdef bint has_place(swim_t* s, uint8_t role, const addr_t* peer) noexcept nogil:
    """Whether one more stream fits. The last places for inbound ones are kept for addresses that
    have few."""
    if s.sessions_used >= STREAMS_MAX:
        return False
    if role != SESSION_SERVE or s.sessions_inbound < STREAMS_FREE_MAX:
        return True
    return s.sessions_inbound < STREAMS_INBOUND_MAX and streams_from(s, peer) < STREAMS_SOURCE_MIN


cdef session_t* new_session(swim_t* s, uint8_t role, const addr_t* peer) noexcept nogil:
    """A session with its deadline armed; NULL, and counted, at a limit."""
    cdef session_t* session = NULL
    cdef uint32_t i, slot
    if has_place(s, role, peer):
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
    stream_reader_init(&session.reader, &s.envelope, role == SESSION_SERVE, 0)
    session.reader.see = see_nodes
    session.reader.seer = s
    s.sessions[slot] = session
    s.sessions_used += 1
    s.sessions_inbound += role == SESSION_SERVE
    return session


# --- bytes -------------------------------------------------------------------------------------

cdef inline size_t beyond_grant(size_t bytes) noexcept nogil:
    return bytes - STREAM_GRANT_BYTES if bytes > STREAM_GRANT_BYTES else 0


cdef size_t held_bytes(const session_t* session) noexcept nogil:
    """What was received, opened and inflated of a session, and what is made of its reply."""
    cdef const sender_t* o = session.sender
    cdef size_t held = session.reader.kept.len
    cdef int i
    for i in range(STREAM_LAYERS):
        held += session.reader.buffers[i].len
    if o != NULL:
        held += o.out.len + o.plain.len
        held += o.state.head.len + o.state.body.len + o.state.scratch.len
    return held


cdef size_t unread_bytes_from(swim_t* s, const addr_t* peer) noexcept nogil:
    """Bytes beyond their grants that inbound streams of an address hold as they were received."""
    cdef session_t* other
    cdef size_t held = 0
    cdef uint32_t i
    for i in range(STREAMS_MAX):
        other = s.sessions[i]
        if other != NULL and other.role == SESSION_SERVE and addr_same_ip(&other.peer, peer):
            held += beyond_grant(other.reader.buffers[0].len)
    return held


cdef bint within_budget(swim_t* s, session_t* session, size_t extra) noexcept nogil:
    """Charges an inbound stream with what it holds, and says whether `extra` more bytes fit. Own
    streams are free: others cannot open them, so nobody can take their room either."""
    cdef size_t charged
    if session.role != SESSION_SERVE:
        return True
    charged = beyond_grant(held_bytes(session))
    s.streams_bytes += charged - session.charged
    session.charged = charged
    extra = beyond_grant(held_bytes(session) + extra) - charged
    return charged + extra == 0 or s.streams_bytes + extra <= STREAMS_BYTES_MAX


cdef bint may_receive(swim_t* s, session_t* session, size_t extra) noexcept nogil:
    """The same for bytes that came in, of which one address must not have all."""
    cdef size_t held
    if not within_budget(s, session, extra):
        return False
    held = session.reader.buffers[0].len
    extra = beyond_grant(held + extra) - beyond_grant(held)
    return (session.role != SESSION_SERVE or extra == 0
            or unread_bytes_from(s, &session.peer) + extra <= STREAMS_SOURCE_BYTES_MAX)


# --- work ---------------------------------------------------------------------------------------

cdef void queue_work(swim_t* s, session_t* session) noexcept nogil:
    """Let a later tick go on with this session."""
    session.queued = True
    session.next = NULL
    if s.working == NULL:
        s.working = session
    else:
        s.working_last.next = session
    s.working_last = session


cdef void forget_work(swim_t* s, session_t* session) noexcept nogil:
    cdef session_t** link = &s.working
    cdef session_t* before = NULL
    while link[0] != session:
        before = link[0]
        link = &before.next
    link[0] = session.next
    if s.working_last == session:
        s.working_last = before
    session.queued = False


cdef void free_session(swim_t* s, session_t* session) noexcept nogil:
    cdef int i
    s.sessions[session.stream % STREAMS_MAX] = NULL
    s.sessions_used -= 1
    s.sessions_inbound -= session.role == SESSION_SERVE
    s.streams_bytes -= session.charged
    timers_cancel(&s.timers, session.timer)
    if session.queued:
        forget_work(s, session)
    for i in range(STREAM_LAYERS):
        large_discard(s.large, &session.reader.buffers[i])
    large_discard(s.large, &session.reader.kept)
    stream_reader_free(&session.reader)
    sender_free(s, session.sender)
    if session.receiver.reading != NULL:
        s.delegate.drop_state(s, session.receiver.reading)
    identity_release(s.identities, session.target)
    free(session)


