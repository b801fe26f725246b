# serf_upkeep.pxi: what time does to a Serf node: reaping, asking those that are leaving, checking
# queues (Serf §9). Those that failed are called by redial.pxi, as without Serf.

cdef enum:
    REAP_ROWS = 500                 # rows and intents looked at in one go
    REAP_PAUSE_NS = 1000000         # between two goes of one pass
    REAP_LIST_BITS = 32             # of a timer's ref; above it: which list


cdef void serf_arm_every(swim_t* s, uint8_t kind, int64_t interval_ns) noexcept nogil:
    if interval_ns > 0:
        timers_arm(&s.timers, kind, 0, s.now_ns + interval_ns)


cdef void serf_start(swim_t* s) noexcept nogil:
    cdef serf_settings_t* settings = &serf_of(s).settings
    serf_arm_every(s, TIMER_REAP, settings.reap_interval_ns)
    serf_arm_every(s, TIMER_QUEUE_CHECK, settings.queue_check_interval_ns)


# -- reaping

cdef uint32_t serf_reap_list(swim_t* s, uint8_t status, uint32_t at, int64_t kept_ns,
                             uint32_t* budget) noexcept nogil:
    """Erase those gone for too long, from place `at` - 1 down; where it got to."""
    cdef serf_t* serf = serf_of(s)
    cdef pages_t* list_ = list_of(&serf.table, status)
    cdef serf_member_t* member
    cdef int64_t limit_ns
    at = min(at, serf.table.counts[status])
    while at and budget[0]:
        at -= 1
        budget[0] -= 1
        member = serf_row(&serf.table, row_slot(list_, at)[0])
        limit_ns = kept_ns if member.reconnect_ns < 0 else member.reconnect_ns
        if s.now_ns - member.left_ns > limit_ns:
            serf.stats[SERF_REAPED] += 1
            serf_erase(s, member)
    return at


cdef void serf_ask_leaving(swim_t* s) noexcept nogil:
    """Tells some of those that are up and said to be leaving what is said of them, alone: one that
    is not leaving refutes it. The word may have been lost but for here, and a push/pull carries its
    time without it, so that nobody else would ever hear of it (Serf §5).

    It is told one Lamport time later, as those who left are in a push/pull: then it is news. As
    that is news to one that leaves, too, and to all others, those that were first seen to be
    leaving since the last pass are let be: a leave is over within one.
    """
    cdef serf_t* serf = serf_of(s)
    cdef uint8_t[SERF_HEAD_BYTES + NAME_BYTES_MAX] bytes
    cdef writer_t writer
    cdef serf_intent_t intent
    cdef serf_member_t* member
    cdef addr_t to
    cdef uint32_t count = serf.table.count, asked = 0, at, i
    if serf.table.counts[STATUS_LEAVING] == 0:
        return
    at = rng_below(&s.rng, count)
    for i in range(min(count, <uint32_t>REAP_ROWS)):
        member = serf_at(&serf.table, (at + i) % count)
        if member.status != STATUS_LEAVING or serf_is_self(s, member):
            continue
        if member.doubted != member.ltime:
            member.doubted = member.ltime
            continue
        memset(&intent, 0, sizeof(intent))
        intent.ltime = member.ltime + 1
        intent.node = identity_name(member.identity)
        writer = writer_of(bytes, SERF_HEAD_BYTES + NAME_BYTES_MAX)
        message_encode(&LEAVE_INTENT, &writer, &intent)
        identity_addr_t(member.identity, &to)
        serf_send_bare(s, &to, writer_slice(&writer))
        asked += 1
        if asked == LEAVING_ASKED_MAX:
            return


cdef void serf_reap(swim_t* s, uint64_t ref) noexcept nogil:
    """One go of a pass: first the failed, then those who left, then old intents; at last some of
    those that are leaving are asked. The next go follows after a pause, the next pass after the
    interval.

    `ref` is 0 for the beginning of a pass, else the place to go on below, and in which list.
    """
    cdef serf_t* serf = serf_of(s)
    cdef uint32_t budget = REAP_ROWS
    cdef uint32_t at = <uint32_t>ref if ref else UINT32_MAX
    cdef bint left = ref >> REAP_LIST_BITS != 0
    if not left:
        at = serf_reap_list(s, STATUS_FAILED, at, serf.settings.reconnect_timeout_ns, &budget)
        left = at == 0
        at = UINT32_MAX if left else at
    if left:
        at = serf_reap_list(s, STATUS_LEFT, at, serf.settings.tombstone_timeout_ns, &budget)
    budget -= intents_expire(&serf.intents,
                             s.now_ns - serf.settings.recent_intent_timeout_ns, budget)
    if budget:
        serf_ask_leaving(s)
        serf_arm_every(s, TIMER_REAP, serf.settings.reap_interval_ns)
    else:
        timers_arm(&s.timers, TIMER_REAP, <uint64_t>left << REAP_LIST_BITS | at,
                   s.now_ns + REAP_PAUSE_NS)


# -- queues

cdef void serf_check_queues(swim_t* s) noexcept nogil:
    """Warn of long queues, and cut those that are too long."""
    cdef serf_t* serf = serf_of(s)
    cdef serf_settings_t* settings = &serf.settings
    cdef int64_t most = settings.max_queue_depth
    cdef uint32_t count
    cdef int queue
    if settings.min_queue_depth > 0:
        most = max(settings.min_queue_depth, 2 * <int64_t>serf.table.count)
    for queue in range(QUEUE_INTENTS, QUEUES):
        count = s.queues[queue].count
        if count >= settings.queue_depth_warning:
            serf_tell(s, EVENT_QUEUE_DEEP, queue, count, False, slice_nil())
        if count > most:
            queue_prune(&s.queues[queue], <uint32_t>most)
    drain_finished(s)
    serf_arm_every(s, TIMER_QUEUE_CHECK, settings.queue_check_interval_ns)
