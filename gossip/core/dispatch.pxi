# dispatch.pxi: where packets and time come in. One switch on the message type, one on the timer.

cdef void dispatch(swim_t* s, uint8_t type_, slice_t body) noexcept nogil:
    """One leaf message of a packet; what cannot be decoded is counted."""
    cdef int reason = DROP_NONE
    cdef ping_t ping
    cdef indirect_ping_t indirect
    cdef ack_t ack
    cdef nack_t nack
    cdef claim_t claim
    cdef alive_t alive
    s.stats[STAT_MESSAGES_RECEIVED] += 1
    if type_ == MSG_PING:
        reason = decode_ping(body, &ping)
        if reason == DROP_NONE:
            handle_ping(s, &ping)
    elif type_ == MSG_ACK:
        reason = decode_ack(body, &ack)
        if reason == DROP_NONE:
            handle_ack(s, &ack)
    elif type_ == MSG_ALIVE:
        reason = decode_alive(body, &alive)
        if reason == DROP_NONE:
            handle_alive(s, &alive)
    elif type_ == MSG_SUSPECT:
        reason = decode_claim(body, &claim)
        if reason == DROP_NONE:
            handle_suspect(s, &claim)
    elif type_ == MSG_DEAD:
        reason = decode_claim(body, &claim)
        if reason == DROP_NONE:
            handle_dead(s, &claim, 0)
    elif type_ == MSG_INDIRECT_PING:
        reason = decode_indirect_ping(body, &indirect)
        if reason == DROP_NONE:
            handle_indirect_ping(s, &indirect)
    elif type_ == MSG_NACK:
        reason = decode_nack(body, &nack)
        if reason == DROP_NONE:
            handle_nack(s, &nack)
    elif type_ == MSG_USER:
        take_message(s, body, False)
    if reason != DROP_NONE:
        drop(s, reason)


cdef bint is_leaf(uint8_t type_) noexcept nogil:
    return type_ != MSG_COMPOUND and type_ != MSG_COMPRESS


cdef void open_packet(swim_t* s, const slot_t* slot) noexcept nogil:
    """Find the parts of a datagram: of one that is dropped there are none."""
    cdef int reason
    s.stats[STAT_PACKETS_RECEIVED] += 1
    s.stats[STAT_BYTES_RECEIVED] += slot.len
    s.new_names = s.settings.new_names_per_packet
    s.parts_done = 0
    reason = packet_open(&s.envelope, s.opened, slice_of(slot.data, slot.len))
    s.parts_left = s.opened.count if reason == DROP_NONE else 0
    s.work -= WORK_PACKET + <int64_t>s.opened.scratch.len // INFLATED_PER_WORK
    if reason != DROP_NONE:
        drop(s, reason)


cdef void handle_parts(swim_t* s) noexcept nogil:
    """Handle what is left of the datagram in hand, as far as the work goes."""
    cdef part_t* part
    while s.parts_left and s.work > 0:
        part = &s.opened.parts[s.parts_done]
        s.parts_done += 1
        s.parts_left -= 1
        s.work -= WORK_ROW
        if part.reason != DROP_NONE:
            drop(s, part.reason)
        elif is_leaf(part.type):
            dispatch(s, part.type, part.body)


cdef uint32_t swim_receive_on(swim_t* s, batch_t* inbound, uint32_t first, int64_t now_ns,
                              batch_t* out) noexcept nogil:
    """Handles datagrams of a batch from number `first` on, as far as a slice of work goes; gives
    the number of the one to go on with. There it may be in the middle, so that no other packet may
    come before."""
    s.now_ns = now_ns
    s.out = out
    if not s.started:
        return inbound.count
    s.work = WORK_SLICE
    s.from_packet = True
    while first < inbound.count and s.work > 0:
        s.source = inbound.slots[first].peer
        if s.parts_left == 0:
            open_packet(s, &inbound.slots[first])
        handle_parts(s)
        if s.parts_left == 0:
            first += 1
    s.from_packet = False
    return first


cdef void swim_receive(swim_t* s, batch_t* inbound, int64_t now_ns, batch_t* out) noexcept nogil:
    """Handles a whole batch of datagrams, however long that takes; replies go into `out`."""
    cdef uint32_t first = 0
    while first < inbound.count:
        first = swim_receive_on(s, inbound, first, now_ns, out)


# --- time ---------------------------------------------------------------------------------------

cdef bint wants_push_pull(void* context, const member_t* row, uint32_t index) noexcept nogil:
    cdef swim_t* s = <swim_t*>context
    return row.state == STATE_ALIVE and index != s.self_row


cdef void push_pull_tick(swim_t* s) noexcept nogil:
    """After a random stagger, one push/pull each scaled interval; protocol §20."""
    cdef uint32_t[1] chosen
    cdef addr_t to
    if not s.push_pull_staggered:
        s.push_pull_staggered = True
    elif table_random(&s.table, &s.rng, 1, wants_push_pull, s, chosen) == 1:
        identity_addr_t(row_at(s, chosen[0]).identity, &to)
        start_push_pull(s, &to, False, 0)
    timers_arm(&s.timers, TIMER_PUSH_PULL, 0, s.now_ns + push_pull_scale_ns(
        s.settings.push_pull_interval_ns, s.table.order_count))


cdef void gossip_tick(swim_t* s, int64_t due_ns) noexcept nogil:
    cdef int64_t interval = s.settings.gossip_interval_ns
    cdef int64_t next_ns = due_ns + interval
    if next_ns <= s.now_ns:
        next_ns += (s.now_ns - next_ns) // interval * interval + interval
    timers_arm(&s.timers, TIMER_GOSSIP, 0, next_ns)
    if not s.gossip_paused:
        gossip_round(s)


cdef void notice_stall(swim_t* s) noexcept nogil:
    """This process did not run for more than a probe interval: it is Lifeguard's slow member.

    The probe under way is given up without a verdict, suspicions that ran out meanwhile get one
    more probe interval for a refutation that may lie in the socket (suspicion_fires sees to that),
    and the score pays. That timers wait for their slice of work is no stall.
    """
    cdef int64_t waiting_ns = max(timers_next(&s.timers), s.behind_ns)
    if not s.settings.notice_stalls:
        return
    if waiting_ns == INT64_MAX or s.now_ns - waiting_ns <= s.settings.probe_interval_ns:
        return
    s.stats[STAT_STALLS] += 1
    awareness_apply(&s.awareness, 1)
    abandon_probe(s)
    s.stalled_ns = s.now_ns


cdef void fire(swim_t* s, timer_t* timer) noexcept nogil:
    if timer.kind == TIMER_PROBE_TIMEOUT:
        s.probe.timeout_timer = -1
        if s.probe.phase == PROBE_DIRECT:
            probe_indirectly(s)
    elif timer.kind == TIMER_PROBE_DEADLINE:
        probe_deadline(s)
    elif timer.kind == TIMER_PROBE_INTERVAL:
        probe_tick(s, timer.deadline)
    elif timer.kind == TIMER_SUSPICION:
        suspicion_fires(s, <uint32_t>timer.ref, timer.deadline)
    elif timer.kind == TIMER_GOSSIP:
        gossip_tick(s, timer.deadline)
        end_lonely_leave(s)
    elif timer.kind == TIMER_PUSH_PULL:
        push_pull_tick(s)
    elif timer.kind == TIMER_RELAY or timer.kind == TIMER_REQUEST:
        waiter_timeout(s, <uint32_t>timer.ref)
    elif timer.kind == TIMER_STREAM:
        session_timeout(s, <uint32_t>timer.ref)
    elif timer.kind == TIMER_HEAL:
        heal_tick(s)
    elif timer.kind == TIMER_HEALED:
        s.heal.quiet = -1
        tell_healed(s)
    else:
        s.delegate.due(s, timer)


cdef void swim_tick(swim_t* s, int64_t now_ns, batch_t* out) noexcept nogil:
    """Fires the timers that are due and does work that waits, as far as a slice goes; what is left
    makes the next deadline a past one. Early and late calls are fine."""
    cdef timer_t timer
    s.now_ns = now_ns
    s.out = out
    s.from_packet = False
    if not s.started:
        return
    s.work = WORK_SLICE
    notice_stall(s)
    while s.work > 0 and timers_pop_due(&s.timers, now_ns, &timer):
        s.work -= WORK_TIMER
        fire(s, &timer)
    s.behind_ns = now_ns if timers_next(&s.timers) <= now_ns else INT64_MIN
    if s.work > 0:
        work_a_slice(s)


cdef void swim_send_failed(swim_t* s, const addr_t* peer, int error, int64_t now_ns,
                           batch_t* out) noexcept nogil:
    """The kernel refused a packet: a probe of that address goes straight to its indirect stage."""
    s.now_ns = now_ns
    s.out = out
    s.from_packet = False
    s.stats[STAT_SEND_FAILURES] += 1
    if s.started and s.probe.phase == PROBE_DIRECT and addr_equal(peer, &s.probe.address):
        s.probe.send_failed = True
        probe_indirectly(s)


cdef int64_t swim_next_deadline(swim_t* s) noexcept nogil:
    """When a tick has something to do: at once while work waits."""
    if not s.started:
        return INT64_MAX
    return s.now_ns if swim_has_work(s) else timers_next(&s.timers)


cdef bint swim_has_output(swim_t* s) noexcept nogil:
    return s.events.count > 0 or s.commands.count > 0 or s.events.lost > 0
