# serf_queries.pxi: queries that come in, own ones included: seen once, passed on, filtered, acked,
# answered, and replies carried for others (Serf §11).
#
# Replies go to addresses of members only, and so many a second: whoever forges a query or a relay
# cannot flood anybody through this node.

cdef enum ReplyError:
    REPLY_OK
    REPLY_TOO_LARGE
    REPLY_SENT_BEFORE
    REPLY_LATE
    REPLY_RELAY_TOO_LARGE


# -- queries that wait for Python

cdef inline slice_t held_body(const held_t* held) noexcept nogil:
    return slice_of(<const uint8_t*>held + sizeof(held_t), held.len)


cdef held_t* held_new(swim_t* s, slice_t body, int64_t deadline_ns) noexcept nogil:
    """Keep a query until it is answered. The oldest is forgotten for it when there are too many."""
    cdef serf_t* serf = serf_of(s)
    cdef held_t* held = <held_t*>malloc(sizeof(held_t) + body.len)
    cdef uint32_t slot
    if held == NULL:
        drop(s, DROP_NO_MEMORY)
        return NULL
    serf.next_handle += 1
    if serf.next_handle == 0:
        serf.next_handle = 1
    memset(held, 0, sizeof(held_t))
    held.handle = serf.next_handle
    held.deadline_ns = deadline_ns
    held.len = body.len
    memcpy(<uint8_t*>held + sizeof(held_t), body.ptr, body.len)
    slot = held.handle % QUERIES_HELD_MAX
    free(serf.held[slot])
    serf.held[slot] = held
    return held


cdef held_t* held_find(serf_t* serf, uint32_t handle) noexcept nogil:
    cdef held_t* held = serf.held[handle % QUERIES_HELD_MAX]
    return held if held != NULL and held.handle == handle else NULL


cdef void held_free(serf_t* serf, held_t* held) noexcept nogil:
    serf.held[held.handle % QUERIES_HELD_MAX] = NULL
    free(held)


# -- replies

cdef inline bint query_is_own(swim_t* s, const query_t* query) noexcept nogil:
    """Whether this node asked: then nothing of the reply goes over the network."""
    return is_self(s, query.source_node) and asked_find(serf_of(s), query.ltime) != NULL


cdef bint query_asker(swim_t* s, const query_t* query, addr_t* to) noexcept nogil:
    """Where the reply goes; False, and counted, for what is no member's address."""
    cdef addr_t named
    if not addr_from(query.addr, query.port, &named):
        drop(s, DROP_REPLY_FOREIGN)
        return False
    to[0] = addr_unmapped(&named)
    if not serf_has_address(&serf_of(s).table, to):
        drop(s, DROP_REPLY_FOREIGN)
        return False
    return True


cdef void serf_send_bare(swim_t* s, const addr_t* to, slice_t payload) noexcept nogil:
    """A user message alone in its packet, without a CRC; Serf §11.4."""
    cdef slot_t* slot = new_packet(s, to, payload.len + 1)
    cdef writer_t writer
    if slot != NULL:
        writer = packet_begin(&s.envelope, slot)
        writer_u8(&writer, MSG_USER)
        writer_slice_in(&writer, payload)
        send_packet(s, slot, &writer, False)


cdef uint32_t serf_relayers(swim_t* s, uint32_t wanted, serf_member_t** chosen) noexcept nogil:
    """Up to so many different members that may carry a reply; Serf §11.5."""
    cdef serf_table_t* table = &serf_of(s).table
    cdef uint64_t draws = 3 * <uint64_t>table.count
    cdef uint32_t count = 0, i
    cdef serf_member_t* member
    cdef bint taken
    while draws and count < wanted:
        draws -= 1
        member = serf_at(table, rng_below(&s.rng, table.count))
        taken = (member.status != STATUS_ALIVE or member.identity.vsn[1] < PROTOCOL_CRC
                 or serf_is_self(s, member))
        for i in range(count):
            taken = taken or chosen[i] == member
        if not taken:
            chosen[count] = member
            count += 1
    return count


cdef int serf_relay_reply(swim_t* s, const query_t* query, slice_t reply) noexcept nogil:
    """The same reply by way of other members, as many as the asker wants."""
    cdef serf_t* serf = serf_of(s)
    cdef uint8_t[QUERY_BYTES_MAX + 3 * SERF_HEAD_BYTES] bytes
    cdef uint8_t[SERF_HEAD_BYTES] dest_bytes
    cdef writer_t writer = writer_of(bytes, QUERY_BYTES_MAX + 3 * SERF_HEAD_BYTES)
    cdef writer_t dest_writer = writer_of(dest_bytes, SERF_HEAD_BYTES)
    cdef serf_member_t *chosen[RELAY_FACTOR_MAX]
    cdef relay_t relay
    cdef dest_t dest
    cdef addr_t to
    cdef uint32_t count, i
    if query.relay_factor == 0 or serf.table.count < <uint32_t>query.relay_factor + 1:
        return REPLY_OK
    dest.ip = query.addr
    dest.port = query.port
    dest.zone = slice_nil()
    message_encode(&RELAY_DEST, &dest_writer, &dest)
    relay.dest = writer_slice(&dest_writer)
    relay.dest_name = query.source_node
    message_encode(&RELAY, &writer, &relay)
    writer_slice_in(&writer, reply)
    if writer.full or writer_len(&writer) > serf.settings.query_response_size_limit:
        return REPLY_RELAY_TOO_LARGE
    count = serf_relayers(s, query.relay_factor, chosen)
    for i in range(count):
        if not serf_paid(&serf.relay_tokens_ns, s.now_ns, RELAYS_PER_SECOND):
            drop(s, DROP_RELAY_RATE)
            continue
        identity_addr_t(chosen[i].identity, &to)
        serf_send_bare(s, &to, writer_slice(&writer))
        serf.stats[SERF_RELAYS_SENT] += 1
    return REPLY_OK


cdef void serf_encode_reply(swim_t* s, const query_t* query, uint32_t flags, slice_t payload,
                            writer_t* writer) noexcept nogil:
    cdef response_t response
    response.ltime = query.ltime
    response.id = query.id
    response.from_ = identity_name(s.identity)
    response.flags = flags
    response.payload = payload
    message_encode(&RESPONSE, writer, &response)


cdef int serf_send_reply(swim_t* s, const query_t* query, slice_t reply) noexcept nogil:
    """An encoded ack or response on its way: to the asker, and by the others it asked for."""
    cdef serf_t* serf = serf_of(s)
    cdef response_t response
    cdef slice_t body = slice_from(reply, 1)
    cdef addr_t to
    if query_is_own(s, query):
        if decode_body(&RESPONSE, body, &response) == DROP_NONE:
            asked_hear(s, &response, body)
        return REPLY_OK
    if not query_asker(s, query, &to):
        return REPLY_OK
    if not serf_paid(&serf.reply_tokens_ns, s.now_ns, REPLIES_PER_SECOND):
        drop(s, DROP_REPLY_RATE)
        return REPLY_OK
    serf_send_bare(s, &to, reply)
    return serf_relay_reply(s, query, reply)


cdef void serf_ack(swim_t* s, const query_t* query) noexcept nogil:
    cdef uint8_t[SERF_HEAD_BYTES + NAME_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, SERF_HEAD_BYTES + NAME_BYTES_MAX)
    serf_encode_reply(s, query, RESPONSE_ACK, slice_nil(), &writer)
    serf_of(s).stats[SERF_ACKS_SENT] += 1
    serf_send_reply(s, query, writer_slice(&writer))


cdef int serf_respond(swim_t* s, uint32_t handle, slice_t payload) noexcept nogil:
    """The answer of this node's user to a query; Serf §11.4."""
    cdef serf_t* serf = serf_of(s)
    cdef held_t* held = held_find(serf, handle)
    cdef uint8_t[QUERY_BYTES_MAX + 2 * SERF_HEAD_BYTES] bytes
    cdef writer_t writer = writer_of(bytes, QUERY_BYTES_MAX + 2 * SERF_HEAD_BYTES)
    cdef query_t query
    cdef int result
    if held == NULL:
        return REPLY_LATE
    if decode_body(&QUERY, held_body(held), &query) != DROP_NONE:
        return REPLY_LATE
    serf_encode_reply(s, &query, 0, payload, &writer)
    if writer.full or writer_len(&writer) > serf.settings.query_response_size_limit:
        return REPLY_TOO_LARGE
    if held.answered:
        return REPLY_SENT_BEFORE
    if s.now_ns >= held.deadline_ns:
        return REPLY_LATE
    result = serf_send_reply(s, &query, writer_slice(&writer))
    serf.stats[SERF_RESPONSES_SENT] += 1
    held.answered = result == REPLY_OK
    return result


# -- coming in

cdef void serf_deliver_query(swim_t* s, held_t* held, const query_t* query) noexcept nogil:
    """A query that is for this node: acked first. A ping wants no more than that."""
    held.judged = True
    if query.flags & QUERY_ACK:
        serf_ack(s, query)
    if slice_equal(query.name, slice_of(b"_serf_ping", 10)):
        held_free(serf_of(s), held)
    else:
        serf_tell(s, EVENT_QUERY, held.handle, held.deadline_ns, False, held_body(held))


cdef void serf_filter_query(swim_t* s, const query_t* query, slice_t body) noexcept nogil:
    """Judges the filters by nodes; those by tags are Python's to judge."""
    cdef filters_t filters
    cdef tag_filter_t by_tag
    cdef uint8_t kind
    cdef slice_t filter_
    cdef bint matches = filters_begin(&filters, query.filters)
    cdef bint asks = False
    cdef held_t* held
    while matches and filters.left:
        matches = filters_next(&filters, &kind, &filter_)
        if matches and kind == FILTER_NODES:
            matches = filter_names(filter_, identity_name(s.identity))
        elif matches and kind == FILTER_TAG:
            asks = True
            matches = decode_body(&FILTER_BY_TAG, filter_, &by_tag) == DROP_NONE
        else:
            matches = False
    if not matches:
        serf_of(s).stats[SERF_QUERIES_FILTERED] += 1
        return
    held = held_new(s, body, serf_deadline(s, query.timeout_ns))
    if held == NULL:
        return
    if asks:
        serf_tell(s, EVENT_FILTER, held.handle, held.deadline_ns, False, body)
    else:
        serf_deliver_query(s, held, query)


cdef inline int64_t serf_deadline(swim_t* s, int64_t timeout_ns) noexcept nogil:
    """The end of a query that begins now."""
    if timeout_ns < 0:
        return s.now_ns
    return s.now_ns + min(timeout_ns, INT64_MAX - s.now_ns - 1)


cdef void serf_judged(swim_t* s, uint32_t handle, bint matches) noexcept nogil:
    """Python's verdict on the tag filters of a query."""
    cdef serf_t* serf = serf_of(s)
    cdef held_t* held = held_find(serf, handle)
    cdef query_t query
    if held == NULL or held.judged:
        return
    if matches and decode_body(&QUERY, held_body(held), &query) == DROP_NONE:
        serf_deliver_query(s, held, &query)
        return
    serf.stats[SERF_QUERIES_FILTERED] += 1
    held_free(serf, held)


cdef void serf_ignore(swim_t* s, uint32_t handle) noexcept nogil:
    """This node will not answer the query; an own one does not wait for it any more."""
    cdef serf_t* serf = serf_of(s)
    cdef held_t* held = held_find(serf, handle)
    cdef query_t query
    if held == NULL:
        return
    if decode_body(&QUERY, held_body(held), &query) == DROP_NONE and query_is_own(s, &query):
        asked_ignored(s, query.ltime)
    held_free(serf, held)


cdef bint serf_take_query(swim_t* s, const query_t* query, slice_t body) noexcept nogil:
    """Whether the query is new; its time has been witnessed then, and it is remembered."""
    cdef serf_t* serf = serf_of(s)
    cdef moment_t* moment = NULL
    cdef int verdict
    if not lamport_witness(&serf.query_clock, query.ltime):
        drop(s, DROP_LAMPORT_JUMP)
        return False
    if body.len > QUERY_BYTES_MAX:
        drop(s, DROP_QUERY_TOO_LARGE)
        return False
    verdict = dedup_see(&serf.queries, serf.query_clock, query.ltime, query.id, &moment)
    if verdict == DEDUP_NEW:
        serf.stats[SERF_QUERIES] += 1
    elif verdict == DEDUP_OLD:
        serf.stats[SERF_QUERIES_OLD] += 1
    elif verdict == DEDUP_SEEN:
        serf.stats[SERF_QUERIES_SEEN] += 1
    else:
        drop(s, DROP_MOMENT_FULL)
    return verdict == DEDUP_NEW


cdef void serf_hear_query(swim_t* s, slice_t message, bint own) noexcept nogil:
    """A query, gossiped or our own. Whether it is for this node or not, it is passed on."""
    cdef slice_t body = slice_from(message, 1)
    cdef query_t query
    if decode_body(&QUERY, body, &query) != DROP_NONE:
        drop(s, DROP_DECODE)
    elif serf_take_query(s, &query, body):
        if own or not query.flags & QUERY_NO_BROADCAST:
            serf_queue(s, QUEUE_QUERIES, message, 0)
        serf_filter_query(s, &query, body)


cdef void serf_hear_response(swim_t* s, slice_t message) noexcept nogil:
    cdef response_t response
    cdef slice_t body = slice_from(message, 1)
    if decode_body(&RESPONSE, body, &response) != DROP_NONE:
        drop(s, DROP_DECODE)
    elif response.from_.len > NAME_BYTES_MAX:
        drop(s, DROP_NAME)
    else:
        asked_hear(s, &response, body)


cdef void serf_carry(swim_t* s, slice_t message) noexcept nogil:
    """A reply to be sent on to another member, as it stands; Serf §4."""
    cdef serf_t* serf = serf_of(s)
    cdef cursor_t c = cursor_of(slice_from(message, 1))
    cdef relay_t relay
    cdef dest_t dest
    cdef addr_t named, to
    if (message_decode(&RELAY, &c, &relay) != DROP_NONE
            or decode_body(&RELAY_DEST, relay.dest, &dest) != DROP_NONE):
        drop(s, DROP_DECODE)
        return
    if not 0 < dest.port <= UINT16_MAX or not addr_from(dest.ip, <uint16_t>dest.port, &named):
        drop(s, DROP_RELAY_FOREIGN)
        return
    to = addr_unmapped(&named)
    if not serf_has_address(&serf.table, &to):
        drop(s, DROP_RELAY_FOREIGN)
        return
    if cursor_left(&c) > QUERY_BYTES_MAX:
        drop(s, DROP_QUERY_TOO_LARGE)
        return
    if not serf_paid(&serf.relay_tokens_ns, s.now_ns, RELAYS_PER_SECOND):
        drop(s, DROP_RELAY_RATE)
        return
    serf.stats[SERF_RELAYED] += 1
    serf_send_bare(s, &to, cursor_rest(&c))


# -- asking

cdef int64_t serf_query_timeout_ns(swim_t* s) noexcept nogil:
    """How long a query waits by default; Serf §11.1."""
    return s.settings.gossip_interval_ns * retransmit_limit(
        serf_of(s).settings.query_timeout_mult,
        rows_in(s, STATE_ALIVE) + rows_in(s, STATE_SUSPECT))


cdef void serf_fill_query(swim_t* s, query_t* query) noexcept nogil:
    """What a query of this node says of itself; name, filters and wishes are the caller's."""
    cdef serf_t* serf = serf_of(s)
    query.ltime = serf.query_clock
    query.id = <uint32_t>(rng_u64(&s.rng) >> 33)
    while query.id == 0 or asked_with_id(serf, query.id) != NULL:
        query.id = <uint32_t>(rng_u64(&s.rng) >> 33)
    query.addr = identity_addr(s.identity)
    query.port = s.identity.port
    query.source_node = identity_name(s.identity)
    if query.timeout_ns == 0:
        query.timeout_ns = serf_query_timeout_ns(s)


cdef void serf_ask(swim_t* s, asked_t* asked, slice_t message, const slice_t* awaited,
                   uint32_t count, bint everybody, bint acks_answer) noexcept nogil:
    """Send an own query that was started; it may be over, and `asked` gone, when this returns."""
    cdef uint32_t i
    cdef uint64_t ltime = asked.ltime
    asked.acks_answer = acks_answer
    if everybody:
        asked_await_all(s, asked)
    for i in range(count):
        asked_await(s, asked, awaited[i])
    serf_hear_query(s, message, True)
    asked = asked_find(serf_of(s), ltime)
    if asked != NULL and asked.awaited == 0:
        asked_end(s, asked, True)
