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


cdef void pack_own(void* pack, slice_t payload) noexcept nogil:
    pack_message(<pack_t*>pack, -1, payload)


cdef void pack_user(void* pack, slice_t payload) noexcept nogil:
    pack_message(<pack_t*>pack, MSG_USER, payload)


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


cdef inline uint32_t user_transmit_limit(swim_t* s, int queue) noexcept nogil:
    """How often an item of a user queue is sent: Serf counts its members, of any status."""
    if queue == QUEUE_USER:
        return transmit_limit(s)
    return <uint32_t>retransmit_limit(s.settings.retransmit_mult, s.delegate.members)


cdef void collect(swim_t* s, int64_t available) noexcept nogil:
    """Adds to the pack what fits: membership first, then the user's queues in their order."""
    cdef uint32_t limit = transmit_limit(s)
    cdef int64_t left = available
    cdef int i
    if left <= 0:
        return
    left -= queue_take(&s.queues[QUEUE_MEMBERSHIP], COMPOUND_PART_BYTES, <uint32_t>left, limit,
                       pack_own, s.pack)
    for i in range(QUEUE_USER, QUEUES):
        if left > USER_PART_BYTES and s.queues[i].count:
            limit = user_transmit_limit(s, i)
            left -= queue_take(&s.queues[i], USER_PART_BYTES, <uint32_t>left, limit,
                               pack_user, s.pack)
    drain_finished(s)


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
                        bint piggyback) noexcept nogil:
    """One message to one address, with as much of the queues as fits beside it.

    No CRC: memberlist looks the destination up by its address there, and fails (protocol §3).
    """
    cdef slot_t* slot
    cdef writer_t writer
    cdef slice_t bytes = writer_slice(message)
    if message.full:
        drop(s, DROP_OUT_FULL)
        return
    if piggyback and anything_queued(s):
        pack_clear(s.pack)
        pack_message(s.pack, -1, bytes)
        collect(s, s.settings.udp_buffer_size - bytes.len - COMPOUND_HEADER_BYTES
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


cdef void gossip_round(swim_t* s) noexcept nogil:
    """Sends what is queued to a few random members; each destination takes one transmission."""
    cdef uint32_t[INDIRECT_CHECKS_MAX] chosen
    cdef uint32_t count, i
    cdef member_t* row
    cdef addr_t to
    if not anything_queued(s):
        return
    count = <uint32_t>min(s.settings.gossip_nodes, <int64_t>INDIRECT_CHECKS_MAX)
    count = table_random(&s.table, &s.rng, count, wants_gossip, s, chosen)
    for i in range(count):
        row = row_at(s, chosen[i])
        identity_addr_t(row.identity, &to)
        pack_clear(s.pack)
        collect(s, gossip_room(s))
        if s.pack.count == 0:
            return
        s.stats[STAT_GOSSIPS] += 1
        flush_pack(s, &to, protocol_max(row) >= PROTOCOL_CRC)
