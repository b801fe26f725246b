# gossip.pxi: filling packets. Every directed message carries what the queues want to spread, and
# the gossip round sends packets that carry nothing else. Budgets: protocol §13.


cdef void pack_message(pack_t* pack, int prefix, slice_t payload) noexcept nogil:
    """Appends one message to the pack; a prefix of -1 means none."""
    cdef uint32_t length = payload.len + (1 if prefix >= 0 else 0)
    cdef uint8_t byte = <uint8_t>prefix
    if pack.count == PACK_PARTS_MAX or length > 65535:
        return
    if prefix >= 0 and not buffer_append(&pack.bytes, &byte, 1):
        return
    if not buffer_append(&pack.bytes, payload.ptr, payload.len):
        return
    pack.lengths[pack.count] = <uint16_t>length
    pack.count += 1


cdef void pack_clear(pack_t* pack) noexcept nogil:
    buffer_clear(&pack.bytes)
    pack.count = 0


cdef inline bint pack_has_room(const pack_t* pack) noexcept nogil:
    return pack.count < PACK_PARTS_MAX


cdef bint pack_own(void* pack, slice_t payload) noexcept nogil:
    pack_message(<pack_t*>pack, -1, payload)
    return pack_has_room(<pack_t*>pack)


cdef bint pack_user(void* pack, slice_t payload) noexcept nogil:
    pack_message(<pack_t*>pack, MSG_USER, payload)
    return pack_has_room(<pack_t*>pack)


cdef inline void put_length(writer_t* writer, uint16_t length) noexcept nogil:
    cdef uint8_t* at = writer_take(writer, 2)
    if at != NULL:
        store_u16(at, length)


cdef bint anything_queued(swim_t* s) noexcept nogil:
    cdef int i
    for i in range(QUEUES):
        if s.queues[i].count:
            return True
    return False


cdef bint layer_queued(swim_t* s) noexcept nogil:
    """Whether the layer above has something to spread; a bare memberlist has none."""
    cdef int i
    if s.delegate == NULL:
        return False
    for i in range(QUEUE_INTENTS, QUEUES):
        if s.queues[i].count:
            return True
    return False


cdef bint layer_unsent(swim_t* s) noexcept nogil:
    """Whether some of that was never sent."""
    cdef int i
    if s.delegate == NULL:
        return False
    for i in range(QUEUE_INTENTS, QUEUES):
        if queue_has_unsent(&s.queues[i]):
            return True
    return False


cdef inline uint32_t user_transmit_limit(swim_t* s, int queue) noexcept nogil:
    """How often an item of a user queue is sent. Serf counts its members, of any status; in a
    small pool each of them is told directly, for there the random few would miss some."""
    cdef int64_t members
    if queue == QUEUE_USER:
        return transmit_limit(s)
    members = s.delegate.members
    return <uint32_t>max(retransmit_limit(s.settings.retransmit_mult, members),
                         min(members - 1, <int64_t>TOLD_DIRECTLY_MAX))


cdef void collect_on(swim_t* s, int64_t available, int queues, aside_t* aside) noexcept nogil:
    """Adds to the pack what fits of the first so many queues: membership, then the user's in their
    order. What was set aside, a list a queue, is not taken."""
    cdef int64_t left = available
    cdef int i
    if left <= 0 or not pack_has_room(s.pack):
        return
    left -= queue_take_on(&s.queues[QUEUE_MEMBERSHIP], COMPOUND_PART_BYTES, <uint32_t>left,
                          transmit_limit(s), pack_own, s.pack, &aside[QUEUE_MEMBERSHIP])
    for i in range(QUEUE_USER, queues):
        if left > USER_PART_BYTES and s.queues[i].count and pack_has_room(s.pack):
            left -= queue_take_on(&s.queues[i], USER_PART_BYTES, <uint32_t>left,
                                  user_transmit_limit(s, i), pack_user, s.pack, &aside[i])


cdef void collected(swim_t* s, aside_t* aside) noexcept nogil:
    """Ends what collect_on began: the items may be taken again, and those are told of who wait."""
    cdef int i
    for i in range(QUEUES):
        queue_return(&s.queues[i], &aside[i])
    drain_finished(s)


cdef void piggyback(swim_t* s, int64_t available) noexcept nogil:
    """What fits beside a directed message. Nothing of Serf's: its messages are sent so often, to
    distinct members, and whom a probe goes to would be told twice for another not at all."""
    cdef aside_t[QUEUES] aside
    memset(aside, 0, sizeof(aside))
    collect_on(s, available, QUEUE_INTENTS, aside)
    collected(s, aside)


cdef void send_pack(swim_t* s, const addr_t* to, uint32_t first, uint32_t count, uint32_t offset,
                    uint32_t bytes, bint crc) noexcept nogil:
    """One packet with `count` messages of the pack: bare when it is one, else a compound."""
    cdef uint32_t head = COMPOUND_HEADER_BYTES + COMPOUND_PART_BYTES * count if count > 1 else 0
    cdef slot_t* slot = new_packet(s, to, bytes + head)
    cdef writer_t writer
    cdef uint32_t i
    if slot == NULL:
        return
    writer = packet_begin(&s.envelope, slot)
    if count > 1:
        writer_u8(&writer, MSG_COMPOUND)
        writer_u8(&writer, <uint8_t>count)
        for i in range(first, first + count):
            put_length(&writer, s.pack.lengths[i])
    writer_slice_in(&writer, slice_head(slice_from(buffer_slice(&s.pack.bytes), offset), bytes))
    send_packet(s, slot, &writer, crc)


cdef void flush_pack(swim_t* s, const addr_t* to, bint crc) noexcept nogil:
    """Sends the whole pack, in as many packets as the part count of a compound needs."""
    cdef uint32_t first = 0
    cdef uint32_t offset = 0
    cdef uint32_t count, bytes, i
    while first < s.pack.count:
        count = min(<uint32_t>COMPOUND_PARTS_MAX, s.pack.count - first)
        bytes = 0
        for i in range(first, first + count):
            bytes += s.pack.lengths[i]
        send_pack(s, to, first, count, offset, bytes, crc)
        first += count
        offset += bytes


cdef void send_directed(swim_t* s, const addr_t* to, const writer_t* message,
                        bint with_news) noexcept nogil:
    """One message to one address, with as much of the queues as fits beside it.

    No CRC: memberlist looks the destination up by its address there, and fails (protocol §3).
    """
    cdef slot_t* slot
    cdef writer_t writer
    cdef slice_t bytes = writer_slice(message)
    if message.full:
        drop(s, DROP_OUT_FULL)
        return
    if with_news and (s.queues[QUEUE_MEMBERSHIP].count or s.queues[QUEUE_USER].count):
        pack_clear(s.pack)
        pack_message(s.pack, -1, bytes)
        piggyback(s, s.settings.udp_buffer_size - bytes.len - COMPOUND_HEADER_BYTES
                - packet_overhead(&s.envelope, False))
        flush_pack(s, to, False)
        return
    slot = new_packet(s, to, bytes.len)
    if slot != NULL:
        writer = packet_begin(&s.envelope, slot)
        writer_slice_in(&writer, bytes)
        send_packet(s, slot, &writer, False)


# --- the gossip round ---------------------------------------------------------------------------

cdef bint wants_gossip(void* context, const member_t* row, uint32_t index) noexcept nogil:
    """Left members get none; dead ones do for a while, so that they can refute; protocol §20."""
    cdef swim_t* s = <swim_t*>context
    if index == s.self_row:
        return False
    if row.state == STATE_DEAD:
        return s.now_ns - row.state_change_ns <= s.settings.gossip_to_the_dead_time_ns
    return is_up(row)


cdef bint wants_turn(void* context, const member_t* row, uint32_t index) noexcept nogil:
    """The same for those who were not told in the last turns, as many as one message has."""
    cdef swim_t* s = <swim_t*>context
    return (wants_gossip(context, row, index)
            and (row.told == 0
                 or s.gossip_turn - row.told >= user_transmit_limit(s, QUEUE_EVENTS)))


cdef uint32_t least_told(swim_t* s, uint32_t wanted, uint32_t* chosen) noexcept nogil:
    """Those of a small pool who were told longest ago, in that order; of equals, any."""
    cdef uint32_t n = s.table.order_count
    cdef uint32_t start = rng_below(&s.rng, n)
    cdef uint32_t count = 0, i, at, row
    for i in range(n):
        row = table_at(&s.table, (start + i) % n)
        if not wants_gossip(s, row_at(s, row), row):
            continue
        at = count
        while at and row_at(s, chosen[at - 1]).told > row_at(s, row).told:
            at -= 1
        if at == wanted:
            continue
        count = min(count + 1, wanted)
        memmove(&chosen[at + 1], &chosen[at], (count - at - 1) * sizeof(uint32_t))
        chosen[at] = row
    return count


cdef uint32_t gossip_targets(swim_t* s, uint32_t* chosen) noexcept nogil:
    """Random members for one round. While Serf's messages wait it is distinct ones over several
    rounds: each message then reaches as many members as it is sent times."""
    cdef uint32_t wanted = <uint32_t>min(s.settings.gossip_nodes, <int64_t>INDIRECT_CHECKS_MAX)
    cdef uint32_t count = 0
    if not layer_queued(s):
        return table_random(&s.table, &s.rng, wanted, wants_gossip, s, chosen)
    if s.table.order_count <= TURNS_MAX:
        return least_told(s, wanted, chosen)
    count = table_random(&s.table, &s.rng, wanted, wants_turn, s, chosen)
    if count < wanted:                   # most have just been told, or are gone
        count = table_random(&s.table, &s.rng, wanted, wants_gossip, s, chosen)
    return count


cdef bint gossip_to(swim_t* s, member_t* row, bint* burst) noexcept nogil:
    """One destination of a round: a packet or, in a burst, as many as all that is queued fills, up
    to a bound. It is a burst when the first packet of the round leaves messages of Serf's behind
    that were never sent."""
    cdef aside_t[QUEUES] aside
    cdef uint32_t packets = 0
    cdef addr_t to
    identity_addr_t(row.identity, &to)
    memset(aside, 0, sizeof(aside))
    while packets < BURST_PACKETS_MAX:
        pack_clear(s.pack)
        collect_on(s, gossip_room(s), QUEUES, aside)
        if s.pack.count == 0:
            break
        flush_pack(s, &to, protocol_max(row) >= PROTOCOL_CRC)
        packets += 1
        burst[0] = burst[0] or layer_unsent(s)
        if not burst[0]:
            break
    collected(s, aside)
    if packets == 0:
        return False
    s.stats[STAT_GOSSIPS] += 1
    s.gossip_turn += 1
    row.told = s.gossip_turn
    return True


cdef void drop_longer(swim_t* s, queue_t* queue, int64_t room) noexcept nogil:
    """Have no item wait that is longer than what a packet has room for."""
    cdef uint32_t transmits
    cdef int32_t length
    cdef tier_t* tier
    cdef broadcast_t* item
    for transmits in range(queue.tier_capacity):
        tier = queue.tiers[transmits]
        while tier != NULL and tier.count:
            length = tier_longest(tier, queue.max_length)
            if length <= room:
                break
            item = tier.pages[length >> 6].buckets[length & 63].newest
            queue_lift(queue, item)
            tell_unfit(s, item.notify)
            item.notify = 0
            queue_finish(queue, item)


cdef void room_changed(swim_t* s) noexcept nogil:
    """The envelopes of packets have grown or shrunk: what was queued before may never fit now."""
    cdef int64_t room = gossip_room(s)
    cdef int i
    drop_longer(s, &s.queues[QUEUE_MEMBERSHIP], room - COMPOUND_PART_BYTES)
    for i in range(QUEUE_MEMBERSHIP + 1, QUEUES):
        drop_longer(s, &s.queues[i], room - USER_PART_BYTES)


cdef void gossip_round(swim_t* s) noexcept nogil:
    """Sends what is queued to a few random members; each destination takes one transmission."""
    cdef uint32_t[INDIRECT_CHECKS_MAX] chosen
    cdef uint32_t count, i
    cdef bint burst = False
    if not anything_queued(s):
        return
    count = gossip_targets(s, chosen)
    for i in range(count):
        if not gossip_to(s, row_at(s, chosen[i]), &burst):
            return
