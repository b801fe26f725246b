# serf_views.pxi: Python objects from the Serf layer's events and members. Only the shell uses this.

cdef tuple _SERF_EVENT_NAMES = (
    "member_join", "member_leave", "member_failed", "member_update", "member_reap",
    "member_flapped", "user_event", "query", "filter", "query_ack", "query_response",
    "query_done", "queue_deep",
)
cdef tuple _SERF_STATES = ("alive", "leaving", "left")
cdef tuple _SERF_QUEUES = ("intents", "queries", "events")


cdef object payload_of(slice_t payload):
    return None if payload.ptr == NULL else slice_bytes(payload)


cdef tuple serf_member_tuple(identity_t* identity, uint8_t status, uint64_t ltime,
                             int64_t left_ns):
    return (slice_bytes(identity_name(identity)), slice_bytes(identity_addr(identity)),
            identity.port, slice_bytes(identity_meta(identity)),
            (<const char*>identity.vsn)[:6], status, ltime, left_ns)


cdef tuple user_event_tuple(slice_t body):
    cdef user_event_t event
    decode_body(&USER_EVENT, body, &event)
    return ("user_event", event.ltime, slice_bytes(event.name), payload_of(event.payload),
            event.cc != 0)


cdef tuple query_tuple(event_t* event, slice_t body):
    cdef query_t query
    decode_body(&QUERY, body, &query)
    return ("query", event.number, query.ltime, query.id, slice_bytes(query.name),
            payload_of(query.payload), slice_bytes(query.source_node), slice_bytes(query.addr),
            query.port, query.flags, event.value)


cdef tuple filter_tuple(event_t* event, slice_t body):
    """The tag filters of a query; that they can be read has been seen."""
    cdef query_t query
    cdef filters_t filters
    cdef tag_filter_t by_tag
    cdef uint8_t kind
    cdef slice_t filter_
    decode_body(&QUERY, body, &query)
    filters_begin(&filters, query.filters)
    found = []
    while filters.left and filters_next(&filters, &kind, &filter_):
        if kind == FILTER_TAG:
            decode_body(&FILTER_BY_TAG, filter_, &by_tag)
            found.append((slice_bytes(by_tag.tag), slice_bytes(by_tag.expr)))
    return ("filter", event.number, found, event.value)


cdef tuple reply_tuple(event_t* event, slice_t body):
    cdef response_t response
    decode_body(&RESPONSE, body, &response)
    from_ = slice_bytes(response.from_)
    if event.kind == EVENT_QUERY_ACK:
        return ("query_ack", event.number, from_)
    return ("query_response", event.number, from_, payload_of(response.payload))


cdef tuple serf_event_tuple(event_t* event):
    """One event of the Serf layer in the form that the stub file documents."""
    cdef object name = _SERF_EVENT_NAMES[event.kind - EVENT_MEMBER_JOIN]
    cdef slice_t body = slice_of(event.data, event.size)
    if event.kind <= EVENT_MEMBER_FLAPPED:
        return (name, serf_member_tuple(event.identity, event.state, <uint64_t>event.value,
                                        event.since_ns))
    if event.kind == EVENT_USER_EVENT:
        return user_event_tuple(body)
    if event.kind == EVENT_QUERY:
        return query_tuple(event, body)
    if event.kind == EVENT_FILTER:
        return filter_tuple(event, body)
    if event.kind == EVENT_QUERY_DONE:
        return (name, event.number, bool(event.flag))
    if event.kind == EVENT_QUEUE_DEEP:
        return (name, _SERF_QUEUES[event.number - QUEUE_INTENTS], event.value)
    return reply_tuple(event, body)
