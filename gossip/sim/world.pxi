# world.pxi: the state of a simulation: the clock, the nodes, the network between them.

cdef enum:
    ZONES = 16
    SIDES = 64
    SOCKET_OVERHEAD = 768       # what Linux counts for a small datagram beside its bytes
    PIPES_OF_A_NODE = 512       # the core's bound of streams; a stream's number modulo it is unique
    TRACE_BYTES = 1 << 16
    TRACE_TOLD = 100            # and the kind of event; below: the kind of happening
    TRACE_SERF = 150
    TRACE_NOTE = 200
    CUT_DATAGRAMS = 1
    CUT_STREAMS = 2

cdef int64_t REPLAY_NS = 60000000000

cdef enum Pause:
    PAUSE_NONE
    PAUSE_FROZEN                # nothing runs, as after SIGSTOP
    PAUSE_BLOCKED               # blocked before sending and after receiving; timers run

cdef enum DelayKind:
    DELAY_FIXED
    DELAY_UNIFORM
    DELAY_EXPONENTIAL

cdef struct delay_t:
    uint8_t kind
    int64_t low_ns
    int64_t high_ns             # of the exponential one: its mean above `low_ns`

cdef struct flow_t:             # of a stream towards one end
    segment_t* first            # what has not got through, oldest first
    segment_t* last
    int64_t arrives             # when the last bytes do
    uint8_t tries               # of the oldest segment, since anything was acknowledged
    bint unacked                # something got through, and no answer comes back
    bint held                   # the next segments wait until that is acknowledged
    bint planned                # a retry is

cdef struct pipe_t:             # one stream; end 0 has dialled
    uint32_t[2] nodes
    uint32_t[2] slots           # the addresses they had
    uint32_t[2] streams
    flow_t[2] flows             # towards each end
    bint[2] open
    bint[2] known               # whether the node there has a number for it
    bint[2] mute                # nothing comes from that end any more
    bint opened                 # the dialler knows that it is
    uint32_t on_the_way         # happenings that name it
    bint used

cdef struct shadow_t:           # what a node held of another at the last look
    uint64_t print
    int64_t since_ns
    uint32_t incarnation
    uint32_t slot
    uint8_t state
    uint8_t told                # the state its events told of, plus 1; 0: never heard of
    uint8_t serf                # the status that Serf's events told of; 0: none
    uint32_t look
    uint32_t told_by            # the look before which an event last told of it

cdef struct said_t:             # what a node said of itself at one incarnation
    uint32_t incarnation
    uint64_t print

cdef struct prints_t:           # what a node was told once and must not be again
    uint64_t* slots             # 0: free
    uint32_t count
    uint32_t capacity           # a power of two

cdef struct node_t:
    swim_t* swim
    addr_t address
    uint32_t slot
    bint up
    bint leaving
    bint watched                # its events are for Python
    uint64_t heard              # so many of its events were noted
    uint8_t pause
    bint stuck                  # blocked in a send of its probe
    uint8_t zone
    uint8_t side
    int64_t armed               # the wake that counts
    int64_t paused_until
    int64_t offset_ns           # of its clock
    int64_t slow_ns             # that each entry takes
    int64_t busy_until
    double loss_in
    double loss_out
    int64_t rate                # bytes a second out; 0: no bound
    int64_t line_free           # when what was sent has left
    inbox_t datagrams           # what came while it was paused or busy
    inbox_t streams
    bint streams_next           # whose turn it is
    uint32_t inbox_bytes        # of datagrams, as a system counts them
    bint serving                # a happening to take the next of it is planned
    uint32_t* pipes             # NONE or a pipe, by stream modulo PIPES_OF_A_NODE
    # For the checks.
    shadow_t* shadows
    said_t* said
    uint32_t said_count
    uint32_t said_capacity
    uint32_t incarnation        # of itself, at the last look
    uint64_t print
    uint32_t looks
    uint32_t entries
    uint32_t largest            # of its packets
    uint64_t[3] clocks          # of Serf
    prints_t user_events

cdef struct record_t:           # an event that somebody wants to know of
    int64_t at
    uint32_t node
    uint32_t about
    uint32_t incarnation
    uint8_t kind

cdef enum:                      # what is counted, in the order of COUNTER_NAMES
    COUNT_SENT
    COUNT_SENT_BYTES
    COUNT_DELIVERED
    COUNT_LOST
    COUNT_TICKS
    COUNT_ENTRIES
    COUNT_STREAMS
    COUNT_STREAM_BYTES
    COUNT_RETRIES
    COUNTERS

COUNTER_NAMES = ("sent", "sent_bytes", "delivered", "lost", "ticks", "entries", "streams",
                 "stream_bytes", "retries")
assert len(COUNTER_NAMES) == COUNTERS

cdef struct violation_t:
    int code
    uint32_t node
    uint32_t about
    int64_t at
    shadow_t before
    seen_t now

cdef struct world_t:
    int64_t now
    rng_t rng
    heap_t heap
    node_t* nodes
    uint32_t count
    uint32_t capacity
    uint32_t* slots             # the node at each address, or NONE
    uint32_t slot_count
    uint32_t slot_capacity
    pipe_t* pipes
    uint32_t pipe_count
    uint32_t pipe_capacity
    uint32_t free_pipe          # NONE, or one whose next is in nodes[0]
    batch_t* out
    # The network.
    double loss                 # of datagrams
    double stream_loss          # of segments
    double duplicates
    double reordered
    double replays              # of a datagram, up to REPLAY_NS later
    double resets               # of a stream, at each write
    bint pieces                 # writes of streams are cut at random
    int64_t reorder_ns
    uint32_t mtu
    uint32_t socket_bytes       # that wait at most; 0: no bound
    delay_t[ZONES][ZONES] delays
    uint8_t[SIDES][SIDES] cuts
    links_t links
    # What is noted.
    uint64_t[COUNTERS] counts
    uint64_t[TOLD_OTHER + 1] told
    uint32_t log_kinds          # a bit a kind
    record_t* log
    uint32_t log_count
    uint32_t log_capacity
    uint8_t* trace
    uint32_t trace_used
    void* hasher
    # The checks.
    uint32_t check_every        # entries of a node between two looks at it; 0: none
    int64_t forget_ns           # how long the gone must be remembered at least
    violation_t violation
    bint stop                   # Python is wanted
    bint failed                 # no memory


cdef inline double unit(world_t* w) noexcept nogil:
    """A number of [0, 1)."""
    return <double>(rng_draw(&w.rng) >> 11) * (1.0 / 9007199254740992.0)


cdef inline bint happens(world_t* w, double probability) noexcept nogil:
    return probability > 0 and unit(w) < probability


cdef int64_t delay_of(world_t* w, const delay_t* delay) noexcept nogil:
    cdef int64_t span = delay.high_ns - delay.low_ns
    if delay.kind == DELAY_EXPONENTIAL:
        return delay.low_ns + <int64_t>(-log(1.0 - unit(w)) * <double>delay.high_ns)
    if delay.kind == DELAY_UNIFORM and span > 0:
        return delay.low_ns + <int64_t>(unit(w) * <double>span)
    return delay.low_ns


cdef inline uint32_t slot_of(const addr_t* address) noexcept nogil:
    """The number that an address stands for; NONE when it is none of ours."""
    cdef const uint8_t* tail = &address.ip[1] if address.len == 4 else &address.ip[13]
    if address.ip[0] != (10 if address.len == 4 else 0xfd) or address.len == 0:
        return NONE
    return (<uint32_t>tail[0] << 16) | (<uint32_t>tail[1] << 8) | <uint32_t>tail[2]


cdef inline uint32_t node_at(const world_t* w, uint32_t slot) noexcept nogil:
    return w.slots[slot] if slot < w.slot_count else NONE


cdef inline void plan(world_t* w, int64_t at, uint8_t kind, uint32_t node, uint32_t pipe,
                      uint8_t end, parcel_t* parcel) noexcept nogil:
    cdef happening_t item
    item.at = at if at > w.now else w.now
    item.kind = kind
    item.node = node
    item.pipe = pipe
    item.end = end
    item.parcel = parcel
    if pipe != NONE:
        w.pipes[pipe].on_the_way += 1
    if not heap_push(&w.heap, &item):
        free(parcel)
        w.failed = True


# --- the trace ----------------------------------------------------------------------------------

cdef extern from "Python.h":
    object PyMemoryView_FromMemory(char* at, Py_ssize_t size, int flags)
    int PyBUF_READ

cdef void trace_flush(world_t* w) noexcept with gil:
    """Hands what was noted to the hash."""
    if w.trace_used:
        (<object>w.hasher).update(
            PyMemoryView_FromMemory(<char*>w.trace, w.trace_used, PyBUF_READ))
        w.trace_used = 0


cdef inline void trace_put(world_t* w, const void* data, uint32_t size) noexcept nogil:
    cdef uint32_t part
    cdef const uint8_t* at = <const uint8_t*>data
    while size:
        if w.trace_used == TRACE_BYTES:
            trace_flush(w)
        part = min(size, TRACE_BYTES - w.trace_used)
        memcpy(&w.trace[w.trace_used], at, part)
        w.trace_used += part
        at = &at[part]
        size -= part


cdef void trace(world_t* w, uint32_t what, uint32_t node, uint32_t other,
                const uint8_t* data, uint32_t size) noexcept nogil:
    cdef uint32_t[6] head
    head[0] = <uint32_t>w.now
    head[1] = <uint32_t>(w.now >> 32)
    head[2] = what
    head[3] = node
    head[4] = other
    head[5] = size
    trace_put(w, head, sizeof(head))
    trace_put(w, data, size)
