# redial.pxi: lost members are called, slowly: one at a time, by name, until they answer.
#
# A call is a TCP ping that carries the name, so that whoever was given the address of a lost member
# since is left alone. If the node of that name answers, states are exchanged a few times.

cdef bint is_up_at(swim_t* s, const addr_t* address, uint32_t* at) noexcept nogil:
    """Whether a member that is up has that address. Some rows are looked at, from `at` on, which
    is then where to go on, or 0 behind the last one."""
    cdef uint32_t end = min(s.table.used, at[0] + <uint32_t>ADDRESS_ROWS_MAX)
    cdef const member_t* row
    cdef addr_t known
    cdef uint32_t i
    for i in range(at[0], end):
        row = row_at(s, i)
        if row.identity == NULL or not is_up(row):
            continue
        identity_addr_t(row.identity, &known)
        if addr_equal(&known, address):
            return True
    at[0] = end if end < s.table.used else 0
    return False


cdef bint calls_now(swim_t* s) noexcept nogil:
    """Whether this node is the one to call this time. Each node of a large rest calls seldom, of a
    small one always: as many calls in an interval as there are lost, by all together."""
    cdef uint32_t up = rows_in(s, STATE_ALIVE) + rows_in(s, STATE_SUSPECT)
    return s.heal.missing >= up or rng_below(&s.heal.rng, up) < s.heal.missing


cdef lost_t* whom_to_call(swim_t* s) noexcept nogil:
    """One of the missing, each equally likely."""
    cdef heal_t* heal = s.heal
    cdef uint32_t left = rng_below(&heal.rng, heal.missing)
    cdef uint32_t at
    for at in range(heal.count):
        if heal.lost[at].regained:
            continue
        if left == 0:
            return &heal.lost[at]
        left -= 1
    return NULL


cdef void call_lost(swim_t* s) noexcept nogil:
    """Ask for a lost member at its last address; one call at a time."""
    cdef heal_t* heal = s.heal
    cdef lost_t* lost = whom_to_call(s)
    cdef session_t* session
    cdef addr_t peer
    if lost == NULL or find_session(s, heal.stream) != NULL:
        return
    identity_addr_t(lost.identity, &peer)
    if lost.identity.vsn[1] < PROTOCOL_TCP_PING:
        heal_found(s, &peer, 1, 0)         # it cannot be asked for its name
        return
    s.stats[STAT_HEAL_CALLS] += 1
    session = open_session(s, SESSION_FIND, &peer, 0)
    if session != NULL:
        session.sequence = next_sequence(s)
        session.target = identity_retain(lost.identity)
        heal.stream = session.stream


cdef void heal_tick(swim_t* s) noexcept nogil:
    cdef heal_t* heal = s.heal
    cdef int64_t pause
    heal.timer = -1
    give_up_lost(s)
    if not heals(s) or heal.missing == 0:
        heal.rounds = 0
        return
    pause = heal_pause(s)
    if heal.rounds == 0:
        if calls_now(s):
            call_lost(s)
    else:
        heal.rounds -= 1
        s.stats[STAT_HEAL_CALLS] += 1
        start_push_pull(s, &heal.contact, True, 0)
        if heal.rounds:                    # 1, 2, 4 probe intervals apart
            pause = s.settings.probe_interval_ns << (HEAL_ROUNDS - 1 - heal.rounds)
    if heal.timer < 0:
        heal.timer = timers_arm(&s.timers, TIMER_HEAL, 0, s.now_ns + pause)
