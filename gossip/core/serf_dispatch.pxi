# serf_dispatch.pxi: where memberlist calls the Serf layer: its delegate.

cdef void serf_member(swim_t* s, uint8_t event, const member_t* row) noexcept nogil:
    if event == EVENT_JOINED:
        serf_joined(s, row)
    elif event == EVENT_UPDATED:
        serf_updated(s, row)
    else:
        serf_left(s, row)


cdef bint serf_message(swim_t* s, slice_t payload) noexcept nogil:
    """A user message; those that begin with no number of Serf's are the application's."""
    cdef int type_ = slice_first(payload)
    if type_ >= SERF_FOREIGN:
        return False
    if type_ == SERF_LEAVE or type_ == SERF_JOIN:
        serf_hear_intent(s, <uint8_t>type_, payload)
    elif type_ == SERF_USER_EVENT:
        serf_hear_event(s, payload)
    elif type_ == SERF_QUERY:
        serf_hear_query(s, payload, False)
    elif type_ == SERF_RESPONSE:
        serf_hear_response(s, payload)
    elif type_ == SERF_RELAY:
        serf_carry(s, payload)
    elif type_ >= 0:                     # parts of other messages; an empty one says nothing
        drop(s, DROP_SERF_TYPE)
    return True


cdef void serf_due(swim_t* s, const timer_t* timer) noexcept nogil:
    if timer.kind == TIMER_REAP:
        serf_reap(s, timer.ref)
    elif timer.kind == TIMER_QUEUE_CHECK:
        serf_check_queues(s)
    elif timer.kind == TIMER_QUERY:
        asked_timeout(s, timer.ref)
    elif timer.kind == TIMER_PRUNE:
        serf_prune_fires(s, timer.ref)
    elif timer.kind == TIMER_LEAVE:
        serf_leave_goes_on(s)
    elif timer.kind == TIMER_FORCED_LEAVE:
        serf_force_leave_timeout(s, <uint32_t>timer.ref)


cdef void serf_free(swim_t* s) noexcept nogil:
    cdef serf_t* serf = serf_of(s)
    cdef uint32_t i
    while serf.running != NULL:
        asked_free(s, serf.running)
    for i in range(QUERIES_HELD_MAX):
        free(serf.held[i])
    map_free(&serf.asked)
    dedup_free(&serf.events)
    dedup_free(&serf.queries)
    intents_free(&serf.intents)
    serf_table_free(&serf.table)
    free(serf)
    s.delegate = NULL


cdef bint serf_attach(swim_t* s, const serf_settings_t* settings) noexcept nogil:
    """Give a node that has not started its Serf layer; False without memory."""
    cdef serf_t* serf = <serf_t*>calloc(1, sizeof(serf_t))
    if serf == NULL:
        return False
    serf.settings = settings[0]
    serf.delegate.start = serf_start
    serf.delegate.member = serf_member
    serf.delegate.message = serf_message
    serf.delegate.done = serf_done
    serf.delegate.due = serf_due
    serf.delegate.make_state = serf_make_state
    serf.delegate.merge_state = serf_merge_state
    serf.delegate.drop_state = serf_drop_state
    serf.delegate.free = serf_free
    serf.clock = 1
    serf.event_clock = 1
    serf.query_clock = 1
    serf.leave_timer = -1
    serf.seed = rng_u64(&s.rng)
    intents_init(&serf.intents, rng_u64(&s.rng))
    map_init(&serf.asked)
    serf_table_init(&serf.table, s.identities, rng_u64(&s.rng))
    s.delegate = &serf.delegate
    s.settings.heal_interval_ns = settings.reconnect_interval_ns
    s.settings.heal_time_ns = INT64_MAX         # until the member is reaped
    if dedup_init(&serf.events, <uint32_t>settings.event_buffer) and dedup_init(
            &serf.queries, <uint32_t>settings.query_buffer):
        return True
    serf_free(s)
    return False
