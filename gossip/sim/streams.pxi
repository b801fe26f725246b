# streams.pxi: streams as users know them from Linux's TCP: in order, sent again when lost, and
# given up in the end. The bytes of one write travel as one segment, or are cut at random. What a
# core does with a stream stands in motion.pxi.
#
# Each direction of a stream is a flow. Its segments leave at once as long as all goes well. What is
# lost, or cut off, or not acknowledged because nothing comes back, is tried again after 200 ms,
# then after twice that, and so on; until then all that is written waits behind it. The engine knows
# whether an acknowledgement would come, so none is sent, and a single one that is lost is none: the
# next says the same. A reset is sent once and not repeated.

cdef enum:
    RETRY_NS = 200000000            # Linux's least
    RETRY_DIAL_NS = 1000000000      # before there is a connection
    TRIES_DATA = 15                 # tcp_retries2: given up after 924.6 s
    TRIES_CLOSED = 8                # tcp_orphan_retries: of what a closed end has left, 102.2 s
    TRIES_DIAL = 6                  # tcp_syn_retries: 127 s
    TRIES_ANSWER = 5                # tcp_synack_retries: 63 s

cdef int64_t RETRY_MAX_NS = 120000000000


# --- pipes --------------------------------------------------------------------------------------

cdef uint32_t* pipe_place(world_t* w, uint32_t node, uint32_t stream) noexcept nogil:
    """Where a node's pipe of that stream is kept; NULL without memory."""
    cdef uint32_t* pipes = w.nodes[node].pipes
    cdef uint32_t at
    if pipes == NULL:
        pipes = <uint32_t*>malloc(PIPES_OF_A_NODE * sizeof(uint32_t))
        if pipes == NULL:
            return NULL
        for at in range(PIPES_OF_A_NODE):
            pipes[at] = NONE
        w.nodes[node].pipes = pipes
    return &pipes[stream % PIPES_OF_A_NODE]


cdef uint32_t pipe_new(world_t* w) noexcept nogil:
    """A pipe of no use yet; NONE without memory."""
    cdef uint32_t number = w.free_pipe, capacity
    cdef pipe_t* pipes
    if number != NONE:
        w.free_pipe = w.pipes[number].nodes[0]
    else:
        if w.pipe_count == w.pipe_capacity:
            capacity = max(<uint32_t>64, 2 * w.pipe_capacity)
            pipes = <pipe_t*>realloc(w.pipes, capacity * sizeof(pipe_t))
            if pipes == NULL:
                w.failed = True
                return NONE
            w.pipes = pipes
            w.pipe_capacity = capacity
        number = w.pipe_count
        w.pipe_count += 1
    memset(&w.pipes[number], 0, sizeof(pipe_t))
    w.pipes[number].used = True
    return number


cdef void flow_clear(flow_t* flow) noexcept nogil:
    """Forgets what waits there to be sent."""
    cdef segment_t* segment
    while flow.first != NULL:
        segment = flow.first
        flow.first = segment.next
        free(segment.parcel)
        free(segment)
    flow.unacked = False


cdef void pipe_release(world_t* w, uint32_t number) noexcept nogil:
    """Frees a pipe that both ends have closed and nothing travels on; for what waits there to be
    sent again a retry is planned."""
    cdef pipe_t* pipe = &w.pipes[number]
    if pipe.used and not (pipe.open[0] or pipe.open[1] or pipe.on_the_way):
        pipe.used = False
        pipe.nodes[0] = w.free_pipe
        w.free_pipe = number


cdef uint8_t end_of(const world_t* w, uint32_t number, uint32_t node,
                    uint32_t stream) noexcept nogil:
    cdef const pipe_t* pipe = &w.pipes[number]
    return 0 if pipe.nodes[0] == node and pipe.streams[0] == stream else 1


# --- flows: the direction towards an end ---------------------------------------------------------

cdef bint gets_through(world_t* w, const pipe_t* pipe, uint8_t end) noexcept nogil:
    """Whether a segment that is sent now does; nobody answers at an address that was left."""
    cdef uint32_t source = pipe.nodes[1 - end], target = pipe.nodes[end]
    return (w.nodes[target].slot == pipe.slots[end] and passes(w, source, target, CUT_STREAMS)
            and not is_lost(w, source, target, w.stream_loss))


cdef void send_on(world_t* w, uint32_t number, uint8_t end, uint8_t kind, int64_t leaves,
                  parcel_t* parcel) noexcept nogil:
    """A segment that gets through; none overtakes another."""
    cdef pipe_t* pipe = &w.pipes[number]
    cdef int64_t at = travel(w, pipe.nodes[1 - end], pipe.nodes[end], max(leaves, w.now))
    pipe.flows[end].arrives = max(pipe.flows[end].arrives, at)
    plan(w, pipe.flows[end].arrives, kind, pipe.nodes[end], number, end, parcel)


cdef void send_first(world_t* w, uint32_t number, uint8_t end) noexcept nogil:
    """The oldest segment that waits gets through; whether that is acknowledged is seen, too."""
    cdef pipe_t* pipe = &w.pipes[number]
    cdef flow_t* flow = &pipe.flows[end]
    cdef segment_t* segment = flow.first
    flow.first = segment.next
    send_on(w, number, end, segment.kind, segment.leaves, segment.parcel)
    free(segment)
    if is_silent(w, pipe.nodes[end], pipe.nodes[1 - end]):
        flow.unacked = True


cdef void plan_retry(world_t* w, uint32_t number, uint8_t end) noexcept nogil:
    cdef pipe_t* pipe = &w.pipes[number]
    cdef flow_t* flow = &pipe.flows[end]
    cdef int64_t wait = RETRY_NS if pipe.opened else RETRY_DIAL_NS
    if not flow.planned:
        flow.planned = True
        plan(w, w.now + min(wait << flow.tries, RETRY_MAX_NS), HAPPENS_RETRY, pipe.nodes[1 - end],
             number, end, NULL)


cdef void flow_on(world_t* w, uint32_t number, uint8_t end) noexcept nogil:
    """Sends what waits, until something is lost."""
    cdef pipe_t* pipe = &w.pipes[number]
    cdef flow_t* flow = &pipe.flows[end]
    while flow.first != NULL and not flow.held:
        if gets_through(w, pipe, end):
            send_first(w, number, end)
        else:
            flow.held = True
    if flow.held or flow.unacked:
        plan_retry(w, number, end)


cdef uint8_t most_tries(const pipe_t* pipe, uint8_t end) noexcept nogil:
    if not pipe.opened:
        return TRIES_DIAL if end == 1 else TRIES_ANSWER
    return TRIES_DATA if pipe.open[1 - end] else TRIES_CLOSED


cdef void give_up(world_t* w, uint32_t number, uint8_t end) noexcept nogil:
    """What goes to that end never gets there; who sent it is told."""
    cdef pipe_t* pipe = &w.pipes[number]
    flow_clear(&pipe.flows[end])
    pipe.mute[1 - end] = True
    if pipe.open[1 - end]:
        plan(w, w.now, HAPPENS_TIMED_OUT, pipe.nodes[1 - end], number, 1 - end, NULL)


cdef void retry(world_t* w, uint32_t number, uint8_t end) noexcept nogil:
    """The time for an acknowledgement is over: the oldest segment without one is sent again."""
    cdef pipe_t* pipe = &w.pipes[number]
    cdef flow_t* flow = &pipe.flows[end]
    flow.planned = False
    flow.held = flow.first != NULL or flow.unacked
    if flow.held and flow.tries >= most_tries(pipe, end):
        give_up(w, number, end)
    elif flow.held:
        w.counts[COUNT_RETRIES] += 1
        flow.tries += 1
        if gets_through(w, pipe, end):
            if not flow.unacked:
                send_first(w, number, end)
            if not is_silent(w, pipe.nodes[end], pipe.nodes[1 - end]):
                flow.unacked = False
                flow.held = False
                flow.tries = 0
        flow_on(w, number, end)


cdef void forward(world_t* w, uint32_t number, uint8_t end, uint8_t kind,
                  parcel_t* parcel) noexcept nogil:
    """Something of a stream towards an end, behind all that waits to get there."""
    cdef pipe_t* pipe = &w.pipes[number]
    cdef flow_t* flow = &pipe.flows[end]
    cdef segment_t* segment
    if pipe.mute[1 - end]:
        free(parcel)
        return
    segment = <segment_t*>malloc(sizeof(segment_t))
    if segment == NULL:
        free(parcel)
        w.failed = True
        return
    segment.next = NULL
    segment.parcel = parcel
    segment.kind = kind
    segment.leaves = departs(w, &w.nodes[pipe.nodes[1 - end]])
    if flow.first == NULL:
        flow.first = segment
    else:
        flow.last.next = segment
    flow.last = segment
    flow_on(w, number, end)


cdef void forward_reset(world_t* w, uint32_t number, uint8_t end, uint8_t kind) noexcept nogil:
    """The system at the other end knows nothing of the stream any more, and says so once."""
    cdef pipe_t* pipe = &w.pipes[number]
    flow_clear(&pipe.flows[end])
    pipe.mute[1 - end] = True
    if gets_through(w, pipe, end):
        send_on(w, number, end, kind, departs(w, &w.nodes[pipe.nodes[1 - end]]), NULL)


cdef void break_off(world_t* w, uint32_t number) noexcept nogil:
    """Somebody between them resets the stream at both ends."""
    cdef pipe_t* pipe = &w.pipes[number]
    cdef int end
    for end in range(2):
        flow_clear(&pipe.flows[end])
        pipe.mute[end] = True
        if pipe.open[end]:
            plan(w, travel(w, pipe.nodes[1 - end], pipe.nodes[end], w.now), HAPPENS_RESET,
                 pipe.nodes[end], number, <uint8_t>end, NULL)


# --- what a core asks for -----------------------------------------------------------------------

cdef void dial(world_t* w, uint32_t node, const command_t* command) noexcept nogil:
    cdef uint32_t slot = slot_of(&command.peer)
    cdef uint32_t target = node_at(w, slot)
    cdef uint32_t* place = pipe_place(w, node, command.stream)
    cdef uint32_t number
    cdef pipe_t* pipe
    if target == NONE or w.nodes[target].slot != slot or place == NULL:
        return                              # nobody answers; the core stops waiting
    number = pipe_new(w)
    if number == NONE:
        return
    w.counts[COUNT_STREAMS] += 1
    place[0] = number
    pipe = &w.pipes[number]
    pipe.nodes[0] = node
    pipe.nodes[1] = target
    pipe.slots[0] = w.nodes[node].slot
    pipe.slots[1] = slot
    pipe.streams[0] = command.stream
    pipe.open[0] = True
    pipe.known[0] = True
    forward(w, number, 1, HAPPENS_DIAL, NULL)


cdef void write_stream(world_t* w, uint32_t node, const command_t* command) noexcept nogil:
    cdef uint32_t* place = pipe_place(w, node, command.stream)
    cdef parcel_t* parcel
    cdef uint32_t at = 0, size = <uint32_t>command.bytes.len, part
    cdef uint8_t end
    if place == NULL or place[0] == NONE:
        return
    end = end_of(w, place[0], node, command.stream)
    w.counts[COUNT_STREAM_BYTES] += size
    if happens(w, w.resets):
        break_off(w, place[0])
        return
    while at < size:
        part = 1 + rng_pick(&w.rng, size - at) if w.pieces else size - at
        parcel = parcel_new(&command.bytes.data[at], part, &w.nodes[node].address)
        if parcel == NULL:
            w.failed = True
            return
        at += part
        forward(w, place[0], 1 - end, HAPPENS_BYTES, parcel)


cdef void close_end(world_t* w, uint32_t number, uint8_t end, uint8_t kind) noexcept nogil:
    """One end is done with the stream; the other is told."""
    cdef pipe_t* pipe = &w.pipes[number]
    cdef flow_t* flow = &pipe.flows[1 - end]
    cdef uint32_t* place
    if not pipe.open[end]:
        return
    pipe.open[end] = False
    place = pipe_place(w, pipe.nodes[end], pipe.streams[end])
    if place != NULL and place[0] == number:
        place[0] = NONE
    if flow.first != NULL and flow.first.kind == HAPPENS_DIAL:
        flow_clear(flow)                    # nobody has heard of it, nor will
    elif kind == HAPPENS_RESET:
        forward_reset(w, number, 1 - end, kind)
    elif pipe.open[1 - end] or not pipe.known[1]:
        forward(w, number, 1 - end, kind, NULL)
    pipe_release(w, number)


cdef void close_stream(world_t* w, uint32_t node, uint32_t stream) noexcept nogil:
    cdef uint32_t* place = pipe_place(w, node, stream)
    if place != NULL and place[0] != NONE:
        close_end(w, place[0], end_of(w, place[0], node, stream), HAPPENS_END)


cdef void drop_streams(world_t* w, uint32_t node) noexcept nogil:
    """The process is gone: its system resets what was open."""
    cdef uint32_t at, number
    if w.nodes[node].pipes == NULL:
        return
    for at in range(PIPES_OF_A_NODE):
        number = w.nodes[node].pipes[at]
        if number != NONE:
            w.nodes[node].pipes[at] = NONE
            close_end(w, number, 0 if w.pipes[number].nodes[0] == node else 1, HAPPENS_RESET)
