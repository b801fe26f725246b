# serf_asking.pxi: the books of own queries: who is awaited, who was heard, when it is over (Serf
# §11.4). It ends at its deadline, or as soon as every awaited member has answered or gone.

cdef enum VoterFlag:
    VOTER_AWAITED = 1               # named as awaited, and still is
    VOTER_ACKED = 2
    VOTER_RESPONDED = 4


cdef inline uint64_t asked_hash(uint64_t ltime) noexcept nogil:
    return rng_mix(ltime)


cdef asked_t* asked_find(serf_t* serf, uint64_t ltime) noexcept nogil:
    cdef entry_t* entry = map_first(&serf.asked, asked_hash(ltime))
    while entry != NULL:
        if (<asked_t*>entry).ltime == ltime:
            return <asked_t*>entry
        entry = entry.next
    return NULL


cdef asked_t* asked_with_id(serf_t* serf, uint32_t id_) noexcept nogil:
    cdef asked_t* asked = serf.running
    while asked != NULL and asked.id != id_:
        asked = asked.next
    return asked


cdef asked_t* asked_start(swim_t* s, const query_t* query, int64_t deadline_ns) noexcept nogil:
    """Begin to keep books of a query; NULL when there are too many, or no memory."""
    cdef serf_t* serf = serf_of(s)
    cdef asked_t* asked = NULL
    if serf.running_count < QUERIES_ASKED_MAX and map_reserve(&serf.asked):
        asked = <asked_t*>calloc(1, sizeof(asked_t))
    if asked == NULL:
        return NULL
    asked.timer = timers_arm(&s.timers, TIMER_QUERY, query.ltime, deadline_ns)
    if asked.timer < 0:
        free(asked)
        return NULL
    asked.ltime = query.ltime
    asked.id = query.id
    asked.wants_acks = query.flags & QUERY_ACK != 0
    asked.serial = serf.table.serial
    asked.voters_max = serf.table.count + VOTERS_EXTRA_MAX
    map_init(&asked.votes)
    pages_init(&asked.voters, sizeof(voter_t))
    asked.entry.hash = asked_hash(query.ltime)
    map_put(&serf.asked, &asked.entry)
    asked.next = serf.running
    if asked.next != NULL:
        asked.next.before = asked
    serf.running = asked
    serf.running_count += 1
    return asked


cdef void asked_free(swim_t* s, asked_t* asked) noexcept nogil:
    cdef serf_t* serf = serf_of(s)
    timers_cancel(&s.timers, asked.timer)
    map_drop(&serf.asked, &asked.entry)
    if asked.before != NULL:
        asked.before.next = asked.next
    else:
        serf.running = asked.next
    if asked.next != NULL:
        asked.next.before = asked.before
    serf.running_count -= 1
    map_free(&asked.votes)
    pages_free(&asked.voters)
    free(asked)


cdef void asked_end(swim_t* s, asked_t* asked, bint early) noexcept nogil:
    serf_tell(s, EVENT_QUERY_DONE, asked.id, 0, early, slice_nil())
    asked_free(s, asked)


cdef void asked_timeout(swim_t* s, uint64_t ltime) noexcept nogil:
    cdef asked_t* asked = asked_find(serf_of(s), ltime)
    if asked != NULL:
        asked.timer = -1
        asked_end(s, asked, False)


# -- votes

cdef voter_t* asked_voter(swim_t* s, asked_t* asked, slice_t name, bint make) noexcept nogil:
    """What is known of a name in this query; NULL when it is new and not to be made, or cannot."""
    cdef uint64_t hash = hash_bytes(serf_of(s).seed, name.ptr, name.len)
    cdef entry_t* entry = map_first(&asked.votes, hash)
    cdef voter_t* voter
    cdef uint32_t at = asked.voters_used
    while entry != NULL:
        if entry.hash == hash:
            return <voter_t*>entry
        entry = entry.next
    if not make:
        return NULL
    if at == asked.voters_max:
        drop(s, DROP_VOTERS_FULL)
        return NULL
    if not (map_reserve(&asked.votes)
            and (at < asked.voters.count or pages_grow(&asked.voters))):
        drop(s, DROP_NO_MEMORY)
        return NULL
    asked.voters_used += 1
    voter = &(<voter_t*>page_of(&asked.voters, at))[in_page(at)]
    voter.entry.hash = hash
    map_put(&asked.votes, &voter.entry)
    return voter


cdef void asked_await_all(swim_t* s, asked_t* asked) noexcept nogil:
    """Every member that is present now, this node included."""
    cdef serf_table_t* table = &serf_of(s).table
    asked.awaits_all = True
    asked.awaited = table.counts[STATUS_ALIVE] + table.counts[STATUS_LEAVING]


cdef void asked_await(swim_t* s, asked_t* asked, slice_t name) noexcept nogil:
    """This member, if it is present."""
    cdef serf_member_t* member = serf_find(&serf_of(s).table, name)
    cdef voter_t* voter
    if member == NULL or not serf_is_present(member):
        return
    voter = asked_voter(s, asked, name, True)
    if voter != NULL and not voter.flags & VOTER_AWAITED:
        voter.flags |= VOTER_AWAITED
        asked.awaited += 1


cdef inline uint8_t answer_flag(const asked_t* asked) noexcept nogil:
    """What counts as the answer of a member."""
    return VOTER_ACKED if asked.acks_answer else VOTER_RESPONDED


cdef bint asked_awaits(asked_t* asked, voter_t* voter, const serf_member_t* member) noexcept nogil:
    """Whether a member without an answer yet (the voter may be NULL) is awaited."""
    if not asked.awaits_all:
        return voter != NULL and voter.flags & VOTER_AWAITED != 0
    return member != NULL and serf_is_present(member) and member.serial <= asked.serial


cdef void asked_count_off(swim_t* s, asked_t* asked, voter_t* voter) noexcept nogil:
    """One less to wait for; the query may be over and gone after this."""
    if voter != NULL:
        voter.flags &= ~<uint8_t>VOTER_AWAITED
    asked.awaited -= 1
    if asked.awaited == 0:
        asked_end(s, asked, True)


cdef void asked_lost(swim_t* s, asked_t* asked, const serf_member_t* member) noexcept nogil:
    """A member that was present has gone. Its status may be another already."""
    cdef voter_t* voter = asked_voter(s, asked, identity_name(member.identity), False)
    cdef bint awaited
    if voter != NULL and voter.flags & answer_flag(asked):
        return
    if asked.awaits_all:
        awaited = member.serial <= asked.serial
    else:
        awaited = asked_awaits(asked, voter, member)
    if awaited:
        asked_count_off(s, asked, voter)


cdef void asked_hear(swim_t* s, const response_t* response, slice_t body) noexcept nogil:
    """An ack or a response to an own query, from whoever says so; once a name."""
    cdef serf_t* serf = serf_of(s)
    cdef asked_t* asked = asked_find(serf, response.ltime)
    cdef bint ack = response.flags & RESPONSE_ACK != 0
    cdef uint8_t flag = VOTER_ACKED if ack else VOTER_RESPONDED
    cdef voter_t* voter
    cdef bint awaited
    if asked == NULL or asked.id != response.id or (ack and not asked.wants_acks):
        drop(s, DROP_RESPONSE_UNKNOWN)
        return
    voter = asked_voter(s, asked, response.from_, True)
    if voter == NULL:
        return
    if voter.flags & flag:
        serf.stats[SERF_REPLIES_SEEN] += 1
        return
    awaited = flag == answer_flag(asked) and asked_awaits(
        asked, voter, serf_find(&serf.table, response.from_))
    voter.flags |= flag
    serf.stats[SERF_REPLIES] += 1
    serf_tell(s, EVENT_QUERY_ACK if ack else EVENT_QUERY_RESPONSE, asked.id, 0, False, body)
    if awaited:
        asked_count_off(s, asked, voter)


cdef void asked_ignored(swim_t* s, uint64_t ltime) noexcept nogil:
    """This node itself will not answer its query."""
    cdef serf_t* serf = serf_of(s)
    cdef slice_t own = identity_name(s.identity)
    cdef asked_t* asked = asked_find(serf, ltime)
    cdef voter_t* voter
    if asked == NULL:
        return
    voter = asked_voter(s, asked, own, True)
    if voter == NULL or voter.flags & answer_flag(asked) or not asked_awaits(
            asked, voter, serf_find(&serf.table, own)):
        return
    voter.flags |= answer_flag(asked)
    asked_count_off(s, asked, voter)
