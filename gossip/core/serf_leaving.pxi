# serf_leaving.pxi: leaving, and making others leave (Serf §8).
#
# To leave takes four steps: the intent is spread; memberlist says goodbye; both words get the time
# to reach everybody, while pings are still answered; then this node is gone.

cdef slice_t serf_encode_leave(swim_t* s, slice_t name, bint prune,
                               writer_t* writer) noexcept nogil:
    """A leave intent at the current time, which then moves on; it has been handled here."""
    cdef serf_t* serf = serf_of(s)
    cdef serf_intent_t intent
    memset(&intent, 0, sizeof(intent))
    intent.ltime = serf.clock
    intent.node = name
    intent.prune = prune
    message_encode(&LEAVE_INTENT, writer, &intent)
    serf.clock += 1
    serf_leave_intent(s, name, intent.ltime, prune)
    return writer_slice(writer)


# -- this node

cdef void serf_step_in(swim_t* s, int64_t delay_ns) noexcept nogil:
    """Go on with leaving at the latest then."""
    cdef serf_t* serf = serf_of(s)
    serf.leave_timer = timers_arm(&s.timers, TIMER_LEAVE, 0, s.now_ns + delay_ns)


cdef void serf_leave_membership(swim_t* s) noexcept nogil:
    cdef serf_t* serf = serf_of(s)
    serf.leave_stage = STEP_GOODBYE
    serf_step_in(s, serf.settings.broadcast_timeout_ns)
    serf.leave_waits[1] = next_request(s)
    begin_leave(s, serf.leave_waits[1])


cdef uint32_t serf_leave(swim_t* s) noexcept nogil:
    """Begins to leave; answered when it is over."""
    cdef serf_t* serf = serf_of(s)
    cdef uint32_t request = next_request(s)
    cdef uint8_t[SERF_HEAD_BYTES + NAME_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, SERF_HEAD_BYTES + NAME_BYTES_MAX)
    cdef slice_t intent
    if serf.state == SERF_LEAVING:
        answer(s, request, b"Leave already in progress")
        return request
    if serf.state == SERF_GONE:
        tell_done(s, request, NULL, 0, 0)
        return request
    serf.state = SERF_LEAVING
    serf.leave_answer = request
    intent = serf_encode_leave(s, identity_name(s.identity), False, &writer)
    serf.leave_waits[0] = next_request(s)
    if serf_others_alive(s) and serf_queue(s, QUEUE_INTENTS, intent, serf.leave_waits[0]):
        serf.leave_stage = STEP_SPREAD
        serf_step_in(s, serf.settings.broadcast_timeout_ns)
    else:
        serf_leave_membership(s)
    return request


cdef void serf_leave_goes_on(swim_t* s) noexcept nogil:
    """A step has been taken, or had its time."""
    cdef serf_t* serf = serf_of(s)
    serf.leave_timer = -1
    if serf.leave_stage == STEP_SPREAD:
        serf_leave_membership(s)
    elif serf.leave_stage == STEP_GOODBYE:
        serf.leave_stage = STEP_PROPAGATE
        serf_step_in(s, serf.settings.leave_propagate_delay_ns)
    else:
        serf.leave_stage = STEP_NONE
        serf.state = SERF_GONE
        tell_done(s, serf.leave_answer, NULL, 0, 0)


# -- others

cdef forced_t* serf_free_forced(serf_t* serf) noexcept nogil:
    """A place for one more forced leave: a free one, or one that nobody waits for; or NULL."""
    cdef int i
    for i in range(FORCED_LEAVES_MAX):
        if serf.forced[i].request == 0:
            return &serf.forced[i]
    for i in range(FORCED_LEAVES_MAX):
        if serf.forced[i].answered:
            return &serf.forced[i]
    return NULL


cdef uint32_t serf_force_leave(swim_t* s, slice_t name, bint prune) noexcept nogil:
    """Says of another that it leaves; answered when that has been spread."""
    cdef serf_t* serf = serf_of(s)
    cdef uint32_t request = next_request(s)
    cdef forced_t* forced = serf_free_forced(serf)
    cdef uint8_t[SERF_HEAD_BYTES + NAME_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, SERF_HEAD_BYTES + NAME_BYTES_MAX)
    cdef slice_t intent
    if forced == NULL:
        answer(s, request, b"too many forced leaves are under way")
        return request
    intent = serf_encode_leave(s, name, prune, &writer)
    if not serf_others_alive(s) or not serf_queue(s, QUEUE_INTENTS, intent, request):
        tell_done(s, request, NULL, 0, 0)
        return request
    forced.request = request
    forced.answered = False
    timers_arm(&s.timers, TIMER_FORCED_LEAVE, request,
               s.now_ns + serf.settings.broadcast_timeout_ns)
    return request


cdef forced_t* serf_forced(serf_t* serf, uint32_t request) noexcept nogil:
    cdef int i
    for i in range(FORCED_LEAVES_MAX):
        if serf.forced[i].request == request:
            return &serf.forced[i]
    return NULL


cdef void serf_force_leave_timeout(swim_t* s, uint32_t request) noexcept nogil:
    """Not spread in time: told once; that the broadcast ends some day is then no answer."""
    cdef forced_t* forced = serf_forced(serf_of(s), request)
    cdef const char* error = b"timed out broadcasting node removal"
    if forced == NULL or forced.answered:
        return
    forced.request = 0                   # else this answer would look like the broadcast's end
    tell_done(s, request, error, strlen(error), 0)
    forced.request = request
    forced.answered = True


cdef bint serf_done(swim_t* s, uint32_t request) noexcept nogil:
    """Whether the request that was answered is one of this layer's own."""
    cdef serf_t* serf = serf_of(s)
    cdef int stage
    cdef forced_t* forced
    cdef bint answered
    for stage in range(2):
        if request == serf.leave_waits[stage]:
            serf.leave_waits[stage] = 0
            if serf.leave_stage == STEP_SPREAD + stage:
                timers_rearm(&s.timers, serf.leave_timer, s.now_ns)
            return True
    forced = serf_forced(serf, request)
    if forced == NULL:
        return False
    answered = forced.answered
    forced.request = 0
    return answered
