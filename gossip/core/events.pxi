# events.pxi: what the core tells its user, kept in C until the driver asks. No Python object here.
#
# A ring that grows up to a limit. An event owns its bytes and holds a reference to an identity, so
# that it stays true whatever happens to the row later.

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

cdef enum:
    EVENTS_KEPT = 1024       # a larger ring is given back when it is empty: joins come in bursts

cdef struct event_t:
    uint8_t kind
    uint8_t state            # of the member, at the time of the event
    uint8_t flag             # MESSAGE: reliable; STATE: join; DONE: failed
    uint32_t incarnation
    uint32_t number          # DONE: request; FAILED: confirmations
    int64_t since_ns
    int64_t value            # DONE, PINGED: round trip; FAILED: time under suspicion; in ns
    identity_t* identity     # a reference of the event's own, or NULL
    addr_t peer              # MESSAGE: who sent it; CONFLICT: the other address
    uint8_t* data            # owned: payload, accuser, metadata or error text
    uint32_t size

cdef struct events_t:
    event_t* ring
    uint32_t head
    uint32_t count
    uint32_t capacity
    size_t bytes             # of all payloads in the ring
    uint64_t lost            # since the driver last asked


cdef bint events_grow(events_t* events) noexcept nogil:
    """Doubles the ring; False without memory."""
    cdef uint32_t capacity = events.capacity * 2 if events.capacity else 16
    cdef event_t* ring
    cdef uint32_t i
    ring = <event_t*>malloc(capacity * sizeof(event_t))
    if ring == NULL:
        return False
    for i in range(events.count):
        ring[i] = events.ring[(events.head + i) & (events.capacity - 1)]
    free(events.ring)
    events.ring = ring
    events.head = 0
    events.capacity = capacity
    return True


cdef inline bint is_awaited(const event_t* event) noexcept nogil:
    """Whether somebody waits for just this event: no snapshot could make up for its loss.

    Their number has bounds of its own: the user's calls, and PENDING_MAX.
    """
    return event.kind == EVENT_DONE or event.kind == EVENT_ASKED


cdef bint events_push(events_t* events, event_t* event, slice_t data) noexcept nogil:
    """Takes the event with a copy of `data` and a new reference to its identity; counts a loss."""
    event.data = NULL
    event.size = data.len
    if not is_awaited(event) and (events.count >= EVENTS_MAX
                                  or events.bytes + data.len > EVENT_BYTES_MAX):
        events.lost += 1
        return False
    if events.count == events.capacity and not events_grow(events):
        events.lost += 1
        return False
    if data.len:
        event.data = <uint8_t*>malloc(data.len)
        if event.data == NULL:
            events.lost += 1
            return False
        memcpy(event.data, data.ptr, data.len)
        events.bytes += data.len
    if event.identity != NULL:
        identity_retain(event.identity)
    events.ring[(events.head + events.count) & (events.capacity - 1)] = event[0]
    events.count += 1
    return True


cdef bint events_pop(events_t* events, event_t* event) noexcept nogil:
    """Moves the oldest event out; the caller then owns its bytes and its reference."""
    if events.count == 0:
        return False
    event[0] = events.ring[events.head]
    events.head = (events.head + 1) & (events.capacity - 1)
    events.count -= 1
    events.bytes -= event.size if event.data != NULL else 0
    if events.count == 0 and events.capacity > EVENTS_KEPT:
        free(events.ring)
        events.ring = NULL
        events.head = 0
        events.capacity = 0
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
    free(events.ring)
    events.ring = NULL
    events.capacity = 0
