# claims.pxi: alive, suspect and dead. Each handler asks merge.judge and carries out its verdict.
#
# A claim comes from a packet, from a push/pull entry, from a timer of our own, or from the user;
# all take the same way. What is accepted is encoded anew, never copied (protocol §19.1).

cdef const char* REFUTE_QUEUE_NAME = b"\0refute"


cdef void queue_alive(swim_t* s, const alive_t* alive, slice_t name,
                      uint32_t notify) noexcept nogil:
    cdef uint8_t[CLAIM_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, CLAIM_BYTES_MAX)
    encode_alive(&writer, alive)
    queue_claim(s, name, &writer, notify)


cdef void queue_suspect(swim_t* s, const claim_t* claim) noexcept nogil:
    cdef uint8_t[CLAIM_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, CLAIM_BYTES_MAX)
    encode_suspect(&writer, claim)
    queue_claim(s, claim.node, &writer, 0)


cdef void queue_dead(swim_t* s, const claim_t* claim, uint32_t notify) noexcept nogil:
    cdef uint8_t[CLAIM_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, CLAIM_BYTES_MAX)
    encode_dead(&writer, claim)
    queue_claim(s, claim.node, &writer, notify)


cdef void end_suspicion(swim_t* s, member_t* row) noexcept nogil:
    if row.suspicion != NONE:
        timers_cancel(&s.timers, suspicion_at(&s.suspicions, row.suspicion).timer)
        suspicion_end(&s.suspicions, row.suspicion)
        row.suspicion = NONE


cdef bint same_address(const member_t* row, slice_t addr, uint16_t port) noexcept nogil:
    """Raw bytes, as memberlist compares: the 4 and 16 byte forms differ (protocol §12.1)."""
    return row.identity.port == port and slice_equal(identity_addr(row.identity), addr)


cdef bint same_content(const member_t* row, const alive_t* alive) noexcept nogil:
    return (slice_equal(identity_meta(row.identity), alive.meta) and alive.vsn.len == VSN_BYTES
            and memcmp(row.identity.vsn, alive.vsn.ptr, VSN_BYTES) == 0)


# --- alive --------------------------------------------------------------------------------------

cdef void refute(swim_t* s, uint32_t accused) noexcept nogil:
    """Answers a wrong claim about this node with a newer incarnation; protocol §19.4."""
    cdef member_t* row = row_at(s, s.self_row)
    cdef alive_t alive
    cdef uint32_t newer = max(accused, s.incarnation) + 1
    cdef bint refused = newer <= accused or incarnation_jumps(s, 0, newer, INCARNATION_AHEAD_OWN)
    if refused or (accused > s.incarnation
                   and accused - s.incarnation > INCARNATION_STEP_NOTED):
        tell_pushed(s, accused, refused)
    if refused:
        drop(s, DROP_INCARNATION_JUMP)     # the clock has to get there first
        return
    s.incarnation = newer
    row.incarnation = s.incarnation
    awareness_apply(&s.awareness, 1)
    s.stats[STAT_REFUTATIONS] += 1
    own_alive(s, &alive)
    queue_alive(s, &alive, slice_of(<const uint8_t*>REFUTE_QUEUE_NAME, 7), 0)


cdef void tell_pushed(swim_t* s, uint32_t claimed, bint refused) noexcept nogil:
    """Somebody speaks of an incarnation of ours that no clock explains: told once a second."""
    cdef event_t event
    s.stats[STAT_INCARNATION_PUSHES] += 1
    if s.stats[STAT_INCARNATION_PUSHES] > 1 and s.now_ns - s.pushed_told_ns < 1000000000:
        return
    s.pushed_told_ns = s.now_ns
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_PUSHED
    event.number = claimed
    event.incarnation = s.incarnation
    event.flag = refused
    events_push(&s.events, &event, slice_nil())


cdef void own_alive(swim_t* s, alive_t* alive) noexcept nogil:
    """What this node claims about itself."""
    memset(alive, 0, sizeof(alive_t))
    alive.incarnation = s.incarnation
    alive.node = identity_name(s.identity)
    alive.addr = identity_addr(s.identity)
    alive.port = s.identity.port
    alive.meta = identity_meta(s.identity)
    alive.vsn = slice_of(s.identity.vsn, VSN_BYTES)


cdef void report_conflict(swim_t* s, member_t* row, const alive_t* alive) noexcept nogil:
    """One event per name and other address, however often the claim comes."""
    cdef event_t event
    cdef uint64_t key = hash_bytes(s.table.seed ^ alive.port, alive.addr.ptr, alive.addr.len)
    key = (key ^ row.identity.entry.hash) | 1
    s.stats[STAT_CONFLICTS] += 1
    if s.conflicts[key % CONFLICTS_REMEMBERED] == key:
        return
    s.conflicts[key % CONFLICTS_REMEMBERED] = key
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_CONFLICT
    event.state = row.state
    event.incarnation = row.incarnation
    event.since_ns = row.state_change_ns
    event.identity = row.identity
    addr_from(alive.addr, alive.port, &event.peer)
    events_push(&s.events, &event, alive.meta)


cdef uint32_t take_newcomer(swim_t* s, const alive_t* alive) noexcept nogil:
    """A row for a name that the table does not hold; NONE, and counted, when it is refused."""
    cdef int reason = newcomer_admissible(s, alive)
    cdef uint8_t state = STATE_PENDING if s.settings.ask_accept_member else STATE_DEAD
    cdef identity_t* identity
    cdef uint32_t index
    if reason != DROP_NONE:
        drop(s, reason)
        return NONE
    identity = identities_intern(s.identities, alive.node, alive.addr, alive.port, alive.meta,
                                 alive.vsn.ptr)
    index = NONE
    if identity != NULL:
        index = table_add(&s.table, identity, &s.rng, state, s.now_ns)
    if index == NONE:
        drop(s, DROP_NO_MEMORY)
    elif state == STATE_PENDING:
        row_at(s, index).incarnation = alive.incarnation
        tell(s, EVENT_ASKED, row_at(s, index), slice_nil(), 0, 0)
    return index


cdef void keep_pending(swim_t* s, uint32_t index, const alive_t* alive) noexcept nogil:
    """A later claim about a name that waits for accept_member: remember the newest."""
    cdef member_t* row = row_at(s, index)
    if row.state == STATE_REFUSED:
        drop(s, DROP_NOT_ACCEPTED)
    elif alive.incarnation > row.incarnation and set_identity(s, index, alive):
        row.incarnation = alive.incarnation


cdef bint set_identity(swim_t* s, uint32_t index, const alive_t* alive) noexcept nogil:
    cdef identity_t* identity = identities_intern(
        s.identities, alive.node, alive.addr, alive.port, alive.meta, alive.vsn.ptr)
    if identity == NULL:
        drop(s, DROP_NO_MEMORY)
        return False
    table_set_identity(&s.table, index, identity)
    return True


cdef void accept_alive(swim_t* s, uint32_t index, const alive_t* alive,
                       uint32_t notify) noexcept nogil:
    """Takes the claim into the table, passes it on, tells the user what changed for him."""
    cdef member_t* row = row_at(s, index)
    cdef uint8_t before = row.state
    cdef bint changed = not (same_content(row, alive) and same_address(row, alive.addr, alive.port))
    if changed and not set_identity(s, index, alive):
        return
    if not planted(BUG_FORGOTTEN_TIMER):
        end_suspicion(s, row)
    queue_alive(s, alive, alive.node, notify)
    row.incarnation = alive.incarnation
    if before != STATE_ALIVE:
        table_set_state(&s.table, index, STATE_ALIVE, s.now_ns)
    if before == STATE_DEAD or before == STATE_LEFT:
        tell(s, EVENT_JOINED, row, slice_nil(), 0, 0)
        heal_regain(s, row)
        return
    if before == STATE_SUSPECT:
        tell(s, EVENT_REFUTED, row, slice_nil(), 0, 0)
    if changed:
        tell(s, EVENT_UPDATED, row, slice_nil(), 0, 0)


cdef void handle_own_alive(swim_t* s, const alive_t* alive) noexcept nogil:
    """Somebody speaks for us: a former run, an echo, or another node of our name."""
    cdef member_t* row = row_at(s, s.self_row)
    cdef question_t q
    cdef int reason = address_admissible(s, alive)
    if reason == DROP_NONE and versions_absurd(alive.vsn):
        reason = DROP_VSN
    if reason != DROP_NONE:
        drop(s, reason)
        return
    memset(&q, 0, sizeof(q))
    q.claim = CLAIM_ALIVE
    q.state = row.state
    q.relation = relation_of(alive.incarnation, row.incarnation)
    q.is_self = True
    q.leaving = s.leaving
    q.same_address = same_address(row, alive.addr, alive.port)
    q.same_content = same_content(row, alive)
    cdef int verdict = judge(&q)
    if verdict == VERDICT_CONFLICT:
        report_conflict(s, row, alive)
    elif verdict == VERDICT_REFUTE:
        refute(s, alive.incarnation)


cdef void handle_alive(swim_t* s, alive_t* alive) noexcept nogil:
    """protocol §19.1"""
    cdef member_t* row
    cdef question_t q
    cdef int reason, verdict
    cdef uint32_t index
    if alive.port == 0:
        alive.port = s.bind_port
    if is_self(s, alive.node):
        handle_own_alive(s, alive)
        return
    index = find_row(s, alive.node)
    row = row_at(s, index) if index != NONE else NULL
    reason = alive_admissible(s, alive, row != NULL)
    if reason == DROP_NONE and incarnation_jumps(s, row.incarnation if row != NULL else 0,
                                                 alive.incarnation, INCARNATION_AHEAD_ALIVE):
        reason = DROP_INCARNATION_JUMP
    if reason != DROP_NONE:
        drop(s, reason)
        return
    if row != NULL and not is_member(row):
        keep_pending(s, index, alive)
        return
    memset(&q, 0, sizeof(q))
    q.claim = CLAIM_ALIVE
    q.state = STATE_UNKNOWN
    q.relation = RELATION_NEWER if alive.incarnation else RELATION_EQUAL
    q.same_address = True
    if row != NULL:
        q.state = row.state
        q.relation = relation_of(alive.incarnation, row.incarnation)
        if planted(BUG_RESURRECTION) and row.state == STATE_DEAD and q.relation == RELATION_EQUAL:
            q.relation = RELATION_NEWER
        q.same_address = same_address(row, alive.addr, alive.port)
        q.reclaim_elapsed = (
            s.settings.dead_node_reclaim_time_ns > 0
            and s.now_ns - row.state_change_ns > s.settings.dead_node_reclaim_time_ns)
        q.has_suspicion = row.suspicion != NONE
    verdict = judge(&q)
    if verdict == VERDICT_CONFLICT:
        # The filter is asked before the rules of conflict: protocol §12.2.
        if network_allowed(s, alive.addr):
            report_conflict(s, row, alive)
        else:
            drop(s, DROP_CIDR)
    elif verdict == VERDICT_ACCEPT or verdict == VERDICT_RECLAIM:
        if row == NULL:
            index = take_newcomer(s, alive)
            if index == NONE or row_at(s, index).state == STATE_PENDING:
                return
        elif not q.same_address and not network_allowed(s, alive.addr):
            drop(s, DROP_CIDR)
            return
        accept_alive(s, index, alive, 0)


# --- suspect ------------------------------------------------------------------------------------

cdef inline int32_t confirmations_mult(swim_t* s) noexcept nogil:
    """The multiplier that the wanted confirmations follow from: protocol §18, or a trial's own."""
    if s.settings.suspicion_k >= 0:
        return <int32_t>s.settings.suspicion_k + 2
    return <int32_t>s.settings.suspicion_mult


cdef void start_suspicion(swim_t* s, uint32_t index, const claim_t* claim) noexcept nogil:
    """Marks the member suspect and starts the timer that will fail it; protocol §18."""
    cdef member_t* row = row_at(s, index)
    cdef uint32_t n = s.table.order_count
    cdef int64_t k = suspicion_k(confirmations_mult(s), n)
    cdef int64_t low = suspicion_min_ns(s.settings.suspicion_mult, n, s.settings.probe_interval_ns)
    cdef int64_t high = low * s.settings.suspicion_max_timeout_mult
    cdef uint64_t accuser = table_hash(&s.table, claim.from_)
    cdef uint32_t index_of = suspicion_start(&s.suspicions, index, <int32_t>k, low, high,
                                             claim.from_, accuser, s.now_ns)
    cdef suspicion_t* suspicion
    if index_of == NONE:
        drop(s, DROP_NO_MEMORY)
        return
    suspicion = suspicion_at(&s.suspicions, index_of)
    suspicion.timer = timers_arm(&s.timers, TIMER_SUSPICION, index_of,
                                 suspicion_deadline(suspicion))
    row.suspicion = index_of
    row.incarnation = claim.incarnation
    table_set_state(&s.table, index, STATE_SUSPECT, s.now_ns)
    s.stats[STAT_SUSPICIONS] += 1
    queue_suspect(s, claim)
    tell(s, EVENT_SUSPECTED, row, claim.from_, 0, 0)


cdef void confirm_suspicion(swim_t* s, member_t* row, const claim_t* claim) noexcept nogil:
    cdef suspicion_t* suspicion = suspicion_at(&s.suspicions, row.suspicion)
    cdef int64_t deadline
    if not suspicion_wants(suspicion):
        return                              # before the name is hashed: most are repetitions
    if suspicion_confirm(suspicion, table_hash(&s.table, claim.from_), s.now_ns, &deadline):
        s.stats[STAT_CONFIRMATIONS] += 1
        timers_rearm(&s.timers, suspicion.timer, deadline)
        queue_suspect(s, claim)
        tell(s, EVENT_CONFIRMED, row, claim.from_, 0, 0)


cdef int ask_about(swim_t* s, int kind, uint32_t index, const claim_t* claim) noexcept nogil:
    """The verdict on a suspect or dead claim about a member or about this node."""
    cdef member_t* row = row_at(s, index)
    cdef question_t q
    memset(&q, 0, sizeof(q))
    q.claim = kind
    q.state = row.state
    q.relation = relation_of(claim.incarnation, row.incarnation)
    q.is_self = index == s.self_row and not planted(BUG_SELF_DEATH)
    q.leaving = s.leaving
    q.has_suspicion = row.suspicion != NONE
    q.same_address = True
    q.graceful = slice_equal(claim.node, claim.from_)
    if not q.is_self and incarnation_jumps(s, row.incarnation, claim.incarnation,
                                           INCARNATION_AHEAD_ACCUSED):
        drop(s, DROP_INCARNATION_JUMP)
        return VERDICT_IGNORE
    return judge(&q)


cdef uint32_t accused_row(swim_t* s, const claim_t* claim) noexcept nogil:
    """The row a suspect or dead claim is about; NONE when there is none to act on."""
    cdef uint32_t index
    if claim.node.len > NAME_BYTES_MAX or not name_readable(claim.from_):
        drop(s, DROP_NAME)
        return NONE
    index = find_row(s, claim.node)
    if index != NONE and not is_member(row_at(s, index)):
        return NONE
    return index


cdef void handle_suspect(swim_t* s, const claim_t* claim) noexcept nogil:
    """protocol §19.2"""
    cdef uint32_t index = accused_row(s, claim)
    if index == NONE:
        return
    cdef int verdict = ask_about(s, CLAIM_SUSPECT, index, claim)
    if verdict == VERDICT_SUSPECT:
        start_suspicion(s, index, claim)
    elif verdict == VERDICT_CONFIRM:
        confirm_suspicion(s, row_at(s, index), claim)
    elif verdict == VERDICT_REFUTE:
        refute(s, claim.incarnation)


# --- dead ---------------------------------------------------------------------------------------

cdef void handle_dead(swim_t* s, const claim_t* claim, uint32_t notify) noexcept nogil:
    """protocol §19.3; `notify` is the user's request that waits for the broadcast."""
    cdef uint32_t index = accused_row(s, claim)
    hear_of_leave(s, claim)
    if index == NONE:
        return
    cdef int verdict = ask_about(s, CLAIM_DEAD, index, claim)
    cdef member_t* row = row_at(s, index)
    cdef suspicion_t* suspicion
    cdef uint32_t confirmations = 0
    cdef int64_t suspected_ns = 0
    cdef slice_t by = claim.from_
    if verdict == VERDICT_REFUTE:
        refute(s, claim.incarnation)
        return
    if verdict != VERDICT_FAIL and verdict != VERDICT_LEAVE:
        return
    if row.suspicion != NONE:
        suspicion = suspicion_at(&s.suspicions, row.suspicion)
        confirmations = suspicion.confirmations
        suspected_ns = s.now_ns - suspicion.started_ns
        by = suspicion_accuser(suspicion)    # whoever began says more than whose timer ran out
    queue_dead(s, claim, notify)
    row.incarnation = claim.incarnation
    table_set_state(&s.table, index, STATE_LEFT if verdict == VERDICT_LEAVE else STATE_DEAD,
                    s.now_ns)
    if verdict == VERDICT_LEAVE:
        tell(s, EVENT_LEFT, row, slice_nil(), 0, 0)
    else:
        heal_lose(s, row)
        tell(s, EVENT_FAILED, row, by, confirmations, suspected_ns)
    end_suspicion(s, row)


cdef void suspicion_fires(swim_t* s, uint32_t suspicion, int64_t deadline) noexcept nogil:
    """Nobody refuted in time: this node declares the suspect dead. Unless time ran out while this
    process stood still, and the refutation may have come (notice_stall)."""
    cdef member_t* row = row_at(s, suspicion_at(&s.suspicions, suspicion).row)
    cdef int32_t* timer = &suspicion_at(&s.suspicions, suspicion).timer
    cdef claim_t claim
    if deadline <= s.stalled_ns:
        timer[0] = timers_arm(&s.timers, TIMER_SUSPICION, suspicion,
                              s.stalled_ns + s.settings.probe_interval_ns)
        return
    timer[0] = -1
    memset(&claim, 0, sizeof(claim))
    claim.incarnation = row.incarnation
    claim.node = identity_name(row.identity)
    claim.from_ = identity_name(s.identity)
    handle_dead(s, &claim, 0)
