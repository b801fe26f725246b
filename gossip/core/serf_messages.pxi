# serf_messages.pxi: Serf's messages, and one table of fields for each (Serf §3, §4).
#
# They travel inside memberlist's user messages; their first byte is a number of their own. Tables,
# decoding and encoding are those of messages.pxi and maps.pxi.

cdef enum SerfMessage:
    SERF_LEAVE = 0
    SERF_JOIN = 1
    SERF_PUSH_PULL = 2
    SERF_USER_EVENT = 3
    SERF_QUERY = 4
    SERF_RESPONSE = 5
    SERF_CONFLICT_RESPONSE = 6
    SERF_KEY_REQUEST = 7
    SERF_KEY_RESPONSE = 8
    SERF_RELAY = 9
    SERF_FOREIGN = 10           # from here on: none of Serf's

cdef enum:
    QUERY_ACK = 1               # flags of a query
    QUERY_NO_BROADCAST = 2
    RESPONSE_ACK = 1            # flags of a response
    FILTER_NODES = 0
    FILTER_TAG = 1
    SERF_HEAD_BYTES = 256       # a message without its names, payloads and filters

cdef struct serf_intent_t:      # leave and join; a join has no Prune
    uint32_t present
    uint64_t ltime
    slice_t node
    uint8_t prune

cdef struct user_event_t:
    uint32_t present
    uint64_t ltime
    slice_t name
    slice_t payload
    uint8_t cc

cdef struct query_t:
    uint32_t present
    uint64_t ltime
    uint32_t id
    slice_t addr
    uint16_t port
    slice_t source_node
    slice_t filters             # the list as it is encoded; may be nil
    uint32_t flags
    uint8_t relay_factor
    int64_t timeout_ns
    slice_t name
    slice_t payload

cdef struct response_t:
    uint32_t present
    uint64_t ltime
    uint32_t id
    slice_t from_
    uint32_t flags
    slice_t payload

cdef struct relay_t:
    uint32_t present
    slice_t dest                # a map of its own: dest_t
    slice_t dest_name

cdef struct dest_t:
    uint32_t present
    slice_t ip
    int64_t port
    slice_t zone

cdef struct tag_filter_t:
    uint32_t present
    slice_t tag
    slice_t expr

cdef struct replay_event_t:     # an event in a push/pull: its time stands above it
    uint32_t present
    slice_t name
    slice_t payload

cdef struct replay_moment_t:    # all events of one time
    uint32_t present
    uint64_t ltime
    slice_t events

cdef struct serf_state_t:       # the body of a push/pull state
    uint32_t present
    uint64_t ltime
    slice_t status_ltimes
    slice_t left_members
    uint64_t event_ltime
    slice_t events
    uint64_t query_ltime

cdef message_t LEAVE_INTENT, JOIN_INTENT, USER_EVENT, QUERY, RESPONSE, RELAY, RELAY_DEST
cdef message_t FILTER_BY_TAG, REPLAY_EVENT, REPLAY_MOMENT, SERF_STATE


cdef void define_serf_gossip() noexcept:
    cdef serf_intent_t i
    cdef user_event_t e
    message_begin(&LEAVE_INTENT, SERF_LEAVE, sizeof(i))
    message_field(&LEAVE_INTENT, &i, b"LTime", &i.ltime, KIND_U64)
    message_field(&LEAVE_INTENT, &i, b"Node", &i.node, KIND_STRING)
    message_field(&LEAVE_INTENT, &i, b"Prune", &i.prune, KIND_BOOL)
    message_begin(&JOIN_INTENT, SERF_JOIN, sizeof(i))
    message_field(&JOIN_INTENT, &i, b"LTime", &i.ltime, KIND_U64)
    message_field(&JOIN_INTENT, &i, b"Node", &i.node, KIND_STRING)
    message_begin(&USER_EVENT, SERF_USER_EVENT, sizeof(e))
    message_field(&USER_EVENT, &e, b"LTime", &e.ltime, KIND_U64)
    message_field(&USER_EVENT, &e, b"Name", &e.name, KIND_STRING)
    message_field(&USER_EVENT, &e, b"Payload", &e.payload, KIND_BYTES)
    message_field(&USER_EVENT, &e, b"CC", &e.cc, KIND_BOOL)


cdef void define_serf_queries() noexcept:
    cdef query_t q
    cdef response_t r
    cdef tag_filter_t t
    message_begin(&QUERY, SERF_QUERY, sizeof(q))
    message_field(&QUERY, &q, b"LTime", &q.ltime, KIND_U64)
    message_field(&QUERY, &q, b"ID", &q.id, KIND_U32)
    message_field(&QUERY, &q, b"Addr", &q.addr, KIND_BYTES)
    message_field(&QUERY, &q, b"Port", &q.port, KIND_U16)
    message_field(&QUERY, &q, b"SourceNode", &q.source_node, KIND_STRING)
    message_field(&QUERY, &q, b"Filters", &q.filters, KIND_VALUE)
    message_field(&QUERY, &q, b"Flags", &q.flags, KIND_U32)
    message_field(&QUERY, &q, b"RelayFactor", &q.relay_factor, KIND_U8)
    message_field(&QUERY, &q, b"Timeout", &q.timeout_ns, KIND_I64)
    message_field(&QUERY, &q, b"Name", &q.name, KIND_STRING)
    message_field(&QUERY, &q, b"Payload", &q.payload, KIND_BYTES)
    message_begin(&RESPONSE, SERF_RESPONSE, sizeof(r))
    message_field(&RESPONSE, &r, b"LTime", &r.ltime, KIND_U64)
    message_field(&RESPONSE, &r, b"ID", &r.id, KIND_U32)
    message_field(&RESPONSE, &r, b"From", &r.from_, KIND_STRING)
    message_field(&RESPONSE, &r, b"Flags", &r.flags, KIND_U32)
    message_field(&RESPONSE, &r, b"Payload", &r.payload, KIND_BYTES)
    message_begin(&FILTER_BY_TAG, FILTER_TAG, sizeof(t))
    message_field(&FILTER_BY_TAG, &t, b"Tag", &t.tag, KIND_STRING)
    message_field(&FILTER_BY_TAG, &t, b"Expr", &t.expr, KIND_STRING)


cdef void define_serf_parts() noexcept:
    cdef relay_t r
    cdef dest_t d
    cdef replay_event_t e
    cdef replay_moment_t m
    cdef serf_state_t s
    message_begin(&RELAY, SERF_RELAY, sizeof(r))
    message_field(&RELAY, &r, b"DestAddr", &r.dest, KIND_VALUE)
    message_field(&RELAY, &r, b"DestName", &r.dest_name, KIND_STRING)
    message_begin(&RELAY_DEST, MSG_BARE, sizeof(d))
    message_field(&RELAY_DEST, &d, b"IP", &d.ip, KIND_BYTES)
    message_field(&RELAY_DEST, &d, b"Port", &d.port, KIND_I64)
    message_field(&RELAY_DEST, &d, b"Zone", &d.zone, KIND_STRING)
    message_begin(&REPLAY_EVENT, MSG_BARE, sizeof(e))
    message_field(&REPLAY_EVENT, &e, b"Name", &e.name, KIND_STRING)
    message_field(&REPLAY_EVENT, &e, b"Payload", &e.payload, KIND_BYTES)
    message_begin(&REPLAY_MOMENT, MSG_BARE, sizeof(m))
    message_field(&REPLAY_MOMENT, &m, b"LTime", &m.ltime, KIND_U64)
    message_field(&REPLAY_MOMENT, &m, b"Events", &m.events, KIND_VALUE)
    message_begin(&SERF_STATE, SERF_PUSH_PULL, sizeof(s))
    message_field(&SERF_STATE, &s, b"LTime", &s.ltime, KIND_U64)
    message_field(&SERF_STATE, &s, b"StatusLTimes", &s.status_ltimes, KIND_VALUE)
    message_field(&SERF_STATE, &s, b"LeftMembers", &s.left_members, KIND_VALUE)
    message_field(&SERF_STATE, &s, b"EventLTime", &s.event_ltime, KIND_U64)
    message_field(&SERF_STATE, &s, b"Events", &s.events, KIND_VALUE)
    message_field(&SERF_STATE, &s, b"QueryLTime", &s.query_ltime, KIND_U64)


define_serf_gossip()
define_serf_queries()
define_serf_parts()


# -- filters

cdef struct filters_t:          # the list of a query, read one by one
    cursor_t cursor
    uint64_t left


cdef bint filters_begin(filters_t* self, slice_t list_) noexcept nogil:
    """False for what is no list."""
    self.cursor = cursor_of(list_)
    self.left = 0
    return list_.len == 0 or msgpack_list(&self.cursor, &self.left)


cdef bint filters_next(filters_t* self, uint8_t* kind, slice_t* body) noexcept nogil:
    """The next filter; False for one that no filter begins like, or that is not there."""
    cdef slice_t filter_
    if not msgpack_raw(&self.cursor, &filter_) or filter_.len == 0:
        return False
    self.left -= 1
    kind[0] = <uint8_t>slice_first(filter_)
    body[0] = slice_from(filter_, 1)
    return True


cdef bint filter_names(slice_t body, slice_t name) noexcept nogil:
    """Whether a filter by nodes names this one; a broken list names nobody."""
    cdef cursor_t c = cursor_of(body)
    cdef uint64_t count = 0, i
    cdef slice_t node
    cdef bint found = False
    if not msgpack_list(&c, &count):
        return False
    for i in range(count):
        if not msgpack_raw(&c, &node):
            return False
        found = found or slice_equal(node, name)
    return found
