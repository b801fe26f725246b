# probe.pxi: failure detection (SWIM, with Lifeguard's nacks and health score), and the duties that
# serve the probes of others: acks, relays, nacks. Times: protocol §16.
#
#   tick -> ping --ack within ProbeTimeout-----------------------------------> alive
#                \-else: indirect pings and a TCP ping --ack by the deadline--> alive
#                                                      \-else--------------> suspect

# --- waiters: acks for others, and for pings by hand --------------------------------------------

cdef waiter_t* find_waiter(swim_t* s, uint32_t sequence) noexcept nogil:
    cdef waiter_t* waiter
    if sequence == 0 or s.waiters == NULL:
        return NULL
    waiter = &s.waiters[sequence % PENDING_ACKS_MAX]
    return waiter if waiter.sequence == sequence else NULL


cdef waiter_t* new_waiter(swim_t* s, uint8_t timer, int64_t deadline_ns) noexcept nogil:
    """Waits for the ack of a new sequence number; NULL when its slot is still taken."""
    cdef uint32_t sequence = next_sequence(s)
    cdef waiter_t* waiter
    if s.waiters == NULL:
        s.waiters = <waiter_t*>calloc(PENDING_ACKS_MAX, sizeof(waiter_t))
        if s.waiters == NULL:
            return NULL
    waiter = &s.waiters[sequence % PENDING_ACKS_MAX]
    if waiter.sequence:
        return NULL
    memset(waiter, 0, sizeof(waiter_t))
    waiter.timer = timers_arm(&s.timers, timer, sequence, deadline_ns)
    if waiter.timer < 0:
        return NULL
    waiter.sequence = sequence
    waiter.sent_ns = s.now_ns
    return waiter


cdef void end_waiter(swim_t* s, waiter_t* waiter) noexcept nogil:
    if waiter.timer >= 0:
        timers_cancel(&s.timers, waiter.timer)
    waiter.sequence = 0


# --- sending ------------------------------------------------------------------------------------

cdef void send_ping(swim_t* s, const addr_t* to, uint32_t sequence, slice_t node,
                    bint piggyback) noexcept nogil:
    cdef uint8_t[CLAIM_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, CLAIM_BYTES_MAX)
    cdef ping_t ping
    own_ping(s, sequence, node, &ping)
    encode_ping(&writer, &ping)
    send_directed(s, to, &writer, piggyback)


cdef void send_ack(swim_t* s, const addr_t* to, uint32_t sequence, slice_t payload,
                   bint piggyback) noexcept nogil:
    """The common answer is written straight into the out batch."""
    cdef ack_t ack
    cdef writer_t writer
    cdef slot_t* slot
    ack.seq_no = sequence
    ack.payload = payload
    if piggyback and anything_queued(s):
        slot = NULL
        buffer_clear(&s.pack.message)
        if not buffer_reserve(&s.pack.message, payload.len + 64):
            drop(s, DROP_NO_MEMORY)
            return
        writer = writer_of(s.pack.message.data, payload.len + 64)
        encode_ack(&writer, &ack)
        send_directed(s, to, &writer, True)
        return
    slot = new_packet(s, to, payload.len + 64)
    if slot != NULL:
        writer = packet_begin(&s.envelope, slot)
        encode_ack(&writer, &ack)
        send_packet(s, slot, &writer, False)


cdef void send_nack(swim_t* s, const addr_t* to, uint32_t sequence) noexcept nogil:
    cdef uint8_t[64] bytes
    cdef writer_t writer = writer_of(bytes, 64)
    cdef nack_t nack
    nack.seq_no = sequence
    encode_nack(&writer, &nack)
    send_directed(s, to, &writer, False)


cdef void send_indirect_ping(swim_t* s, member_t* helper, bint nack) noexcept nogil:
    cdef uint8_t[CLAIM_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, CLAIM_BYTES_MAX)
    cdef indirect_ping_t ping
    cdef addr_t to
    identity_addr_t(helper.identity, &to)
    memset(&ping, 0, sizeof(ping))
    ping.seq_no = s.probe.sequence
    ping.target = identity_addr(s.probe.target)
    ping.port = s.probe.target.port
    ping.node = identity_name(s.probe.target)
    ping.nack = nack
    ping.source_addr = identity_addr(s.identity)
    ping.source_port = s.identity.port
    ping.source_node = identity_name(s.identity)
    encode_indirect_ping(&writer, &ping)
    send_directed(s, &to, &writer, True)


cdef void send_ping_and_suspicion(swim_t* s, member_t* row) noexcept nogil:
    """A suspected member is told so with the ping: only it can refute."""
    cdef uint8_t[CLAIM_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, CLAIM_BYTES_MAX)
    cdef ping_t ping
    cdef claim_t claim
    pack_clear(s.pack)
    own_ping(s, s.probe.sequence, identity_name(row.identity), &ping)
    encode_ping(&writer, &ping)
    pack_message(s.pack, -1, writer_slice(&writer))
    memset(&claim, 0, sizeof(claim))
    claim.incarnation = row.incarnation
    claim.node = identity_name(row.identity)
    claim.from_ = identity_name(s.identity)
    writer = writer_of(bytes, CLAIM_BYTES_MAX)
    encode_suspect(&writer, &claim)
    pack_message(s.pack, -1, writer_slice(&writer))
    flush_pack(s, &s.probe.address, protocol_max(row) >= PROTOCOL_CRC)


# --- one probe ----------------------------------------------------------------------------------

cdef uint32_t next_target(swim_t* s) noexcept nogil:
    """Round robin: each round draws its own order, and drops the old dead, as it goes along. What
    is left of a round and all of the next are looked at, so that whoever is up is found."""
    cdef uint32_t considered = 0
    cdef uint32_t cost = 0
    cdef uint32_t index
    cdef member_t* row
    while considered < 2 * s.table.order_count and cost < PROBE_ROWS_MAX:
        if s.probe.index >= s.table.order_count:
            s.probe.index = 0
        index = table_turn(&s.table, s.probe.index, &s.rng, s.now_ns,
                           s.settings.gossip_to_the_dead_time_ns)
        if index == NONE:
            cost += PROBE_REMOVAL_ROWS
            continue
        considered += 1
        cost += 1
        s.probe.index += 1
        row = row_at(s, index)
        if index != s.self_row and is_up(row):
            return index
    return NONE


cdef inline int64_t probe_timeout(swim_t* s) noexcept nogil:
    """How long the direct ack is waited for: as it is, or by the health score as in the paper."""
    if s.settings.scale_probe_timeout:
        return awareness_scale(&s.awareness, s.settings.probe_timeout_ns)
    return s.settings.probe_timeout_ns


cdef void start_probe(swim_t* s) noexcept nogil:
    cdef probe_t* probe = &s.probe
    cdef uint32_t index = next_target(s)
    cdef member_t* row
    if index == NONE:
        return
    row = row_at(s, index)
    identity_addr_t(row.identity, &probe.address)
    probe.row = index
    probe.target = row.identity
    identity_retain(probe.target)
    probe.sequence = next_sequence(s)
    probe.incarnation = row.incarnation
    probe.phase = PROBE_DIRECT
    probe.send_failed = False
    probe.tcp_acked = False
    probe.nacks = 0
    probe.nacks_expected = 0
    probe.sent_ns = s.now_ns
    probe.deadline_ns = s.now_ns + awareness_scale(&s.awareness, s.settings.probe_interval_ns)
    probe.deadline_timer = timers_arm(&s.timers, TIMER_PROBE_DEADLINE, 0, probe.deadline_ns)
    probe.timeout_timer = timers_arm(&s.timers, TIMER_PROBE_TIMEOUT, 0,
                                       s.now_ns + probe_timeout(s))
    s.stats[STAT_PROBES] += 1
    if row.state == STATE_ALIVE or not s.settings.buddy_system:
        send_ping(s, &probe.address, probe.sequence, identity_name(row.identity), True)
    else:
        send_ping_and_suspicion(s, row)


cdef bint may_help(void* context, const member_t* row, uint32_t index) noexcept nogil:
    cdef swim_t* s = <swim_t*>context
    return (row.state == STATE_ALIVE and index != s.self_row
            and index != s.probe.row)


cdef void probe_indirectly(swim_t* s) noexcept nogil:
    """No ack in time: ask others to try, and try over TCP beside them."""
    cdef probe_t* probe = &s.probe
    cdef uint32_t[INDIRECT_CHECKS_MAX] helpers
    cdef uint32_t count, i
    cdef member_t* helper
    cdef bint nack
    probe.phase = PROBE_INDIRECT
    if probe.timeout_timer >= 0:
        timers_cancel(&s.timers, probe.timeout_timer)
        probe.timeout_timer = -1
    s.stats[STAT_PROBES_INDIRECT] += 1
    count = table_random(&s.table, &s.rng,
                         <uint32_t>min(s.settings.indirect_checks, <int64_t>INDIRECT_CHECKS_MAX),
                         may_help, s, helpers)
    for i in range(count):
        helper = row_at(s, helpers[i])
        nack = protocol_max(helper) >= PROTOCOL_NACK
        probe.nacks_expected += nack
        send_indirect_ping(s, helper, nack)
    if not s.settings.disable_tcp_pings and probe.target.vsn[1] >= PROTOCOL_TCP_PING:
        start_tcp_ping(s)


cdef void end_probe(swim_t* s) noexcept nogil:
    """Back to idle; a tick that came meanwhile starts the next probe at once."""
    cdef probe_t* probe = &s.probe
    if probe.timeout_timer >= 0:
        timers_cancel(&s.timers, probe.timeout_timer)
    if probe.deadline_timer >= 0:
        timers_cancel(&s.timers, probe.deadline_timer)
    probe.timeout_timer = -1
    probe.deadline_timer = -1
    probe.phase = PROBE_IDLE
    identity_release(s.identities, probe.target)
    probe.target = NULL
    if probe.tick_missed:
        probe.tick_missed = False
        start_probe(s)


cdef void probe_succeeds(swim_t* s) noexcept nogil:
    cdef member_t* row = row_at(s, s.probe.row)
    if row.identity == s.probe.target:
        row.flags |= MEMBER_ANSWERED
    if not s.probe.send_failed:
        awareness_apply(&s.awareness, -1)
    end_probe(s)


cdef void probe_deadline(swim_t* s) noexcept nogil:
    """The whole interval has passed: TCP may have saved the target, else it is suspect."""
    cdef probe_t* probe = &s.probe
    cdef claim_t claim
    cdef int32_t delta
    probe.deadline_timer = -1
    if probe.tcp_acked:
        s.stats[STAT_PROBES_SAVED_BY_TCP] += 1
        probe_succeeds(s)
        return
    s.stats[STAT_PROBES_FAILED] += 1
    delta = 1
    if probe.nacks_expected:
        delta = <int32_t>(probe.nacks_expected - min(probe.nacks, probe.nacks_expected))
    awareness_apply(&s.awareness, delta)
    memset(&claim, 0, sizeof(claim))
    claim.incarnation = probe.incarnation
    claim.node = identity_name(probe.target)
    claim.from_ = identity_name(s.identity)
    handle_suspect(s, &claim)
    end_probe(s)


cdef void probe_tick(swim_t* s, int64_t due_ns) noexcept nogil:
    """The ticker of protocol §16: the grid stays; at most one missed tick is kept."""
    cdef int64_t interval = s.settings.probe_interval_ns
    cdef int64_t next_ns = due_ns + interval
    if next_ns <= s.now_ns:
        next_ns += (s.now_ns - next_ns) // interval * interval + interval
    s.probe.interval_timer = timers_arm(&s.timers, TIMER_PROBE_INTERVAL, 0, next_ns)
    if s.probe.phase == PROBE_IDLE:
        start_probe(s)
    elif s.probe.sent_ns < due_ns:
        s.probe.tick_missed = True
    # Else the probe under way began at this very tick, from one missed before it: this one is lost.


cdef void abandon_probe(swim_t* s) noexcept nogil:
    """This process stood still: what it did not hear says nothing about the target."""
    if s.probe.phase != PROBE_IDLE:
        s.probe.tick_missed = False
        end_probe(s)


# --- answers ------------------------------------------------------------------------------------

cdef void handle_ack(swim_t* s, const ack_t* ack) noexcept nogil:
    cdef waiter_t* waiter
    cdef addr_t requester
    cdef uint32_t relayed
    cdef event_t event
    if s.probe.phase != PROBE_IDLE and ack.seq_no == s.probe.sequence:
        if s.probe.phase == PROBE_DIRECT and s.settings.report_pings:
            memset(&event, 0, sizeof(event))
            event.kind = EVENT_PINGED
            event.identity = s.probe.target
            event.incarnation = s.probe.incarnation
            event.value = s.now_ns - s.probe.sent_ns
            events_push(&s.events, &event, ack.payload)
        probe_succeeds(s)
        return
    waiter = find_waiter(s, ack.seq_no)
    if waiter == NULL:
        drop(s, DROP_ACK_UNKNOWN)
    elif waiter.request:
        tell_done(s, waiter.request, NULL, 0, s.now_ns - waiter.sent_ns)
        end_waiter(s, waiter)
    else:
        requester = waiter.requester
        relayed = waiter.relayed
        end_waiter(s, waiter)
        send_ack(s, &requester, relayed, slice_nil(), False)


cdef void handle_nack(swim_t* s, const nack_t* nack) noexcept nogil:
    if s.probe.phase != PROBE_IDLE and nack.seq_no == s.probe.sequence:
        s.probe.nacks += 1


cdef void waiter_timeout(swim_t* s, uint32_t sequence) noexcept nogil:
    """A relay says that it heard nothing; a ping by hand has failed."""
    cdef waiter_t* waiter = find_waiter(s, sequence)
    cdef const char* error = b"no ack within probe_timeout"
    if waiter == NULL:
        return
    waiter.timer = -1
    if waiter.request:
        tell_done(s, waiter.request, error, strlen(error), 0)
    elif waiter.nack:
        send_nack(s, &waiter.requester, waiter.relayed)
        waiter.nack = False
        if s.now_ns < waiter.sent_ns + s.settings.probe_timeout_ns:
            waiter.timer = timers_arm(&s.timers, TIMER_RELAY, sequence,
                                      waiter.sent_ns + s.settings.probe_timeout_ns)
            if waiter.timer >= 0:
                return                     # a late ack is still passed on
    end_waiter(s, waiter)


# --- serving the probes of others ---------------------------------------------------------------

cdef member_t* named_member(swim_t* s, slice_t name, slice_t addr, uint16_t port) noexcept nogil:
    """The member of that name, if that is its address; else NULL."""
    cdef uint32_t index = find_row(s, name) if name.len else NONE
    cdef member_t* row
    if index == NONE:
        return NULL
    row = row_at(s, index)
    return row if is_member(row) and same_address(row, addr, port) else NULL


cdef bint reply_address(swim_t* s, slice_t addr, uint16_t port, slice_t node, addr_t* to,
                        bint* known) noexcept nogil:
    """Where to answer: the source a message names is believed only when it is a member's own
    address or the host the packet came from; else nobody could be flooded through us."""
    cdef addr_t named, sender
    known[0] = False
    to[0] = s.source
    if addr.len == 0 or port == 0:
        return True
    if not addr_from(addr, port, &named):
        drop(s, DROP_SOURCE_ADDRESS)
        return False
    known[0] = named_member(s, node, addr, port) != NULL
    named = addr_unmapped(&named)
    sender = s.source
    sender.port = port
    if known[0] or addr_equal(&named, &sender):
        to[0] = named
    else:
        s.stats[STAT_SOURCE_MISMATCHES] += 1
    return True


cdef void handle_ping(swim_t* s, const ping_t* ping) noexcept nogil:
    """protocol §4.1; only members get piggybacked news with their ack."""
    cdef addr_t to
    cdef bint known
    cdef slice_t payload = slice_nil()
    if ping.node.len and not is_self(s, ping.node):
        drop(s, DROP_PING_WRONG_NODE)
        return
    if not reply_address(s, ping.source_addr, ping.source_port, ping.source_node, &to, &known):
        return
    if s.has_ack_payload:
        payload = buffer_slice(&s.ack_payload)
    send_ack(s, &to, ping.seq_no, payload, known)


cdef bint relay_paid(swim_t* s) noexcept nogil:
    """Takes from the budget for targets that are no members; False when it is spent."""
    cdef int64_t price = 1000000000 // RELAY_UNKNOWN_PER_SECOND
    if s.now_ns - s.relay_tokens_ns > 1000000000:
        s.relay_tokens_ns = s.now_ns - 1000000000
    if s.now_ns - s.relay_tokens_ns < price:
        return False
    s.relay_tokens_ns += price
    return True


cdef void handle_indirect_ping(swim_t* s, const indirect_ping_t* ping) noexcept nogil:
    """protocol §4.2: ping for the requester, pass the ack on, or say that none came.

    Members may always be pinged for others; other targets only at a small rate, and without news.
    """
    cdef uint16_t port = ping.port if ping.port and s.settings.protocol_version >= 2 \
        else s.bind_port
    cdef addr_t requester, target
    cdef bint known
    cdef bint member = named_member(s, ping.node, ping.target, port) != NULL
    cdef int64_t patience_ns = s.settings.probe_timeout_ns
    cdef waiter_t* waiter
    if not reply_address(s, ping.source_addr, ping.source_port, ping.source_node, &requester,
                         &known):
        return
    if not (member or relay_paid(s)):
        drop(s, DROP_RELAY_UNKNOWN_TARGET)
        return
    if ping.nack:
        patience_ns = patience_ns * s.settings.nack_percent // 100
    waiter = new_waiter(s, TIMER_RELAY, s.now_ns + patience_ns)
    if waiter == NULL:
        drop(s, DROP_RELAYS_FULL)
        return
    waiter.relayed = ping.seq_no
    waiter.nack = ping.nack != 0
    waiter.requester = requester
    s.stats[STAT_RELAYS] += 1
    if addr_from(ping.target, port, &target):
        target = addr_unmapped(&target)
        send_ping(s, &target, waiter.sequence, ping.node, member)
