# serf_members.pxi: the status of members: what memberlist reports, and intents (Serf §7, §8).
#
# Memberlist says who is there; intents say who means to go. Both together tell a member that left
# from one that failed.

cdef enum:
    PRUNE_ROW_BITS = 32             # of a prune timer's ref; the presence stands above


# -- what memberlist reports

cdef void serf_gone(swim_t* s, const serf_member_t* member) noexcept nogil:
    """A member that was present is not any more: own queries need not wait for it."""
    cdef serf_t* serf = serf_of(s)
    cdef asked_t* asked = serf.running
    cdef asked_t* next
    while asked != NULL:
        next = asked.next
        asked_lost(s, asked, member)
        asked = next


cdef void serf_take_intent(serf_t* serf, serf_member_t* member) noexcept nogil:
    """A new member, and what was said about it before it came."""
    cdef intent_t* intent = intents_find(&serf.intents, identity_name(member.identity))
    cdef uint8_t status = STATUS_ALIVE
    if intent != NULL:
        member.ltime = intent.ltime
        if intent.kind == INTENT_LEAVE:
            status = STATUS_LEAVING
    serf_set_status(&serf.table, member, status)


cdef void serf_joined(swim_t* s, const member_t* row) noexcept nogil:
    cdef serf_t* serf = serf_of(s)
    cdef serf_member_t* member = serf_find(&serf.table, identity_name(row.identity))
    cdef bint flapped = False
    if member == NULL:
        member = serf_add(&serf.table, row.identity)
        if member == NULL:
            drop(s, DROP_NO_MEMORY)
            return
        serf_take_intent(serf, member)
    else:
        flapped = (member.status == STATUS_FAILED
                   and s.now_ns - member.left_ns < serf.settings.flap_timeout_ns)
        serf_set_identity(&serf.table, member, row.identity)
        serf_set_status(&serf.table, member, STATUS_ALIVE)
        member.left_ns = 0
    serf.table.serial += 1
    member.serial = serf.table.serial
    serf.delegate.members = serf.table.count
    serf_tell_member(s, EVENT_MEMBER_JOIN, member)
    if flapped:
        serf.stats[SERF_FLAPS] += 1
        serf_tell_member(s, EVENT_MEMBER_FLAPPED, member)


cdef void serf_left(swim_t* s, const member_t* row) noexcept nogil:
    """Left for memberlist, in whatever way: the intent before it makes the difference."""
    cdef serf_t* serf = serf_of(s)
    cdef serf_member_t* member = serf_find(&serf.table, identity_name(row.identity))
    if member == NULL or not serf_is_present(member) or planted(BUG_UNTOLD_FAILURE):
        return
    if member.status == STATUS_LEAVING:
        serf_set_status(&serf.table, member, STATUS_LEFT)
        heal_forget(s, identity_name(row.identity))
    else:
        serf_set_status(&serf.table, member, STATUS_FAILED)
    member.left_ns = s.now_ns
    serf_tell_member(s, EVENT_MEMBER_LEAVE if member.status == STATUS_LEFT
                     else EVENT_MEMBER_FAILED, member)
    serf_gone(s, member)


cdef void serf_updated(swim_t* s, const member_t* row) noexcept nogil:
    cdef serf_t* serf = serf_of(s)
    cdef serf_member_t* member = serf_find(&serf.table, identity_name(row.identity))
    if member != NULL:
        serf_set_identity(&serf.table, member, row.identity)
        serf_tell_member(s, EVENT_MEMBER_UPDATE, member)


cdef void serf_erase(swim_t* s, serf_member_t* member) noexcept nogil:
    """Forget a member, and say so. Memberlist may know it still."""
    cdef serf_t* serf = serf_of(s)
    serf_tell_member(s, EVENT_MEMBER_REAP, member)
    heal_forget(s, identity_name(member.identity))
    if serf_is_present(member):
        serf_gone(s, member)
    serf_remove(&serf.table, member)
    serf.delegate.members = serf.table.count


# -- intents

cdef bint serf_join_intent(swim_t* s, slice_t name, uint64_t ltime) noexcept nogil:
    """A node says that it is there; whether this is news."""
    cdef serf_t* serf = serf_of(s)
    cdef serf_member_t* member
    if not lamport_witness(&serf.clock, ltime):
        drop(s, DROP_LAMPORT_JUMP)
        return False
    if planted(BUG_CLOCK_BACK):
        serf.clock = ltime + 1
    member = serf_find(&serf.table, name)
    if member == NULL:
        return intents_upsert(&serf.intents, name, INTENT_JOIN, ltime, s.now_ns)
    if ltime <= member.ltime:
        return False
    member.ltime = ltime
    if member.status == STATUS_LEAVING:
        serf_set_status(&serf.table, member, STATUS_ALIVE)
    return True


cdef void serf_broadcast_join(swim_t* s) noexcept nogil:
    """Says that this node is there, at the current time; Serf §6."""
    cdef serf_t* serf = serf_of(s)
    cdef uint8_t[SERF_HEAD_BYTES + NAME_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, SERF_HEAD_BYTES + NAME_BYTES_MAX)
    cdef serf_intent_t intent
    intent.ltime = serf.clock
    intent.node = identity_name(s.identity)
    message_encode(&JOIN_INTENT, &writer, &intent)
    serf_join_intent(s, intent.node, intent.ltime)
    serf_queue(s, QUEUE_INTENTS, writer_slice(&writer), 0)


cdef bint serf_leave_intent(swim_t* s, slice_t name, uint64_t ltime, bint prune) noexcept nogil:
    """Somebody says that a node means to leave; whether this is news to pass on."""
    cdef serf_t* serf = serf_of(s)
    cdef serf_member_t* member
    if not lamport_witness(&serf.clock, ltime):
        drop(s, DROP_LAMPORT_JUMP)
        return False
    member = serf_find(&serf.table, name)
    if member == NULL:
        return intents_upsert(&serf.intents, name, INTENT_LEAVE, ltime, s.now_ns)
    if ltime <= member.ltime:
        return False
    if serf.state == SERF_ALIVE and is_self(s, name):
        serf.stats[SERF_REFUTATIONS] += 1
        serf_broadcast_join(s)
        return False
    member.ltime = ltime
    if member.status == STATUS_ALIVE:
        serf_set_status(&serf.table, member, STATUS_LEAVING)
    elif member.status == STATUS_FAILED:
        serf_set_status(&serf.table, member, STATUS_LEFT)
        heal_forget(s, name)
        serf_tell_member(s, EVENT_MEMBER_LEAVE, member)
    if prune:
        serf_prune(s, member)
    return True


cdef void serf_prune(swim_t* s, serf_member_t* member) noexcept nogil:
    """Erase a member by request: at once, or when one that is leaving has had the time to."""
    cdef serf_t* serf = serf_of(s)
    cdef uint64_t ref = <uint64_t>member.serial << PRUNE_ROW_BITS | member.number
    if member.status != STATUS_LEAVING:
        serf.stats[SERF_PRUNED] += 1
        serf_erase(s, member)
        return
    timers_arm(&s.timers, TIMER_PRUNE, ref, s.now_ns + serf.settings.broadcast_timeout_ns
               + serf.settings.leave_propagate_delay_ns)


cdef void serf_prune_fires(swim_t* s, uint64_t ref) noexcept nogil:
    cdef serf_t* serf = serf_of(s)
    cdef uint32_t number = <uint32_t>ref
    cdef serf_member_t* member
    if number >= serf.table.used:
        return
    member = serf_row(&serf.table, number)
    if member.identity != NULL and member.serial == ref >> PRUNE_ROW_BITS:
        serf.stats[SERF_PRUNED] += 1
        serf_erase(s, member)


cdef void serf_hear_intent(swim_t* s, uint8_t type_, slice_t message) noexcept nogil:
    """A gossiped intent: handled, and passed on as it came if it is news."""
    cdef serf_t* serf = serf_of(s)
    cdef serf_intent_t intent
    cdef bint leave = type_ == SERF_LEAVE
    cdef bint news
    if decode_body(&LEAVE_INTENT if leave else &JOIN_INTENT, slice_from(message, 1),
                   &intent) != DROP_NONE:
        drop(s, DROP_DECODE)
        return
    if intent.node.len > NAME_BYTES_MAX:
        drop(s, DROP_NAME)
        return
    serf.stats[SERF_INTENTS] += 1
    if leave:
        news = serf_leave_intent(s, intent.node, intent.ltime, intent.prune != 0)
    else:
        news = serf_join_intent(s, intent.node, intent.ltime)
    if news:
        serf_queue(s, QUEUE_INTENTS, message, 0)
