# serf.pxi: the state of the Serf layer of one node, and the small acts that its parts share.
#
# It stands behind the `delegate` of a swim_t: memberlist tells it who comes and goes and what user
# messages came, and it queues, sends and tells through memberlist. What a member must do for the
# others is all here, in C, so that it goes on while the interpreter is busy; what only this node's
# user cares for (tags, coordinates, coalescing, files) is Python's.
#
# serf_members.pxi keeps statuses, serf_events.pxi and serf_queries.pxi handle what comes in,
# serf_asking.pxi keeps the own queries, serf_leaving.pxi leaves, serf_upkeep.pxi is what time does,
# serf_state.pxi the push/pull, serf_dispatch.pxi the delegate.

cdef enum SerfState:
    SERF_ALIVE
    SERF_LEAVING
    SERF_GONE                       # has left

cdef enum SerfLeaveStep:
    STEP_NONE
    STEP_SPREAD                    # the intent is being spread
    STEP_GOODBYE                # so is memberlist's word
    STEP_PROPAGATE

cdef enum:                           # what Serf.stats() counts, in the order of SERF_STAT_NAMES
    SERF_INTENTS
    SERF_EVENTS
    SERF_EVENTS_OLD
    SERF_EVENTS_SEEN
    SERF_EVENTS_NOT_KEPT
    SERF_QUERIES
    SERF_QUERIES_OLD
    SERF_QUERIES_SEEN
    SERF_QUERIES_FILTERED
    SERF_ACKS_SENT
    SERF_RESPONSES_SENT
    SERF_RELAYS_SENT
    SERF_RELAYED
    SERF_REPLIES
    SERF_REPLIES_SEEN
    SERF_REFUTATIONS
    SERF_FLAPS
    SERF_REAPED
    SERF_PRUNED
    SERF_STATES_MERGED
    SERF_STATS

SERF_STAT_NAMES = (
    "intents", "user_events", "user_events_old", "user_events_seen", "user_events_not_kept",
    "queries", "queries_old", "queries_seen", "queries_filtered", "acks_sent", "responses_sent",
    "relays_sent", "relayed", "replies", "replies_seen", "refutations", "flaps", "reaped",
    "pruned", "states_merged",
)
assert len(SERF_STAT_NAMES) == SERF_STATS

cdef struct serf_settings_t:
    int64_t event_buffer
    int64_t query_buffer
    int64_t user_event_size_limit
    int64_t query_size_limit
    int64_t query_response_size_limit
    int64_t broadcast_timeout_ns
    int64_t leave_propagate_delay_ns
    int64_t reap_interval_ns
    int64_t recent_intent_timeout_ns
    int64_t reconnect_interval_ns
    int64_t reconnect_timeout_ns
    int64_t tombstone_timeout_ns
    int64_t flap_timeout_ns
    int64_t queue_check_interval_ns
    int64_t queue_depth_warning
    int64_t max_queue_depth
    int64_t min_queue_depth
    int64_t query_timeout_mult

# A query of another node that waits for its tag filters to be judged, or for an answer.
cdef struct held_t:
    uint32_t handle
    bint judged
    bint answered
    int64_t deadline_ns
    uint32_t len                    # of the query's body, which follows

# Who was heard about an own query, by a keyed hash of the name.
cdef struct voter_t:
    entry_t entry
    uint8_t flags

# A forced leave whose broadcast is under way.
cdef struct forced_t:
    uint32_t request                # 0: none
    bint answered                   # its time was up

# An own query that runs.
cdef struct asked_t:
    entry_t entry                   # in the map by Lamport time
    asked_t* next                   # of all that run
    asked_t* before
    uint64_t ltime
    uint32_t id
    int32_t timer
    bint wants_acks
    bint acks_answer
    bint awaits_all                 # every member present at the start; else those marked
    uint32_t serial                 # of the table at the start: later presences are not awaited
    uint32_t awaited                # who have neither answered nor gone
    uint32_t voters_max
    map_t votes
    pages_t voters
    uint32_t voters_used

cdef struct serf_t:
    delegate_t delegate             # what swim_t points to, hence first
    serf_settings_t settings
    uint64_t clock
    uint64_t event_clock
    uint64_t query_clock
    dedup_t events
    dedup_t queries
    intents_t intents
    serf_table_t table
    uint64_t seed                   # keys the hashes of events and voters
    uint8_t state
    # Leaving.
    uint8_t leave_stage
    uint32_t leave_answer           # the user's request
    uint32_t[2] leave_waits         # ours: the intent's and memberlist's; 0: not waited for
    int32_t leave_timer
    forced_t[FORCED_LEAVES_MAX] forced
    # Joining.
    uint32_t joins_without_old      # Join calls under way that ignore old events
    # Queries.
    held_t *held[QUERIES_HELD_MAX]
    uint32_t next_handle
    map_t asked
    asked_t* running
    uint32_t running_count
    int64_t reply_tokens_ns         # budgets, as time
    int64_t relay_tokens_ns
    uint64_t[SERF_STATS] stats


cdef inline serf_t* serf_of(swim_t* s) noexcept nogil:
    return <serf_t*>s.delegate


cdef inline bint serf_is_self(swim_t* s, const serf_member_t* member) noexcept nogil:
    return is_self(s, identity_name(member.identity))


cdef inline bint serf_is_present(const serf_member_t* member) noexcept nogil:
    return member.status == STATUS_ALIVE or member.status == STATUS_LEAVING


cdef bint serf_others_alive(swim_t* s) noexcept nogil:
    """Whether anybody else would hear a broadcast."""
    cdef serf_t* serf = serf_of(s)
    cdef serf_member_t* own = serf_find(&serf.table, identity_name(s.identity))
    cdef uint32_t alive = serf.table.counts[STATUS_ALIVE]
    if own != NULL and own.status == STATUS_ALIVE:
        alive -= 1
    return alive > 0


cdef bint serf_queue(swim_t* s, int queue, slice_t message, uint32_t notify) noexcept nogil:
    """Queue a Serf message to be gossiped; False, and counted, for one no packet can carry."""
    if message.len + USER_PART_BYTES > <uint64_t>max(gossip_room(s), <int64_t>0) or not queue_add(
            &s.queues[queue], slice_nil(), 0, message, notify):
        drop(s, DROP_OUT_FULL)
        return False
    return True


cdef void serf_tell_member(swim_t* s, uint8_t kind, const serf_member_t* member) noexcept nogil:
    cdef event_t event
    memset(&event, 0, sizeof(event))
    event.kind = kind
    event.state = member.status
    event.since_ns = member.left_ns
    event.value = <int64_t>member.ltime
    event.identity = member.identity
    events_push(&s.events, &event, slice_nil())


cdef void serf_tell(swim_t* s, uint8_t kind, uint32_t number, int64_t value, bint flag,
                    slice_t body) noexcept nogil:
    """An event about a message, with the message's body: what it says is read when it is told."""
    cdef event_t event
    memset(&event, 0, sizeof(event))
    event.kind = kind
    event.number = number
    event.value = value
    event.flag = flag
    events_push(&s.events, &event, body)


cdef bint serf_paid(int64_t* tokens_ns, int64_t now_ns, int64_t per_second) noexcept nogil:
    """Take one from a budget that saves up to a second's worth; False when it is spent."""
    cdef int64_t price = 1000000000 // per_second
    if now_ns - tokens_ns[0] > 1000000000:
        tokens_ns[0] = now_ns - 1000000000
    if now_ns - tokens_ns[0] < price:
        return False
    tokens_ns[0] += price
    return True
