# serf_shell.pxi: the class Serf, the Python shell of a Swim's Serf layer. Like the shell of Swim it
# converts arguments and results and checks calls, takes the same lock, and decides nothing.

cdef tuple _SERF_SETTINGS = (
    "event_buffer", "query_buffer", "user_event_size_limit", "query_size_limit",
    "query_response_size_limit", "broadcast_timeout_ns", "leave_propagate_delay_ns",
    "reap_interval_ns", "recent_intent_timeout_ns", "reconnect_interval_ns",
    "reconnect_timeout_ns", "tombstone_timeout_ns", "flap_timeout_ns", "queue_check_interval_ns",
    "queue_depth_warning", "max_queue_depth", "min_queue_depth", "query_timeout_mult",
)
assert len(_SERF_SETTINGS) * sizeof(int64_t) == sizeof(serf_settings_t)

cdef dict _REPLY_ERRORS = {
    REPLY_SENT_BEFORE: "response already sent", REPLY_LATE: "response is past the deadline",
}


cdef int check_serf_settings(const serf_settings_t* settings) except -1:
    cdef int64_t* field = <int64_t*>settings
    for i, name in enumerate(_SERF_SETTINGS):
        if field[i] < 0:
            raise ValueError(f"{name}: {field[i]} is below 0")
    for name, size in (("event_buffer", settings.event_buffer),
                       ("query_buffer", settings.query_buffer)):
        if not 1 <= size <= SERF_BUFFER_MAX:
            raise ValueError(f"{name}: {size}, not within 1 to {SERF_BUFFER_MAX}")
    if settings.user_event_size_limit > USER_EVENT_BYTES_MAX:
        raise ValueError(f"user_event_size_limit: {settings.user_event_size_limit}, at most "
                         f"{USER_EVENT_BYTES_MAX} are sane")
    for name, size in (("query_size_limit", settings.query_size_limit),
                       ("query_response_size_limit", settings.query_response_size_limit)):
        if size > QUERY_BYTES_MAX:
            raise ValueError(f"{name}: {size}, at most {QUERY_BYTES_MAX} fit")
    return 0


cdef slice_t nullable(object payload) except *:
    """A view of bytes; None is nil."""
    return slice_nil() if payload is None else view(payload)


@cython.final
@cython.no_gc_clear                  # `serf` is the swim's: it must not be cleared first
cdef class Serf:
    """The Serf layer of one node: statuses, user events, queries. See `_core.pyi`."""

    cdef Swim swim
    cdef serf_t* serf

    def __cinit__(self, Swim swim not None, settings):
        cdef serf_settings_t values
        cdef swim_t* s
        cdef bint late
        cdef bint attached = False
        read_numbers(<int64_t*>&values, _SERF_SETTINGS, settings)
        check_serf_settings(&values)
        s = swim._hold()
        late = s.started or s.self_row != NONE or s.delegate != NULL
        if not late:
            attached = serf_attach(s, &values)
        swim._let_go()
        if late:
            raise RuntimeError("the node was started before, or has a Serf layer")
        if not attached:
            raise MemoryError()
        self.swim = swim
        self.serf = serf_of(s)

    # --- user events ---

    def event(self, bytes name not None, payload, bint coalesce, int64_t now):
        cdef slice_t name_ = view(name)
        cdef slice_t payload_ = nullable(payload)
        cdef int64_t limit = self.serf.settings.user_event_size_limit
        cdef uint8_t[SERF_HEAD_BYTES + USER_EVENT_BYTES_MAX] bytes_
        cdef writer_t writer = writer_of(bytes_, SERF_HEAD_BYTES + USER_EVENT_BYTES_MAX)
        cdef int64_t size = <int64_t>name_.len + payload_.len
        cdef swim_t* s
        cdef int64_t room
        cdef uint64_t ltime = 0
        cdef bint fits
        if size > limit:
            raise ValueError(f"user event exceeds configured limit of {limit} bytes before "
                             "encoding")
        s = self.swim._at(now)
        serf_encode_event(s, name_, payload_, coalesce, &writer)
        size = writer_len(&writer)
        room = gossip_room(s) - USER_PART_BYTES
        fits = not writer.full and size <= limit and size <= room
        if fits:
            ltime = serf_send_event(s, writer_slice(&writer))
        self.swim._let_go()
        if not fits and size <= limit:
            raise ValueError(f"user event: {size} bytes encoded, at most {room} fit beside a "
                             "packet's headers")
        if not fits:
            raise ValueError(f"encoded user event exceeds configured limit of {limit} bytes after "
                             "encoding")
        return ltime

    # --- queries ---

    def query(self, bytes name not None, payload, int64_t now, *, nodes=(), tags=(),
              bint ack=False, bint no_broadcast=False, relay_factor=0, int64_t timeout_ns=0,
              awaited=None, bint acks_answer=False):
        cdef query_t query
        cdef bytes filters = encode_filters(nodes, tags)
        cdef list names = [bytes(node) for node in (nodes if awaited is None else awaited)]
        cdef bint everybody = awaited is None and not names
        if not 0 <= relay_factor <= RELAY_FACTOR_MAX:
            raise ValueError(f"relay_factor: {relay_factor}, not within 0 to {RELAY_FACTOR_MAX}")
        memset(&query, 0, sizeof(query))
        query.name = view(name)
        query.payload = nullable(payload)
        query.filters = view(filters)
        query.flags = (QUERY_ACK if ack else 0) | (QUERY_NO_BROADCAST if no_broadcast else 0)
        query.relay_factor = relay_factor
        query.timeout_ns = timeout_ns
        return self._ask(&query, names, everybody, acks_answer, now)

    cdef tuple _ask(self, query_t* query, list names, bint everybody, bint acks_answer,
                    int64_t now):
        """Sends the query; the names are those that are awaited."""
        cdef uint8_t[QUERY_BYTES_MAX + 2 * SERF_HEAD_BYTES] bytes_
        cdef writer_t writer = writer_of(bytes_, QUERY_BYTES_MAX + 2 * SERF_HEAD_BYTES)
        cdef uint32_t count = <uint32_t>len(names), i
        cdef slice_t* views = <slice_t*>malloc((count + 1) * sizeof(slice_t))
        cdef int64_t limit = self.serf.settings.query_size_limit
        cdef int64_t room, size, deadline_ns
        cdef asked_t* asked = NULL
        cdef swim_t* s
        if views == NULL:
            raise MemoryError()
        try:
            for i in range(count):
                views[i] = view(names[i])
            s = self.swim._at(now)
            serf_fill_query(s, query)
            message_encode(&QUERY, &writer, query)
            size = UINT32_MAX if writer.full else writer_len(&writer)
            room = gossip_room(s) - USER_PART_BYTES
            deadline_ns = serf_deadline(s, query.timeout_ns)
            if size <= limit and size <= room:
                asked = asked_start(s, query, deadline_ns)
                if asked != NULL:
                    serf_ask(s, asked, writer_slice(&writer), views, count, everybody, acks_answer)
            self.swim._let_go()
        finally:
            free(views)
        if size > limit:
            raise ValueError(f"query exceeds limit of {limit} bytes")
        if size > room:
            raise ValueError(f"query: {size} bytes encoded, at most {room} fit beside a packet's "
                             "headers")
        if asked == NULL:
            raise RuntimeError("too many queries are under way")
        return (query.id, query.ltime, deadline_ns)

    def cancel_query(self, uint32_t id):
        cdef swim_t* s = self.swim._hold()
        cdef asked_t* asked = asked_with_id(self.serf, id)
        if asked != NULL:
            asked_free(s, asked)
        self.swim._let_go()

    def accept_query(self, uint32_t handle, bint matches, int64_t now):
        serf_judged(self.swim._at(now), handle, matches)
        self.swim._let_go()

    def respond(self, uint32_t handle, payload, int64_t now):
        cdef slice_t payload_ = nullable(payload)
        cdef int64_t limit = self.serf.settings.query_response_size_limit
        cdef int result = serf_respond(self.swim._at(now), handle, payload_)
        self.swim._let_go()
        if result == REPLY_TOO_LARGE:
            raise ValueError(f"response exceeds limit of {limit} bytes")
        if result == REPLY_RELAY_TOO_LARGE:
            raise ValueError(f"relayed response exceeds limit of {limit} bytes")
        if result != REPLY_OK:
            raise RuntimeError(_REPLY_ERRORS[result])

    def ignore(self, uint32_t handle):
        serf_ignore(self.swim._hold(), handle)
        self.swim._let_go()

    # --- the pool ---

    def joining(self, bint ignore_old, int64_t now):
        cdef bint late
        self.swim._at(now)
        late = self.serf.state != SERF_ALIVE
        if not late:
            self.serf.joins_without_old += ignore_old
        self.swim._let_go()
        if late:
            raise RuntimeError("Serf can't Join after Leave or Shutdown")

    def joined(self, bint ignore_old, int contacted, int64_t now):
        cdef swim_t* s = self.swim._at(now)
        if ignore_old and self.serf.joins_without_old:
            self.serf.joins_without_old -= 1
        if contacted > 0 and self.serf.state == SERF_ALIVE:
            serf_broadcast_join(s)
        self.swim._let_go()

    def leave(self, int64_t now):
        cdef uint32_t request = serf_leave(self.swim._at(now))
        self.swim._let_go()
        return request

    def force_leave(self, bytes name not None, bint prune, int64_t now):
        cdef slice_t name_ = view(name)
        cdef uint32_t request
        if name_.len > NAME_BYTES_MAX:
            raise ValueError(f"name: {name_.len} bytes, at most {NAME_BYTES_MAX} fit")
        request = serf_force_leave(self.swim._at(now), name_, prune)
        self.swim._let_go()
        return request

    def restore(self, uint64_t clock, uint64_t event_clock, uint64_t query_clock):
        cdef swim_t* s = self.swim._hold()
        cdef bint late = s.started
        if not late:
            lamport_witness(&self.serf.clock, clock)
            lamport_witness(&self.serf.event_clock, event_clock)
            lamport_witness(&self.serf.query_clock, query_clock)
            self.serf.events.minimum = event_clock + 1
            self.serf.queries.minimum = query_clock + 1
        self.swim._let_go()
        if late:
            raise RuntimeError("the node was started before")

    def set_reconnect_timeout(self, bytes name not None, timeout_ns):
        cdef slice_t name_ = view(name)
        cdef int64_t timeout = -1 if timeout_ns is None else timeout_ns
        cdef serf_member_t* member
        if timeout_ns is not None and timeout < 0:
            raise ValueError(f"timeout_ns: {timeout} is below 0")
        self.swim._hold()
        member = serf_find(&self.serf.table, name_)
        if member != NULL:
            member.reconnect_ns = timeout
        self.swim._let_go()

    # --- looking ---

    def clocks(self):
        cdef uint64_t clock, event_clock, query_clock
        self.swim._hold()
        clock = self.serf.clock
        event_clock = self.serf.event_clock
        query_clock = self.serf.query_clock
        self.swim._let_go()
        return (clock, event_clock, query_clock)

    @property
    def state(self):
        cdef uint8_t state
        self.swim._hold()
        state = self.serf.state
        self.swim._let_go()
        return _SERF_STATES[state]

    def members(self):
        """A list of tuples: with 100,000 members this takes its time, and is never sliced."""
        cdef swim_t* s = self.swim._hold()
        cdef uint32_t count = self.serf.table.count
        cdef uint32_t i
        cdef serf_member_t* rows = <serf_member_t*>malloc((count + 1) * sizeof(serf_member_t))
        if rows != NULL:
            for i in range(count):
                rows[i] = serf_at(&self.serf.table, i)[0]
                identity_retain(rows[i].identity)
        self.swim._let_go()
        if rows == NULL:
            raise MemoryError()
        try:
            return [serf_member_tuple(rows[i].identity, rows[i].status, rows[i].ltime,
                                      rows[i].left_ns) for i in range(count)]
        finally:
            self.swim._hold()
            for i in range(count):
                identity_release(s.identities, rows[i].identity)
            self.swim._let_go()
            free(rows)

    def member(self, bytes name not None):
        cdef slice_t name_ = view(name)
        cdef serf_member_t row
        cdef swim_t* s = self.swim._hold()
        cdef serf_member_t* found = serf_find(&self.serf.table, name_)
        if found != NULL:
            row = found[0]
            identity_retain(row.identity)
        self.swim._let_go()
        if found == NULL:
            return None
        try:
            return serf_member_tuple(row.identity, row.status, row.ltime, row.left_ns)
        finally:
            self.swim._hold()
            identity_release(s.identities, row.identity)
            self.swim._let_go()

    @property
    def alive_count(self):
        cdef swim_t* s = self.swim._hold()
        cdef uint32_t count = rows_in(s, STATE_ALIVE) + rows_in(s, STATE_SUSPECT)
        self.swim._let_go()
        return count

    def query_timeout_ns(self):
        cdef int64_t timeout_ns = serf_query_timeout_ns(self.swim._hold())
        self.swim._let_go()
        return timeout_ns

    def recent_intent(self, bytes name not None):
        """What was said about a name that is no member: ("join" or "leave", Lamport time)."""
        cdef slice_t name_ = view(name)
        cdef intent_t* intent
        cdef uint64_t ltime = 0
        cdef uint8_t kind = 0
        self.swim._hold()
        intent = intents_find(&self.serf.intents, name_)
        if intent != NULL:
            kind = intent.kind
            ltime = intent.ltime
        self.swim._let_go()
        if intent == NULL:
            return None
        return ("join" if kind == INTENT_JOIN else "leave", ltime)

    def stats(self):
        cdef swim_t* s = self.swim._hold()
        cdef serf_t* serf = self.serf
        cdef uint64_t[SERF_STATS] stats
        cdef uint64_t[10] present
        memcpy(stats, serf.stats, sizeof(stats))
        present[:] = [serf.table.count, serf.table.counts[STATUS_FAILED],
                      serf.table.counts[STATUS_LEFT], s.queues[QUEUE_INTENTS].count,
                      s.queues[QUEUE_QUERIES].count, s.queues[QUEUE_EVENTS].count,
                      serf.intents.names.count, serf.running_count, serf.events.kept_bytes,
                      s.events.count]
        self.swim._let_go()
        counts = {name: stats[i] for i, name in enumerate(SERF_STAT_NAMES)}
        for i, name in enumerate(("members", "failed", "left", "intents_queued", "queries_queued",
                                  "events_queued", "recent_intents", "queries_running",
                                  "event_bytes_kept", "events_waiting")):
            counts[name] = present[i]
        return counts


cdef bytes encode_filters(nodes, tags):
    """The Filters of a query as they are encoded: nil for none; Serf §11.2."""
    filters = []
    if nodes:
        filters.append(bytes((FILTER_NODES,)) + pack(list(nodes)))
    for tag, expr in tags:
        filters.append(bytes((FILTER_TAG,)) + pack({"Expr": expr, "Tag": tag}))
    return pack(filters or None)
