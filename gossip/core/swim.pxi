# swim.pxi: the state of one node, and the small acts that every part of the state machine shares.
#
# Who decides and who acts: merge.pxi judges claims, claims.pxi acts on the verdicts, probe.pxi
# detects failures, gossip.pxi spreads, push_pull.pxi and sessions.pxi synchronise over streams,
# requests.pxi takes what the user asks for, dispatch.pxi is where packets and time come in.

cdef enum:
    QUEUE_MEMBERSHIP = 0
    QUEUE_USER = 1
    QUEUE_INTENTS = 2              # these three are the Serf layer's
    QUEUE_QUERIES = 3
    QUEUE_EVENTS = 4
    QUEUES = 5
    CONFLICTS_REMEMBERED = 64
    COMPOUND_HEADER_BYTES = 2      # budgets of packets: protocol §13
    COMPOUND_PART_BYTES = 2
    USER_PART_BYTES = 3            # the length of the part and the user message's type byte
    PROTOCOL_TCP_PING = 3          # the maximum from which a node can do each of these
    PROTOCOL_NACK = 4
    PROTOCOL_CRC = 5

cdef enum:                           # what stats() counts, in the order of STAT_NAMES
    STAT_PACKETS_RECEIVED
    STAT_BYTES_RECEIVED
    STAT_PACKETS_SENT
    STAT_BYTES_SENT
    STAT_SEND_FAILURES
    STAT_MESSAGES_RECEIVED
    STAT_PROBES
    STAT_PROBES_FAILED
    STAT_PROBES_INDIRECT
    STAT_PROBES_SAVED_BY_TCP
    STAT_RELAYS
    STAT_SUSPICIONS
    STAT_CONFIRMATIONS
    STAT_REFUTATIONS
    STAT_CONFLICTS
    STAT_GOSSIPS
    STAT_PUSH_PULLS_SENT
    STAT_PUSH_PULLS_RECEIVED
    STAT_PUSH_PULLS_REFUSED
    STAT_STREAMS_REFUSED
    STAT_STREAMS_FAILED
    STAT_STREAMS_OVER_BUDGET
    STAT_STALLS
    STAT_SOURCE_MISMATCHES
    STAT_INCARNATION_PUSHES
    STAT_HEAL_CALLS
    STAT_HEAL_ANSWERS
    STAT_HEAL_REGAINED
    STAT_HEALS
    STATS

STAT_NAMES = (
    "packets_received", "bytes_received", "packets_sent", "bytes_sent", "send_failures",
    "messages_received", "probes", "probes_failed", "probes_indirect", "probes_saved_by_tcp",
    "relays", "suspicions", "confirmations", "refutations", "conflicts", "gossips",
    "push_pulls_sent", "push_pulls_received", "push_pulls_refused", "streams_refused",
    "streams_failed", "streams_over_budget", "stalls", "source_mismatches", "incarnation_pushes",
    "heal_calls", "heal_answers", "heal_regained", "heals",
)
assert len(STAT_NAMES) == STATS

cdef struct settings_t:
    int64_t protocol_version
    int64_t delegate_protocol_min
    int64_t delegate_protocol_max
    int64_t delegate_protocol_version
    int64_t tcp_timeout_ns
    int64_t indirect_checks
    int64_t retransmit_mult
    int64_t suspicion_mult
    int64_t suspicion_max_timeout_mult
    int64_t push_pull_interval_ns
    int64_t probe_timeout_ns
    int64_t probe_interval_ns
    int64_t disable_tcp_pings
    int64_t awareness_max_multiplier
    int64_t gossip_nodes
    int64_t gossip_interval_ns
    int64_t gossip_to_the_dead_time_ns
    int64_t gossip_verify_incoming
    int64_t gossip_verify_outgoing
    int64_t enable_compression
    int64_t udp_buffer_size
    int64_t dead_node_reclaim_time_ns
    int64_t skip_inbound_label_check
    int64_t max_members
    int64_t new_names_per_packet
    int64_t name_rule
    int64_t ask_accept_member
    int64_t report_pings
    int64_t heal_interval_ns
    int64_t heal_time_ns
    # What memberlist fixes and the papers vary; `_TRIALS` in making.pxi has the values it fixes.
    int64_t suspicion_k
    int64_t buddy_system
    int64_t nack_percent
    int64_t scale_probe_timeout
    int64_t notice_stalls

# Messages collected for one destination, before it is known how many packets they fill.
cdef struct pack_t:
    buffer_t bytes
    buffer_t message         # a directed message too large for the stack
    uint32_t count
    uint16_t[PACK_PARTS_MAX] lengths

cdef enum ProbePhase:
    PROBE_IDLE
    PROBE_DIRECT
    PROBE_INDIRECT

cdef struct probe_t:
    uint8_t phase
    bint tick_missed           # one tick that came while a probe ran; protocol §16
    bint send_failed           # the kernel refused the ping
    bint tcp_acked
    uint32_t index             # into the table's order
    uint32_t row
    identity_t* target         # a reference: the row may be gone when the probe ends
    addr_t address
    uint32_t sequence
    uint32_t incarnation       # of the target, when the probe began
    int64_t sent_ns
    int64_t deadline_ns
    int32_t timeout_timer
    int32_t deadline_timer
    int32_t interval_timer
    uint32_t nacks
    uint32_t nacks_expected

# An ack somebody waits for: a relay for another node, or a ping that the user asked for.
cdef struct waiter_t:
    uint32_t sequence          # 0: free
    uint32_t relayed           # the requester's own sequence number; relays only
    uint32_t request           # the user's request; 0 for a relay
    bint nack
    addr_t requester
    int64_t sent_ns
    int32_t timer

cdef struct commands_t:
    command_t* ring
    uint32_t head
    uint32_t count
    uint32_t capacity

cdef struct session_t          # sessions.pxi
cdef struct heal_t             # heal.pxi

# The user state of a push/pull while a layer above makes it: the head and, behind it, the body.
cdef struct made_state_t:
    buffer_t head
    buffer_t body
    buffer_t scratch
    uint32_t row               # the next one
    uint32_t count             # in the body
    uint32_t scratch_count
    bint done

# What a layer above is told and asked (Serf's stands in serf_dispatch.pxi). A bare memberlist has
# none, and tests for that.
cdef struct delegate_t:
    uint32_t members           # the size of the pool, for how often its broadcasts are sent
    void (*start)(swim_t* s) noexcept nogil
    # A member joined, changed, left or failed: the event's kind.
    void (*member)(swim_t* s, uint8_t event, const member_t* row) noexcept nogil
    # A user message; whether it was the layer's own.
    bint (*message)(swim_t* s, slice_t payload) noexcept nogil
    # The answer to a request; whether it was one of the layer's own.
    bint (*done)(swim_t* s, uint32_t request) noexcept nogil
    # A timer of a kind that is the layer's.
    void (*due)(swim_t* s, const timer_t* timer) noexcept nogil
    # A step of making the user state; False without memory.
    bint (*make_state)(swim_t* s, made_state_t* state) noexcept nogil
    # A step of merging one; True when that is over. `reading` is the layer's own, NULL at first.
    bint (*merge_state)(swim_t* s, slice_t state, bint join, void** reading) noexcept nogil
    void (*drop_state)(swim_t* s, void* reading) noexcept nogil
    void (*free)(swim_t* s) noexcept nogil

cdef struct swim_t:
    settings_t settings
    envelope_t envelope
    nonces_t nonces
    replay_t replay
    opened_t* opened           # scratch of the codec
    pack_t* pack               # scratch of the sender
    identities_t* identities
    bint shares                # identities or scratch: they were handed in, others may use them
    table_t table
    rng_t rng
    timers_t timers
    awareness_t awareness
    suspicions_t suspicions
    queue_t[QUEUES] queues
    events_t events
    commands_t commands
    session_t** sessions
    uint32_t sessions_used
    uint32_t sessions_inbound
    size_t streams_bytes       # held by inbound ones, beyond what each is granted
    uint32_t session_serial
    session_t* working         # sessions with work that waits, first come first served
    session_t* working_last
    int64_t work               # that this entry may still do
    int64_t behind_ns          # when the last tick left timers that were due; INT64_MIN: it did not
    int64_t stalled_ns         # when this process was last seen to have stood still
    large_t* large             # the scratch's
    # Who this node is.
    uint32_t self_row
    addr_t address
    uint16_t bind_port         # for claims and targets that name none
    identity_t* identity       # a reference
    uint32_t incarnation
    int64_t clock_base_ns      # of the coarse clock: what its time is at nought of `now_ns`
    int64_t pushed_told_ns
    uint32_t sequence
    uint32_t request
    bint started
    bint leaving
    bint gossip_paused         # by a simulator
    # What is under way.
    probe_t probe
    waiter_t* waiters          # PENDING_ACKS_MAX of them; NULL: there never was one
    bint push_pull_staggered
    uint32_t gossip_turn       # destinations of gossip rounds so far
    uint32_t limit_members     # for how many `limit` was computed
    uint32_t limit             # see transmit_limit
    int64_t relay_tokens_ns    # budget for targets that are no members, as time
    uint32_t leave_request     # unanswered; 0: none
    heal_t* heal
    # What came in, for the handlers below.
    int64_t now_ns
    batch_t* out
    addr_t source              # of the packet in hand
    bint from_packet
    int64_t new_names          # this packet may still bring
    uint32_t parts_done        # of this packet
    uint32_t parts_left
    uint64_t[CONFLICTS_REMEMBERED] conflicts
    uint32_t[PENDING_MAX] refused    # rows that accept_member refused, the latest of `refusals`
    uint64_t refusals
    delegate_t* delegate       # NULL: a bare memberlist
    # What the application lends.
    blob_t* local_state
    buffer_t ack_payload
    bint has_ack_payload
    cidr_t* cidrs
    uint32_t cidr_count
    bint cidrs_set
    uint64_t[DROP_REASONS] drops
    uint64_t[STATS] stats


cdef inline bint is_self(swim_t* s, slice_t name) noexcept nogil:
    return slice_equal(identity_name(s.identity), name)


cdef inline uint32_t find_row(swim_t* s, slice_t name) noexcept nogil:
    return table_find(&s.table, name, table_hash(&s.table, name))


cdef inline member_t* row_at(swim_t* s, uint32_t index) noexcept nogil:
    return table_row(&s.table, index)


cdef inline uint32_t rows_in(swim_t* s, int state) noexcept nogil:
    return s.table.counts[state]


cdef inline bint buffer_append_slice(buffer_t* buffer, slice_t bytes) noexcept nogil:
    return buffer_append(buffer, bytes.ptr, bytes.len)


cdef inline void writer_slice_in(writer_t* writer, slice_t bytes) noexcept nogil:
    writer_bytes(writer, bytes.ptr, bytes.len)


cdef inline bint is_member(const member_t* row) noexcept nogil:
    """Whether the row is a member to the world: not one that waits for admission."""
    return row.state <= STATE_LEFT


cdef inline bint is_up(const member_t* row) noexcept nogil:
    return row.state <= STATE_SUSPECT


cdef inline uint8_t protocol_max(const member_t* row) noexcept nogil:
    return row.identity.vsn[1]


cdef inline uint32_t next_sequence(swim_t* s) noexcept nogil:
    s.sequence += 1
    if s.sequence == 0:                   # 0 marks a free waiter
        s.sequence = 1
    return s.sequence


cdef inline uint32_t next_request(swim_t* s) noexcept nogil:
    s.request += 1
    if s.request == 0:
        s.request = 1
    return s.request


cdef inline uint32_t coarse_clock(swim_t* s) noexcept nogil:
    """Seconds since INCARNATION_EPOCH, as the wall clock was at the start and has gone on evenly
    since; 0 where none was given. A wall clock that is set while the node runs does not matter."""
    cdef int64_t seconds = (s.clock_base_ns + s.now_ns) // 1000000000
    if s.clock_base_ns == INT64_MIN or seconds < 0:
        return 0
    return <uint32_t>min(seconds, <int64_t>INCARNATION_START_MAX)


cdef inline void set_coarse_clock(swim_t* s, int64_t unix_seconds) noexcept nogil:
    """What the wall clock says now; 0 or less: there is none."""
    cdef int64_t second = 1000000000
    if unix_seconds > 0:
        unix_seconds = min(unix_seconds - INCARNATION_EPOCH, <int64_t>INCARNATION_START_MAX)
        s.clock_base_ns = unix_seconds * second - s.now_ns
    else:
        s.clock_base_ns = INT64_MIN


cdef inline void drop(swim_t* s, int reason) noexcept nogil:
    s.drops[reason] += 1


cdef void own_versions(swim_t* s, uint8_t* vsn) noexcept nogil:
    """The six version bytes that this node claims; protocol §11."""
    vsn[0] = PROTOCOL_VERSION_MIN
    vsn[1] = PROTOCOL_VERSION_MAX
    vsn[2] = <uint8_t>s.settings.protocol_version
    vsn[3] = <uint8_t>s.settings.delegate_protocol_min
    vsn[4] = <uint8_t>s.settings.delegate_protocol_max
    vsn[5] = <uint8_t>s.settings.delegate_protocol_version


cdef inline bint changes_membership(uint8_t event) noexcept nogil:
    return (event == EVENT_JOINED or event == EVENT_UPDATED or event == EVENT_FAILED
            or event == EVENT_LEFT)


cdef void tell(swim_t* s, uint8_t kind, member_t* row, slice_t data,
               uint32_t number, int64_t value) noexcept nogil:
    """One event about a member."""
    cdef event_t event
    memset(&event, 0, sizeof(event))
    event.kind = kind
    event.state = row.state
    event.incarnation = row.incarnation
    event.since_ns = row.state_change_ns
    event.identity = row.identity
    event.number = number
    event.value = value
    events_push(&s.events, &event, data)
    if s.delegate != NULL and changes_membership(kind):
        s.delegate.member(s, kind, row)


cdef void tell_done(swim_t* s, uint32_t request, const char* error, size_t length,
                    int64_t value) noexcept nogil:
    """The answer to a request of the user; `error` is NULL when it went well."""
    cdef event_t event
    if request == 0 or (s.delegate != NULL and s.delegate.done(s, request)):
        return
    memset(&event, 0, sizeof(event))
    event.kind = EVENT_DONE
    event.number = request
    event.flag = error != NULL
    event.value = value
    events_push(&s.events, &event, slice_of(<const uint8_t*>error, <uint32_t>length))


cdef void tell_bytes(swim_t* s, uint8_t kind, slice_t payload, bint flag) noexcept nogil:
    """A user message or the user state of a push/pull."""
    cdef event_t event
    memset(&event, 0, sizeof(event))
    event.kind = kind
    event.flag = flag
    if s.from_packet or kind == EVENT_MESSAGE:
        event.peer = s.source
    events_push(&s.events, &event, payload)


cdef inline void take_message(swim_t* s, slice_t payload, bint reliable) noexcept nogil:
    """A user message, for the layer above if there is one and it is its own."""
    if s.delegate == NULL or not s.delegate.message(s, payload):
        tell_bytes(s, EVENT_MESSAGE, payload, reliable)


cdef void drain_finished(swim_t* s) noexcept nogil:
    """Broadcasts that have been sent often enough answer the requests that wait for them."""
    cdef uint32_t request
    cdef int i
    for i in range(QUEUES):
        request = queue_next_finished(&s.queues[i])
        while request:
            tell_done(s, request, NULL, 0, 0)
            if request == s.leave_request:
                s.leave_request = 0
            request = queue_next_finished(&s.queues[i])


cdef inline uint32_t transmit_limit(swim_t* s) noexcept nogil:
    """How often a broadcast is sent. It is asked for with each packet, and takes a logarithm."""
    if s.limit_members != s.table.order_count:
        s.limit_members = s.table.order_count
        s.limit = <uint32_t>retransmit_limit(s.settings.retransmit_mult, s.limit_members)
    return s.limit


cdef inline int64_t gossip_room(swim_t* s) noexcept nogil:
    """Bytes for the parts of a packet of the gossip round; protocol §13."""
    return (s.settings.udp_buffer_size - COMPOUND_HEADER_BYTES
            - packet_overhead(&s.envelope, True))


cdef void tell_unfit(swim_t* s, uint32_t notify) noexcept nogil:
    """Something that no gossip packet can carry is counted, and whoever waits for it is told."""
    cdef const char* error = b"it does not fit a gossip packet; raise udp_buffer_size"
    drop(s, DROP_OUT_FULL)
    tell_done(s, notify, error, strlen(error), 0)
    if notify == s.leave_request:
        s.leave_request = 0


cdef void queue_claim(swim_t* s, slice_t name, writer_t* message,
                      uint32_t notify) noexcept nogil:
    """Queues an encoded claim under `name`: it takes the place of an older one of that name.

    Every change of a row ends here, and pays here for all that it took.
    """
    cdef int64_t room = gossip_room(s) - COMPOUND_PART_BYTES
    s.work -= WORK_CHANGE
    if (message.full or <int64_t>writer_len(message) > room or not queue_add(
            &s.queues[QUEUE_MEMBERSHIP], name, 0, writer_slice(message), notify)):
        tell_unfit(s, notify)


cdef slot_t* new_packet(swim_t* s, const addr_t* to, uint32_t bytes) noexcept nogil:
    """Room for one packet at the end of the out batch; NULL, and counted, when there is none."""
    cdef batch_t* out = s.out
    cdef slot_t* slot
    # Envelopes: label, seal with padding, CRC, and the LZW of what does not shrink stays outside.
    cdef size_t need = bytes + 2 + LABEL_BYTES_MAX + 45 + 5
    if out.count == out.capacity or out.used + need > out.size:
        drop(s, DROP_OUT_FULL)
        return NULL
    slot = &out.slots[out.count]
    slot.data = out.arena + out.used
    slot.cap = <uint32_t>need
    slot.len = 0
    slot.peer = to[0]
    return slot


cdef bint send_packet(swim_t* s, slot_t* slot, writer_t* writer, bint crc) noexcept nogil:
    """Closes the envelopes of a packet and leaves it in the out batch."""
    if writer.full:
        drop(s, DROP_OUT_FULL)
        return False
    cdef int reason = packet_finish(&s.envelope, s.opened, slot, writer, crc)
    if reason != DROP_NONE:
        drop(s, reason)
        return False
    s.out.count += 1
    s.out.used = <size_t>(slot.data + slot.len - s.out.arena)
    s.work -= slot.len // PLAIN_PER_WORK
    s.stats[STAT_PACKETS_SENT] += 1
    s.stats[STAT_BYTES_SENT] += slot.len
    return True
