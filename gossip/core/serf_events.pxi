# serf_events.pxi: user events (Serf §10): seen once, told, and passed on as they came.

cdef uint64_t serf_event_key(serf_t* serf, slice_t name, slice_t payload) noexcept nogil:
    """What makes two events of one time the same: name and payload."""
    cdef uint64_t key = hash_bytes(serf.seed, name.ptr, name.len)
    return hash_bytes(key ^ serf.seed, payload.ptr, payload.len) + key


cdef void serf_keep_event(swim_t* s, moment_t* moment, const user_event_t* event) noexcept nogil:
    """For those who push/pull with this node: with them it may be the first they hear of it."""
    cdef serf_t* serf = serf_of(s)
    cdef uint8_t[SERF_HEAD_BYTES + USER_EVENT_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, SERF_HEAD_BYTES + USER_EVENT_BYTES_MAX)
    cdef replay_event_t kept
    kept.name = event.name
    kept.payload = event.payload
    message_encode(&REPLAY_EVENT, &writer, &kept)
    if not dedup_keep(&serf.events, moment, writer_slice(&writer)):
        serf.stats[SERF_EVENTS_NOT_KEPT] += 1


cdef bint serf_take_event(swim_t* s, const user_event_t* event) noexcept nogil:
    """Whether the event is new; its time has been witnessed then, and it is remembered."""
    cdef serf_t* serf = serf_of(s)
    cdef moment_t* moment = NULL
    cdef int verdict
    if not lamport_witness(&serf.event_clock, event.ltime):
        drop(s, DROP_LAMPORT_JUMP)
        return False
    if <uint64_t>event.name.len + event.payload.len > USER_EVENT_BYTES_MAX:
        drop(s, DROP_EVENT_TOO_LARGE)
        return False
    verdict = dedup_see(&serf.events, serf.event_clock, event.ltime,
                        serf_event_key(serf, event.name, event.payload), &moment)
    if verdict == DEDUP_NEW:
        serf.stats[SERF_EVENTS] += 1
        serf_keep_event(s, moment, event)
    elif verdict == DEDUP_OLD:
        serf.stats[SERF_EVENTS_OLD] += 1
    elif verdict == DEDUP_SEEN:
        serf.stats[SERF_EVENTS_SEEN] += 1
    else:
        drop(s, DROP_MOMENT_FULL)
    return verdict == DEDUP_NEW


cdef void serf_hear_event(swim_t* s, slice_t message) noexcept nogil:
    """A gossiped event."""
    cdef user_event_t event
    cdef slice_t body = slice_from(message, 1)
    if decode_body(&USER_EVENT, body, &event) != DROP_NONE:
        drop(s, DROP_DECODE)
    elif serf_take_event(s, &event) or planted(BUG_TOLD_TWICE):
        serf_tell(s, EVENT_USER_EVENT, 0, 0, False, body)
        serf_queue(s, QUEUE_EVENTS, message, 0)


cdef void serf_replay_event(swim_t* s, uint64_t ltime, const replay_event_t* replay) noexcept nogil:
    """An event of a push/pull; it is not passed on."""
    cdef uint8_t[SERF_HEAD_BYTES + USER_EVENT_BYTES_MAX] bytes
    cdef writer_t writer = writer_of(bytes, SERF_HEAD_BYTES + USER_EVENT_BYTES_MAX)
    cdef user_event_t event
    memset(&event, 0, sizeof(event))
    event.ltime = ltime
    event.name = replay.name
    event.payload = replay.payload
    if serf_take_event(s, &event):
        message_encode(&USER_EVENT, &writer, &event)
        serf_tell(s, EVENT_USER_EVENT, 0, 0, False, slice_from(writer_slice(&writer), 1))


cdef void serf_encode_event(swim_t* s, slice_t name, slice_t payload, bint coalesce,
                            writer_t* writer) noexcept nogil:
    """An own event at the current time, which does not move yet."""
    cdef user_event_t event
    memset(&event, 0, sizeof(event))
    event.ltime = serf_of(s).event_clock
    event.name = name
    event.payload = payload
    event.cc = coalesce
    message_encode(&USER_EVENT, writer, &event)


cdef uint64_t serf_send_event(swim_t* s, slice_t message) noexcept nogil:
    """Send an own event, just encoded; gives its Lamport time."""
    cdef serf_t* serf = serf_of(s)
    cdef uint64_t ltime = serf.event_clock
    serf.event_clock += 1
    serf_hear_event(s, message)
    return ltime
