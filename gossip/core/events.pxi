# events.pxi: what the core tells its user, kept in C until the driver asks. No Python object here.
#
# Blocks that come and go, up to a limit: nothing is ever copied to make room. An event owns its
# bytes and holds a reference to an identity, so that it stays true whatever happens to the row.

cdef enum EventKind:
    EVENT_JOINED
    EVENT_UPDATED
    EVENT_SUSPECTED
    EVENT_CONFIRMED
    EVENT_REFUTED
    EVENT_FAILED
    EVENT_LEFT
    EVENT_CONFLICT
    EVENT_MESSAGE
    EVENT_STATE
    EVENT_PINGED
    EVENT_ASKED
    EVENT_DONE
    EVENT_HEALED
    EVENT_PUSHED
    EVENT_MEMBER_JOIN           # from here on: the Serf layer's
    EVENT_MEMBER_LEAVE
    EVENT_MEMBER_FAILED
    EVENT_MEMBER_UPDATE
    EVENT_MEMBER_REAP
    EVENT_MEMBER_FLAPPED
    EVENT_USER_EVENT
    EVENT_QUERY
    EVENT_FILTER
    EVENT_QUERY_ACK
    EVENT_QUERY_RESPONSE
    EVENT_QUERY_DONE
    EVENT_QUEUE_DEEP

cdef enum:
    EVENT_BLOCK = 64

cdef struct event_t:
    uint8_t kind
    uint8_t state            # of the member, at the time of the event; of Serf's: its status
    uint8_t flag             # MESSAGE: reliable; STATE: join; DONE: failed; PUSHED: refused;
                             # QUERY_DONE: early
    uint32_t incarnation     # of the member; PUSHED: our own
    uint32_t number          # DONE: request; FAILED: confirmations; PUSHED: the claimed one; of a
                             # query: its id or handle
    int64_t since_ns
    int64_t value            # DONE, PINGED: round trip; FAILED: time under suspicion; in ns.
                             # Of Serf's members: the status time; of a query: its deadline
    identity_t* identity     # a reference of the event's own, or NULL
    addr_t peer              # MESSAGE: who sent it; CONFLICT: the other address
    uint8_t* data            # owned: payload, accuser, metadata, error text or lost names
    uint32_t size

cdef struct event_block_t:
    event_block_t* next
    event_t[EVENT_BLOCK] events

cdef struct events_t:
    event_block_t* first     # where events are taken
    event_block_t* last      # where they are added
    uint32_t head            # place of the oldest event in the first block
    uint32_t tail            # place behind the newest one in the last block
    uint32_t count
    uint32_t messages        # of these, those that carry what others or the application sent
    size_t bytes             # of all payloads in the ring
    size_t message_bytes     # of these, the messages'
    uint64_t lost            # since the driver last asked
    uint64_t told            # ever


cdef bint events_reserve(events_t* events) noexcept nogil:
    """Room for one more event; False without memory."""
    cdef event_block_t* block
    if events.last != NULL and events.tail < EVENT_BLOCK:
        return True
    block = <event_block_t*>malloc(sizeof(event_block_t))
    if block == NULL:
        return False
    block.next = NULL
    if events.last == NULL:
        events.first = block
    else:
        events.last.next = block
    events.last = block
    events.tail = 0
    return True


cdef inline bint is_awaited(const event_t* event) noexcept nogil:
    """Whether somebody waits for just this event: no snapshot could make up for its loss.

    Their number has bounds of its own: the user's calls, and PENDING_MAX.
    """
    return (event.kind == EVENT_DONE or event.kind == EVENT_ASKED
            or event.kind == EVENT_QUERY_DONE)


cdef inline bint is_message(const event_t* event) noexcept nogil:
    """Whether it carries what others sent: as much as they like. It has limits of its own, so that
    no flood of it displaces what is told of members."""
    return (EVENT_MESSAGE <= event.kind <= EVENT_PINGED
            or EVENT_USER_EVENT <= event.kind <= EVENT_QUERY_RESPONSE)


cdef inline bint events_have_room(const events_t* events, const event_t* event,
                                  size_t size) noexcept nogil:
    if is_awaited(event):
        return True
    if is_message(event):
        return (events.messages < EVENTS_MAX
                and events.message_bytes + size <= EVENT_BYTES_MAX)
    return (events.count - events.messages < EVENTS_MAX
            and events.bytes - events.message_bytes + size <= EVENT_BYTES_MAX)


cdef bint events_push(events_t* events, event_t* event, slice_t data) noexcept nogil:
    """Takes the event with a copy of `data` and a new reference to its identity; counts a loss."""
    cdef bint room = events_have_room(events, event, data.len)
    event.data = NULL
    event.size = data.len
    if room and data.len:
        event.data = <uint8_t*>malloc(data.len)
        room = event.data != NULL
    if not room or not events_reserve(events):
        free(event.data)
        events.lost += 1
        return False
    if data.len:
        memcpy(event.data, data.ptr, data.len)
        events.bytes += data.len
    if is_message(event):
        events.messages += 1
        events.message_bytes += data.len
    if event.identity != NULL:
        identity_retain(event.identity)
    events.last.events[events.tail] = event[0]
    events.tail += 1
    events.count += 1
    events.told += 1
    return True


cdef event_t* events_look(const events_t* events, uint32_t at) noexcept nogil:
    """One of those that wait, the oldest at 0; it stays where it is."""
    cdef event_block_t* block = events.first
    at += events.head
    while at >= EVENT_BLOCK:
        block = block.next
        at -= EVENT_BLOCK
    return &block.events[at]


cdef bint events_pop(events_t* events, event_t* event) noexcept nogil:
    """Moves the oldest event out; the caller then owns its bytes and its reference."""
    cdef event_block_t* emptied
    if events.count == 0:
        return False
    if events.head == EVENT_BLOCK:
        emptied = events.first
        events.first = emptied.next
        events.head = 0
        free(emptied)
    event[0] = events.first.events[events.head]
    events.head += 1
    events.count -= 1
    if events.count == 0:                # one block is left: it is used again from its start
        events.head = 0
        events.tail = 0
    events.bytes -= event.size if event.data != NULL else 0
    if is_message(event):
        events.messages -= 1
        events.message_bytes -= event.size if event.data != NULL else 0
    return True


cdef void event_release(event_t* event, identities_t* identities) noexcept nogil:
    free(event.data)
    event.data = NULL
    if event.identity != NULL:
        identity_release(identities, event.identity)
        event.identity = NULL


cdef void events_free(events_t* events, identities_t* identities) noexcept nogil:
    cdef event_t event
    while events_pop(events, &event):
        event_release(&event, identities)
    free(events.first)
    memset(events, 0, sizeof(events_t))
