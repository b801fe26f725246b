# heal.pxi: the members that failed and may only be cut off: who they are, and who came back.
#
# memberlist forgets a dead member half a minute after it died, so that a partition that lasts
# longer stays for ever. Here the failed are remembered, each for `heal_time`, up to a number;
# redial.pxi calls them. A name is forgotten when it leaves, regained when it is alive again,
# wherever that was heard. When all have come back, or no further one for a while, the user is told
# once who was lost and who was regained.

cdef enum:
    HEAL_QUIET_PROBES = 10       # probe intervals without another return, and the heal is told
    HEAL_ROUNDS = 4              # state exchanges with a peer that was found again

cdef struct lost_t:
    uint64_t hash                # of the name
    identity_t* identity         # a reference: the row may be gone
    int64_t since_ns             # when it failed
    uint32_t incarnation         # as of then
    bint answered                # it was more than a name: it has answered a probe of ours
    bint regained

cdef struct heal_t:
    lost_t* lost
    uint32_t count
    uint32_t capacity
    uint32_t missing             # those not regained
    rng_t rng                    # its own: healing must not disturb other draws
    int32_t timer                # TIMER_HEAL, or -1
    int32_t quiet                # TIMER_HEALED, or -1
    uint32_t stream              # of the last call by name
    addr_t contact               # who was found
    uint32_t rounds              # state exchanges with it that are still to come


cdef heal_t* heal_new(uint64_t seed) noexcept nogil:
    """Nobody is lost. NULL without memory."""
    cdef heal_t* heal = <heal_t*>calloc(1, sizeof(heal_t))
    if heal != NULL:
        rng_seed(&heal.rng, ~seed)
        heal.timer = -1
        heal.quiet = -1
    return heal


cdef void heal_clear(swim_t* s) noexcept nogil:
    """Forgets everybody: this node leaves, or ends."""
    cdef heal_t* heal = s.heal
    if heal == NULL:
        return
    while heal.count:
        drop_lost(s, heal.count - 1)
    free(heal.lost)
    heal.lost = NULL
    heal.capacity = 0
    heal.rounds = 0
    timers_cancel(&s.timers, heal.timer)
    timers_cancel(&s.timers, heal.quiet)
    heal.timer = -1
    heal.quiet = -1


cdef inline bint heals(swim_t* s) noexcept nogil:
    return s.settings.heal_interval_ns > 0 and not s.leaving


cdef void drop_lost(swim_t* s, uint32_t at) noexcept nogil:
    cdef heal_t* heal = s.heal
    heal.missing -= not heal.lost[at].regained
    identity_release(s.identities, heal.lost[at].identity)
    heal.count -= 1
    heal.lost[at] = heal.lost[heal.count]


cdef uint32_t find_lost(swim_t* s, slice_t name) noexcept nogil:
    """The place of a name among the lost, or NONE."""
    cdef heal_t* heal = s.heal
    cdef uint64_t hash
    cdef uint32_t at
    if heal.count == 0:
        return NONE
    hash = table_hash(&s.table, name)
    for at in range(heal.count):
        if heal.lost[at].hash == hash and slice_equal(identity_name(heal.lost[at].identity), name):
            return at
    return NONE


cdef inline bint goes_before(const lost_t* one, const lost_t* other) noexcept nogil:
    if one.answered != other.answered:
        return not one.answered
    return one.since_ns < other.since_ns


cdef uint32_t place_for_lost(swim_t* s) noexcept nogil:
    """A free place, if need be that of whoever is lost for longest, of those who never answered
    where there is one: made-up names shall not displace members. NONE without memory."""
    cdef heal_t* heal = s.heal
    cdef uint32_t capacity = heal.capacity * 2 if heal.capacity else 16
    cdef uint32_t oldest = 0
    cdef uint32_t at
    cdef lost_t* lost
    if heal.count == LOST_MAX:
        for at in range(heal.count):
            if goes_before(&heal.lost[at], &heal.lost[oldest]):
                oldest = at
        drop_lost(s, oldest)
    if heal.count == heal.capacity:
        lost = <lost_t*>realloc(heal.lost, capacity * sizeof(lost_t))
        if lost == NULL:
            return NONE
        heal.lost = lost
        heal.capacity = capacity
    heal.count += 1
    heal.missing += 1
    return heal.count - 1


cdef void heal_lose(swim_t* s, const member_t* row) noexcept nogil:
    """A member has failed: remember it."""
    cdef heal_t* heal = s.heal
    cdef uint32_t at
    cdef lost_t* lost
    if not heals(s):
        return
    at = find_lost(s, identity_name(row.identity))
    if at != NONE:
        drop_lost(s, at)
    at = place_for_lost(s)
    if at == NONE:
        drop(s, DROP_NO_MEMORY)
        return
    lost = &heal.lost[at]
    lost.hash = row.entry.hash
    lost.identity = identity_retain(row.identity)
    lost.since_ns = s.now_ns
    lost.incarnation = row.incarnation
    lost.answered = (row.flags & MEMBER_ANSWERED) != 0
    lost.regained = False
    if heal.timer < 0:
        heal.timer = timers_arm(&s.timers, TIMER_HEAL, 0, s.now_ns + heal_pause(s))


cdef int64_t heal_pause(swim_t* s) noexcept nogil:
    """From one call to the next: half to one and a half of the interval, evenly drawn, so that a
    pool that was cut in two at one moment does not dial at one moment."""
    cdef int64_t interval = s.settings.heal_interval_ns
    return interval // 2 + <int64_t>(rng_u64(&s.heal.rng) % <uint64_t>interval)


cdef void heal_regain(swim_t* s, const member_t* row) noexcept nogil:
    """A member that was not up is alive. If it was lost, the end of a partition begins."""
    cdef heal_t* heal = s.heal
    cdef uint32_t at = find_lost(s, identity_name(row.identity))
    cdef int64_t quiet = s.now_ns + HEAL_QUIET_PROBES * s.settings.probe_interval_ns
    if at == NONE or heal.lost[at].regained:
        return
    heal.lost[at].regained = True
    heal.missing -= 1
    s.stats[STAT_HEAL_REGAINED] += 1
    if heal.missing == 0:
        tell_healed(s)
    elif heal.quiet < 0:
        heal.quiet = timers_arm(&s.timers, TIMER_HEALED, 0, quiet)
    else:
        timers_rearm(&s.timers, heal.quiet, quiet)


cdef void heal_forget(swim_t* s, slice_t name) noexcept nogil:
    """A lost member will not come back, and is not to be called: it left, or was removed."""
    cdef uint32_t at = find_lost(s, name)
    if at == NONE or s.heal.lost[at].regained:
        return
    drop_lost(s, at)
    if s.heal.missing == 0 and s.heal.count:
        tell_healed(s)


cdef void hear_of_leave(swim_t* s, const claim_t* claim) noexcept nogil:
    """What left on the other side of a partition is dead here: dead never becomes left."""
    cdef uint32_t at
    if s.heal.count and slice_equal(claim.node, claim.from_):
        at = find_lost(s, claim.node)
        if at != NONE and claim.incarnation >= s.heal.lost[at].incarnation:
            heal_forget(s, claim.node)


cdef void give_up_lost(swim_t* s) noexcept nogil:
    """Forget who has been lost for longer than the heal time."""
    cdef heal_t* heal = s.heal
    cdef uint32_t at = heal.count
    while at:
        at -= 1
        if (not heal.lost[at].regained
                and s.now_ns - heal.lost[at].since_ns > s.settings.heal_time_ns):
            drop_lost(s, at)
    if heal.missing == 0 and heal.count:
        tell_healed(s)


cdef void tell_healed(swim_t* s) noexcept nogil:
    """One event with every lost name and whether it is back; those that are back are forgotten."""
    cdef heal_t* heal = s.heal
    cdef buffer_t names
    cdef event_t event
    cdef slice_t name
    cdef uint8_t[2] head
    cdef uint32_t at
    cdef bint room = True
    buffer_init(&names)
    for at in range(heal.count):
        name = identity_name(heal.lost[at].identity)
        head[0] = heal.lost[at].regained
        head[1] = <uint8_t>name.len
        room = (room and buffer_append(&names, head, 2) and buffer_append_slice(&names, name))
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_HEALED
    if room:
        events_push(&s.events, &event, buffer_slice(&names))
        s.stats[STAT_HEALS] += 1
    else:
        drop(s, DROP_NO_MEMORY)
    buffer_free(&names)
    at = heal.count
    while at:
        at -= 1
        if heal.lost[at].regained:
            drop_lost(s, at)
    timers_cancel(&s.timers, heal.quiet)
    heal.quiet = -1


cdef void heal_found(swim_t* s, const addr_t* peer, uint32_t rounds,
                     int64_t wait_ns) noexcept nogil:
    """A node answers at that address: exchange states with it so often, the first time after
    `wait_ns`. Once is not enough where each side holds the other dead: the first exchange lets
    both refute, only the next one shows it."""
    cdef heal_t* heal = s.heal
    if not heals(s) or heal.missing == 0:
        return
    heal.contact = peer[0]
    heal.rounds = rounds
    timers_cancel(&s.timers, heal.timer)
    heal.timer = timers_arm(&s.timers, TIMER_HEAL, 0, s.now_ns + wait_ns)
