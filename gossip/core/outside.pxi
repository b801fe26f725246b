# outside.pxi: what a driver in C needs beside packets and time: streams, events, and a look inside.
#
# The shell does the same for Python. Nothing here decides; all of it is for one thread.

assert <int>TOLD_JOINED == <int>EVENT_JOINED and <int>TOLD_LEFT == <int>EVENT_LEFT
assert <int>TOLD_CONFLICT == <int>EVENT_CONFLICT
assert <int>TOLD_MEMBER_JOIN == 1
assert <int>TOLD_USER_EVENT - 1 == <int>EVENT_USER_EVENT - <int>EVENT_MEMBER_JOIN
assert <int>SERF_HELD_ALIVE == <int>STATUS_ALIVE and <int>SERF_HELD_FAILED == <int>STATUS_FAILED
assert <int>MEMBER_ALIVE == <int>STATE_ALIVE and <int>MEMBER_LEFT == <int>STATE_LEFT


cdef void enter(swim_t* s, int64_t now_ns, batch_t* out) noexcept nogil:
    s.now_ns = now_ns
    s.out = out
    s.from_packet = False


cdef bint swim_introduce(swim_t* s, const swim_t* other) noexcept nogil:
    """Enters another node as an alive member, as if both had always been there: no event, nothing
    to spread. For simulations whose pool is too large to let it find together."""
    cdef uint32_t row
    if s == other or find_row(s, identity_name(other.identity)) != NONE:
        return True
    row = table_add(&s.table, identity_retain(<identity_t*>other.identity), &s.rng, STATE_ALIVE,
                    s.now_ns)
    if row == NONE:
        return False
    row_at(s, row).incarnation = other.incarnation
    return True


# --- streams ------------------------------------------------------------------------------------

cdef bint swim_accept(swim_t* s, const addr_t* peer, int64_t now_ns, batch_t* out,
                      uint32_t* stream) noexcept nogil:
    """A peer has connected; False when it is to be refused."""
    cdef session_t* session = NULL
    enter(s, now_ns, out)
    if s.started:
        session = new_session(s, SESSION_SERVE, peer)
    if session == NULL:
        return False
    stream[0] = session.stream
    return True


cdef void swim_opened(swim_t* s, uint32_t stream, int64_t now_ns, batch_t* out) noexcept nogil:
    enter(s, now_ns, out)
    if s.started:
        session_opened(s, stream)


cdef void swim_streamed(swim_t* s, uint32_t stream, const uint8_t* data, size_t size,
                        int64_t now_ns, batch_t* out) noexcept nogil:
    enter(s, now_ns, out)
    if s.started:
        session_received(s, stream, data, size)


cdef void swim_ended(swim_t* s, uint32_t stream, int64_t now_ns, batch_t* out) noexcept nogil:
    enter(s, now_ns, out)
    if s.started:
        session_ended(s, stream)


cdef void swim_failed(swim_t* s, uint32_t stream, const char* text, int64_t now_ns,
                      batch_t* out) noexcept nogil:
    enter(s, now_ns, out)
    if s.started:
        session_failed(s, stream, text, strlen(text))


cdef bint swim_take_command(swim_t* s, command_t* command) noexcept nogil:
    """The oldest command; `command_free` gives its bytes back."""
    return pop_command(s, command)


cdef void command_free(command_t* command) noexcept nogil:
    buffer_free(&command.bytes)


# --- events -------------------------------------------------------------------------------------

cdef uint32_t swim_events(const swim_t* s) noexcept nogil:
    """How many wait."""
    return s.events.count


cdef uint64_t swim_told(const swim_t* s) noexcept nogil:
    """How many events there were so far; those taken included."""
    return s.events.told


cdef uint64_t event_print(const event_t* event) noexcept nogil:
    """Of what it tells. A user event is the same however it came."""
    cdef user_event_t said
    cdef uint64_t print = hash_bytes(event.kind, <const uint8_t*>&event.value, 8)
    if event.kind == EVENT_USER_EVENT:
        decode_body(&USER_EVENT, slice_of(event.data, event.size), &said)
        print = hash_bytes(said.ltime, said.name.ptr, said.name.len)
        return hash_bytes(print, said.payload.ptr, said.payload.len)
    print = hash_bytes(print ^ event.number, <const uint8_t*>&event.since_ns, 8)
    if event.identity != NULL:
        print ^= event.identity.entry.hash
    return hash_bytes(print ^ (event.state << 1 | event.flag), event.data, event.size)


cdef void swim_look_event(const swim_t* s, uint64_t number, told_t* told) noexcept nogil:
    """One of the events that wait, by its number among all, without what it carries."""
    cdef const event_t* event = events_look(
        &s.events, <uint32_t>(number + s.events.count - s.events.told))
    told.kind = min(event.kind, <uint8_t>TOLD_OTHER)
    told.serf = 0
    told.state = event.state
    told.incarnation = event.incarnation
    told.since_ns = event.since_ns
    told.member.len = 0
    if event.identity != NULL:
        identity_addr_t(event.identity, &told.member)
    if event.kind >= EVENT_MEMBER_JOIN:
        told.serf = event.kind - <uint8_t>EVENT_MEMBER_JOIN + 1
        told.print = event_print(event)


cdef void swim_forget_events(swim_t* s) noexcept nogil:
    """Nobody else wants those that wait."""
    cdef event_t event
    while events_pop(&s.events, &event):
        event_release(&event, s.identities)


# --- looking ------------------------------------------------------------------------------------

cdef uint32_t swim_rows(const swim_t* s) noexcept nogil:
    """Rows ever used; some may be free."""
    return s.table.used


cdef bint swim_row(const swim_t* s, uint32_t number, seen_t* seen) noexcept nogil:
    """A row by its number; False when it is free, or no member to the world."""
    cdef const member_t* row = table_row(&s.table, number)
    if row.identity == NULL or not is_member(row):
        return False
    seen.print = row.identity.entry.hash
    identity_addr_t(row.identity, &seen.address)
    seen.name = identity_name(row.identity)
    seen.meta = identity_meta(row.identity)
    seen.since_ns = row.state_change_ns
    seen.incarnation = row.incarnation
    seen.state = row.state
    seen.suspicion = row.suspicion != NONE
    return True


cdef void count_timer(gauges_t* gauges, uint8_t kind) noexcept nogil:
    if kind == TIMER_PROBE_TIMEOUT or kind == TIMER_PROBE_DEADLINE or kind == TIMER_PROBE_INTERVAL:
        gauges.probes[kind] += 1
    elif kind == TIMER_SUSPICION:
        gauges.suspicion_timers += 1
    elif kind == TIMER_GOSSIP:
        gauges.gossips += 1
    elif kind == TIMER_PUSH_PULL:
        gauges.push_pulls += 1


cdef void swim_gauges(const swim_t* s, gauges_t* gauges) noexcept nogil:
    """Sums and sizes; it walks over the timers."""
    cdef int32_t at
    memset(gauges, 0, sizeof(gauges_t))
    memcpy(gauges.rows, s.table.counts, sizeof(gauges.rows))
    gauges.order = s.table.order_count
    gauges.suspicions = s.suspicions.count
    gauges.queued = s.queues[QUEUE_MEMBERSHIP].count
    gauges.sessions = s.sessions_used
    gauges.events = s.events.count
    gauges.incarnation = s.incarnation
    gauges.score = s.awareness.score
    gauges.score_limit = s.awareness.limit
    gauges.leaving = s.leaving
    gauges.probing = s.probe.phase != PROBE_IDLE
    for at in range(s.timers.count):
        count_timer(gauges, timer_at(&s.timers, at).kind)


cdef uint64_t swim_probe_sends(const swim_t* s) noexcept nogil:
    """Grows whenever the probe sends: a ping, or requests to ping for it."""
    return s.stats[STAT_PROBES] + s.stats[STAT_PROBES_INDIRECT]


cdef uint64_t swim_gossips(const swim_t* s) noexcept nogil:
    """Packets of gossip rounds so far."""
    return s.stats[STAT_GOSSIPS]


cdef void swim_pause_gossip(swim_t* s, bint paused) noexcept nogil:
    """Whether gossip rounds are left out: memberlist's stands still while its send does."""
    s.gossip_paused = paused


cdef void swim_hold_probe(swim_t* s) noexcept nogil:
    """The probe under way stands still in its send, with what it would do in time; all else goes
    on, and ticks are kept as ever."""
    if s.probe.timeout_timer >= 0:
        timers_cancel(&s.timers, s.probe.timeout_timer)
    if s.probe.deadline_timer >= 0:
        timers_cancel(&s.timers, s.probe.deadline_timer)
    s.probe.timeout_timer = -1
    s.probe.deadline_timer = -1


cdef void swim_release_probe(swim_t* s, int64_t now_ns) noexcept nogil:
    """Its send is done: the ack is waited for from now, the whole probe ends when it would have
    (protocol §16)."""
    if s.probe.phase == PROBE_DIRECT:
        s.probe.timeout_timer = timers_arm(&s.timers, TIMER_PROBE_TIMEOUT, 0,
                                           now_ns + probe_timeout(s))
    if s.probe.phase != PROBE_IDLE:
        s.probe.deadline_timer = timers_arm(&s.timers, TIMER_PROBE_DEADLINE, 0,
                                            s.probe.deadline_ns)


cdef uint64_t swim_messages(const swim_t* s) noexcept nogil:
    """Messages taken out of packets so far."""
    return s.stats[STAT_MESSAGES_RECEIVED]


cdef uint64_t swim_print(const swim_t* s) noexcept nogil:
    """Of what the node says of itself, as in `seen_t`."""
    return s.identity.entry.hash


cdef uint32_t swim_packet_max(const swim_t* s) noexcept nogil:
    """What no packet may exceed: the buffer size, and the CRC, which no budget counts."""
    return <uint32_t>s.settings.udp_buffer_size + CRC_HEAD


# --- Serf's layer -------------------------------------------------------------------------------

cdef uint32_t swim_serf_rows(swim_t* s) noexcept nogil:
    """Rows of Serf's table ever used; 0 without the layer."""
    return 0 if s.delegate == NULL else serf_of(s).table.used


cdef bint swim_serf_row(swim_t* s, uint32_t number, serf_seen_t* seen) noexcept nogil:
    """A row by its number; False when it is free."""
    cdef const serf_member_t* row = serf_row(&serf_of(s).table, number)
    if row.identity == NULL:
        return False
    seen.print = row.identity.entry.hash
    identity_addr_t(row.identity, &seen.address)
    seen.status = row.status
    return True


cdef bint swim_serf_gauges(swim_t* s, serf_gauges_t* gauges) noexcept nogil:
    """Clocks and sums; False without the layer."""
    cdef serf_t* serf = serf_of(s)
    if serf == NULL:
        return False
    gauges.clocks[0] = serf.clock
    gauges.clocks[1] = serf.event_clock
    gauges.clocks[2] = serf.query_clock
    memcpy(gauges.rows, serf.table.counts, sizeof(gauges.rows))
    gauges.count = serf.table.count
    gauges.pruned = serf.stats[SERF_PRUNED]
    return True


# --- random numbers -----------------------------------------------------------------------------

cdef void rng_start(rng_t* rng, uint64_t seed) noexcept nogil:
    rng_seed(rng, seed)


cdef uint64_t rng_draw(rng_t* rng) noexcept nogil:
    return rng_u64(rng)


cdef uint32_t rng_pick(rng_t* rng, uint32_t n) noexcept nogil:
    """A number of [0, n)."""
    return rng_below(rng, n)
