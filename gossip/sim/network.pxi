# network.pxi: what becomes of a datagram and of a stream between two nodes.

cdef inline int64_t departs(const world_t* w, const node_t* node) noexcept nogil:
    """When what a node sends now leaves it."""
    return node.paused_until if node.pause == PAUSE_BLOCKED else w.now


cdef inline bint passes(world_t* w, uint32_t source, uint32_t target, uint8_t kind) noexcept nogil:
    cdef link_t* link
    if w.cuts[w.nodes[source].side][w.nodes[target].side] & kind:
        return False
    link = link_find(&w.links, source, target)
    if link == NULL:
        return True
    return not (link.cut_datagrams if kind == CUT_DATAGRAMS else link.cut_streams)


cdef inline bint is_lost(world_t* w, uint32_t source, uint32_t target) noexcept nogil:
    cdef link_t* link = link_find(&w.links, source, target)
    return (happens(w, w.loss) or happens(w, w.nodes[source].loss_out)
            or happens(w, w.nodes[target].loss_in)
            or (link != NULL and happens(w, link.loss)))


cdef inline int64_t travel(world_t* w, uint32_t source, uint32_t target,
                           int64_t leaves) noexcept nogil:
    """When something that leaves then arrives."""
    cdef link_t* link = link_find(&w.links, source, target)
    cdef int64_t at = leaves + delay_of(
        w, &w.delays[w.nodes[source].zone][w.nodes[target].zone])
    if link != NULL:
        at += link.delay_ns
        if leaves < link.clogged_until and at < link.clogged_until:
            at = link.clogged_until
    return at


cdef inline int64_t through_the_line(world_t* w, node_t* node, uint32_t size,
                                     int64_t leaves) noexcept nogil:
    """When it has left a line of limited rate; -1: more than a second waits there already."""
    if node.rate == 0:
        return leaves
    if node.line_free > leaves + 1000000000:
        return -1
    node.line_free = max(node.line_free, leaves) + <int64_t>size * 1000000000 // node.rate
    return node.line_free


cdef void send_parcel(world_t* w, uint32_t source, uint32_t slot, const uint8_t* data,
                      uint32_t size) noexcept nogil:
    """One copy of a datagram on its way, if the network takes it."""
    cdef node_t* node = &w.nodes[source]
    cdef uint32_t target = node_at(w, slot)
    cdef int64_t at = through_the_line(w, node, size, departs(w, node))
    cdef parcel_t* parcel
    if (target == NONE or size > w.mtu or at < 0
            or not passes(w, source, target, CUT_DATAGRAMS) or is_lost(w, source, target)):
        w.counts[COUNT_LOST] += 1
        return
    parcel = parcel_new(data, size, &node.address)
    if parcel == NULL:
        w.failed = True
        return
    at = travel(w, source, target, at)
    if happens(w, w.reordered):
        at += <int64_t>(unit(w) * <double>w.reorder_ns)
    plan(w, at, HAPPENS_ARRIVAL, slot, NONE, 0, parcel)


cdef void send_datagram(world_t* w, uint32_t source, slot_t* packet) noexcept nogil:
    cdef uint32_t slot = slot_of(&packet.peer)
    w.counts[COUNT_SENT] += 1
    w.counts[COUNT_SENT_BYTES] += packet.len
    send_parcel(w, source, slot, packet.data, packet.len)
    if happens(w, w.duplicates):
        send_parcel(w, source, slot, packet.data, packet.len)


# --- streams ------------------------------------------------------------------------------------

cdef enum:
    RETRANSMIT_NS = 200000000
    RETRANSMITS = 6


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


cdef void pipe_release(world_t* w, uint32_t number) noexcept nogil:
    """Frees a pipe that both ends have closed and nothing travels on."""
    cdef pipe_t* pipe = &w.pipes[number]
    if pipe.used and not (pipe.open[0] or pipe.open[1] or pipe.on_the_way):
        pipe.used = False
        pipe.nodes[0] = w.free_pipe
        w.free_pipe = number


cdef uint8_t end_of(const world_t* w, uint32_t number, uint32_t node,
                    uint32_t stream) noexcept nogil:
    cdef const pipe_t* pipe = &w.pipes[number]
    return 0 if pipe.nodes[0] == node and pipe.streams[0] == stream else 1


cdef int64_t stream_travel(world_t* w, pipe_t* pipe, uint8_t end) noexcept nogil:
    """When bytes sent now reach that end: in order, and later for each copy that is lost."""
    cdef uint32_t source = pipe.nodes[1 - end], target = pipe.nodes[end]
    cdef int64_t at = departs(w, &w.nodes[source])
    cdef int64_t wait = RETRANSMIT_NS
    cdef int tries
    for tries in range(RETRANSMITS):
        if not is_lost(w, source, target):
            break
        at += wait
        wait *= 2
    at = max(travel(w, source, target, at), pipe.arrives[end])
    pipe.arrives[end] = at
    return at


cdef void forward(world_t* w, uint32_t number, uint8_t end, uint8_t kind,
                  parcel_t* parcel) noexcept nogil:
    """Something of a stream towards an end. What a cut swallows breaks the stream for good: that it
    might be sent again after a heal is left out, the core's time-outs come first."""
    cdef pipe_t* pipe = &w.pipes[number]
    if pipe.broken or not passes(w, pipe.nodes[1 - end], pipe.nodes[end], CUT_STREAMS):
        pipe.broken = True
        free(parcel)
        return
    plan(w, stream_travel(w, pipe, end), kind, pipe.nodes[end], number, end, parcel)


cdef void dial(world_t* w, uint32_t node, const command_t* command) noexcept nogil:
    cdef uint32_t target = node_at(w, slot_of(&command.peer))
    cdef uint32_t* place = pipe_place(w, node, command.stream)
    cdef uint32_t number
    cdef pipe_t* pipe
    if target == NONE or place == NULL:
        return                              # nobody answers; the core stops waiting
    number = pipe_new(w)
    if number == NONE:
        return
    w.counts[COUNT_STREAMS] += 1
    place[0] = number
    pipe = &w.pipes[number]
    pipe.nodes[0] = node
    pipe.nodes[1] = target
    pipe.streams[0] = command.stream
    pipe.open[0] = True
    pipe.known[0] = True
    forward(w, number, 1, HAPPENS_DIAL, NULL)


cdef void write_stream(world_t* w, uint32_t node, const command_t* command) noexcept nogil:
    cdef uint32_t* place = pipe_place(w, node, command.stream)
    cdef parcel_t* parcel
    cdef uint8_t end
    if place == NULL or place[0] == NONE:
        return
    end = end_of(w, place[0], node, command.stream)
    parcel = parcel_new(command.bytes.data, <uint32_t>command.bytes.len, &w.nodes[node].address)
    if parcel == NULL:
        w.failed = True
        return
    w.counts[COUNT_STREAM_BYTES] += command.bytes.len
    forward(w, place[0], 1 - end, HAPPENS_BYTES, parcel)


cdef void close_end(world_t* w, uint32_t number, uint8_t end, uint8_t kind) noexcept nogil:
    """One end is done with the stream; the other is told."""
    cdef pipe_t* pipe = &w.pipes[number]
    cdef uint32_t* place
    if not pipe.open[end]:
        return
    pipe.open[end] = False
    place = pipe_place(w, pipe.nodes[end], pipe.streams[end])
    if place != NULL and place[0] == number:
        place[0] = NONE
    if pipe.open[1 - end] or not pipe.known[1]:
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
