# motion.pxi: what moves the world: each thing that happens enters a core, and what the core then
# wants goes to the network.

cdef int64_t NEVER = INT64_MAX


cdef inline int64_t clock_of(const world_t* w, const node_t* node) noexcept nogil:
    return w.now + node.offset_ns


cdef void arm(world_t* w, uint32_t number) noexcept nogil:
    """Plans the next wake if it is sooner than the one planned; a later one is looked at then."""
    cdef node_t* node = &w.nodes[number]
    cdef int64_t at = swim_next_deadline(node.swim)
    if at == NEVER:
        return
    at = max(at - node.offset_ns, w.now)
    if at < node.armed:
        node.armed = at
        plan(w, at, HAPPENS_WAKE, number, NONE, 0, NULL)


cdef void note(world_t* w, uint32_t node, uint32_t about, const told_t* told) noexcept nogil:
    """Keeps an event of a kind that somebody asked for."""
    cdef record_t* log
    cdef uint32_t capacity
    if not w.log_kinds & (<uint32_t>1 << told.kind):
        return
    if w.log_count == w.log_capacity:
        capacity = max(<uint32_t>256, 2 * w.log_capacity)
        log = <record_t*>realloc(w.log, capacity * sizeof(record_t))
        if log == NULL:
            w.failed = True
            return
        w.log = log
        w.log_capacity = capacity
    w.log[w.log_count].at = w.now
    w.log[w.log_count].node = node
    w.log[w.log_count].about = about
    w.log[w.log_count].incarnation = told.incarnation
    w.log[w.log_count].kind = told.kind
    w.log_count += 1


cdef void hear_one(world_t* w, uint32_t number, const told_t* told) noexcept nogil:
    cdef uint32_t about = node_at(w, slot_of(&told.member)) if told.member.len else NONE
    w.told[told.kind] += 1
    if told.serf:
        trace(w, TRACE_SERF + told.serf, number, about, <const uint8_t*>&told.print,
              sizeof(told.print))
        check_serf_told(w, number, about, told)
        return
    if about == NONE:
        return
    trace(w, TRACE_TOLD + told.kind, number, about, NULL, 0)
    if about != number:
        check_told(w, number, about, told.kind)
    note(w, number, about, told)


cdef void hear(world_t* w, uint32_t number) noexcept nogil:
    """Notes a node's events, and calls Python to them where it wants them."""
    cdef node_t* node = &w.nodes[number]
    cdef uint64_t all_ = swim_told(node.swim)
    cdef told_t told
    node.heard = max(node.heard, all_ - swim_events(node.swim))
    while node.heard < all_:
        swim_look_event(node.swim, node.heard, &told)
        node.heard += 1
        hear_one(w, number, &told)
    if node.watched:
        w.stop = True
    else:
        swim_forget_events(node.swim)


cdef void obey(world_t* w, uint32_t number) noexcept nogil:
    cdef command_t command
    while swim_take_command(w.nodes[number].swim, &command):
        if command.kind == COMMAND_OPEN:
            dial(w, number, &command)
        elif command.kind == COMMAND_WRITE:
            write_stream(w, number, &command)
        else:
            close_stream(w, number, command.stream)
        command_free(&command)


cdef void after(world_t* w, uint32_t number) noexcept nogil:
    """The tail of every entry."""
    cdef node_t* node = &w.nodes[number]
    cdef uint32_t i
    for i in range(w.out.count):
        node.largest = max(node.largest, w.out.slots[i].len)
        send_datagram(w, number, &w.out.slots[i])
    w.out.count = 0
    w.out.used = 0
    obey(w, number)
    if swim_events(node.swim):
        hear(w, number)
    w.counts[COUNT_ENTRIES] += 1
    node.entries += 1
    if w.check_every and node.entries % w.check_every == 0:
        check_node(w, number)
    if node.slow_ns:
        node.busy_until = max(node.busy_until, w.now) + node.slow_ns
    arm(w, number)


cdef void wake(world_t* w, uint32_t number) noexcept nogil:
    cdef node_t* node = &w.nodes[number]
    cdef uint64_t probes, gossips
    if not node.up or node.armed > w.now:
        return
    node.armed = NEVER
    if node.pause == PAUSE_FROZEN:
        return                              # the thaw looks again
    if node.busy_until > w.now:
        node.armed = node.busy_until
        plan(w, node.busy_until, HAPPENS_WAKE, number, NONE, 0, NULL)
        return
    w.counts[COUNT_TICKS] += 1
    probes = swim_probe_sends(node.swim)
    gossips = swim_gossips(node.swim)
    swim_tick(node.swim, clock_of(w, node), w.out)
    if node.pause == PAUSE_BLOCKED:
        # memberlist probes and gossips in threads of their own: each stands still in its own send.
        if swim_gossips(node.swim) != gossips:
            swim_pause_gossip(node.swim, True)
        if swim_probe_sends(node.swim) != probes:
            swim_hold_probe(node.swim)
            node.stuck = True
    after(w, number)


cdef void thaw(world_t* w, uint32_t number) noexcept nogil:
    """What the clock brought comes first, then what lay in the socket."""
    cdef node_t* node = &w.nodes[number]
    if not node.up or node.pause == PAUSE_NONE or node.paused_until > w.now:
        return
    node.pause = PAUSE_NONE
    node.armed = w.now
    swim_pause_gossip(node.swim, False)
    if node.stuck:
        node.stuck = False
        swim_release_probe(node.swim, clock_of(w, node))
    wake(w, number)
    plan_serve(w, number)


cdef void arrive(world_t* w, uint32_t number, const happening_t* item) noexcept nogil:
    cdef node_t* node = &w.nodes[number]
    cdef slot_t slot
    cdef batch_t batch
    slot.data = parcel_bytes(item.parcel)
    slot.len = item.parcel.len
    slot.cap = item.parcel.len
    slot.peer = item.parcel.source
    memset(&batch, 0, sizeof(batch))
    batch.slots = &slot
    batch.count = 1
    batch.capacity = 1
    w.counts[COUNT_DELIVERED] += 1
    trace(w, HAPPENS_ARRIVAL, number, slot_of(&slot.peer), slot.data, slot.len)
    swim_receive(node.swim, &batch, clock_of(w, node), w.out)
    after(w, number)


# --- streams ------------------------------------------------------------------------------------

cdef void answer_dial(world_t* w, uint32_t number, uint32_t pipe_) noexcept nogil:
    """Somebody connects to this node."""
    cdef node_t* node = &w.nodes[number]
    cdef uint32_t stream = 0
    cdef uint32_t* place
    cdef pipe_t* pipe = &w.pipes[pipe_]
    if not node.up:
        forward_reset(w, pipe_, 0, HAPPENS_REFUSED)
        return
    if not swim_accept(node.swim, &w.nodes[pipe.nodes[0]].address, clock_of(w, node), w.out,
                       &stream):
        forward_reset(w, pipe_, 0, HAPPENS_RESET)
        return
    place = pipe_place(w, number, stream)
    if place == NULL:
        w.failed = True
        return
    place[0] = pipe_
    pipe.streams[1] = stream
    pipe.open[1] = True
    pipe.known[1] = True
    forward(w, pipe_, 0, HAPPENS_ACCEPTED, NULL)
    after(w, number)


cdef void carry_on(world_t* w, const happening_t* item) noexcept nogil:
    """The next thing that happens at one end of a stream."""
    cdef pipe_t* pipe = &w.pipes[item.pipe]
    cdef uint32_t number = pipe.nodes[item.end]
    cdef uint32_t stream = pipe.streams[item.end]
    cdef node_t* node = &w.nodes[number]
    cdef int64_t now = clock_of(w, node)
    if node.slot != pipe.slots[item.end]:
        return                              # nobody is there any more
    if item.kind == HAPPENS_DIAL:
        answer_dial(w, number, item.pipe)
        return
    if item.kind == HAPPENS_RESET or item.kind == HAPPENS_REFUSED:
        flow_clear(&pipe.flows[1 - item.end])
        pipe.mute[item.end] = True
    if not pipe.open[item.end] or not node.up:
        if item.kind == HAPPENS_ACCEPTED or item.kind == HAPPENS_BYTES:
            forward_reset(w, item.pipe, 1 - item.end, HAPPENS_RESET)
        return
    if item.kind == HAPPENS_ACCEPTED:
        pipe.opened = True
        swim_opened(node.swim, stream, now, w.out)
    elif item.kind == HAPPENS_BYTES:
        trace(w, HAPPENS_BYTES, number, slot_of(&item.parcel.source), parcel_bytes(item.parcel),
              item.parcel.len)
        swim_streamed(node.swim, stream, parcel_bytes(item.parcel), item.parcel.len, now, w.out)
    elif item.kind == HAPPENS_END:
        swim_ended(node.swim, stream, now, w.out)
    elif item.kind == HAPPENS_REFUSED:
        swim_failed(node.swim, stream, b"connection refused", now, w.out)
    elif item.kind == HAPPENS_TIMED_OUT:
        swim_failed(node.swim, stream, b"connection timed out", now, w.out)
    else:
        swim_failed(node.swim, stream, b"connection reset by peer", now, w.out)
    after(w, number)


# --- one step -----------------------------------------------------------------------------------

cdef inline bint anything_waits(const node_t* node) noexcept nogil:
    return node.datagrams.first != NULL or node.streams.first != NULL


cdef void plan_serve(world_t* w, uint32_t number) noexcept nogil:
    """Has a node that runs take the next of what waits when it is free."""
    cdef node_t* node = &w.nodes[number]
    if anything_waits(node) and not node.serving and node.pause == PAUSE_NONE:
        node.serving = True
        plan(w, node.busy_until, HAPPENS_SERVE, number, NONE, 0, NULL)


cdef bint waits(world_t* w, uint32_t number, const happening_t* item) noexcept nogil:
    """Whether something came to a node that is paused or busy: it waits in its socket, or is lost
    where that is full."""
    cdef node_t* node = &w.nodes[number]
    cdef inbox_t* inbox = &node.streams
    cdef queued_t* queued
    cdef uint32_t size
    if not node.up or (node.pause == PAUSE_NONE and not anything_waits(node)
                       and node.busy_until <= w.now):
        return False
    if item.kind == HAPPENS_ARRIVAL:
        inbox = &node.datagrams
        size = item.parcel.len + SOCKET_OVERHEAD
        if w.socket_bytes and node.inbox_bytes + size > w.socket_bytes:
            w.counts[COUNT_LOST] += 1
            free(item.parcel)
            return True
        node.inbox_bytes += size
    queued = <queued_t*>malloc(sizeof(queued_t))
    if queued == NULL:
        w.failed = True
        return False
    queued.next = NULL
    queued.item = item[0]
    if inbox.first == NULL:
        inbox.first = queued
    else:
        inbox.last.next = queued
    inbox.last = queued
    plan_serve(w, number)
    return True


cdef bint take_queued(node_t* node, happening_t* item) noexcept nogil:
    """The next of what waits: datagrams and streams take turns, neither stands behind the other."""
    cdef inbox_t* inbox = &node.streams if node.streams_next else &node.datagrams
    cdef queued_t* queued
    if inbox.first == NULL:
        inbox = &node.datagrams if node.streams_next else &node.streams
    queued = inbox.first
    if queued == NULL:
        return False
    node.streams_next = inbox == &node.datagrams
    item[0] = queued.item
    inbox.first = queued.next
    if item.kind == HAPPENS_ARRIVAL:
        node.inbox_bytes -= item.parcel.len + SOCKET_OVERHEAD
    free(queued)
    return True


cdef void serve(world_t* w, uint32_t number) noexcept nogil:
    """Takes what waits, as far as the node is free; first what the clock brought."""
    cdef node_t* node = &w.nodes[number]
    cdef happening_t item
    node.serving = False
    wake(w, number)
    while (node.up and node.pause == PAUSE_NONE and node.busy_until <= w.now and not w.stop
            and take_queued(node, &item)):
        take(w, number, &item)
    if node.up:
        plan_serve(w, number)


cdef void drop_inbox(world_t* w, uint32_t number) noexcept nogil:
    cdef happening_t item
    while take_queued(&w.nodes[number], &item):
        if item.kind != HAPPENS_ARRIVAL:
            w.pipes[item.pipe].on_the_way -= 1
            pipe_release(w, item.pipe)
        free(item.parcel)


cdef void take(world_t* w, uint32_t number, happening_t* item) noexcept nogil:
    """Something from the network enters a node."""
    if item.kind == HAPPENS_ARRIVAL:
        arrive(w, number, item)
    else:
        w.pipes[item.pipe].on_the_way -= 1
        carry_on(w, item)
        pipe_release(w, item.pipe)
    free(item.parcel)


cdef void step(world_t* w) noexcept nogil:
    """The next thing happens."""
    cdef happening_t item
    cdef uint32_t number
    heap_pop(&w.heap, &item)
    w.now = item.at
    if item.kind == HAPPENS_WAKE:
        wake(w, item.node)
    elif item.kind == HAPPENS_THAW:
        thaw(w, item.node)
    elif item.kind == HAPPENS_SERVE:
        serve(w, item.node)
    elif item.kind == HAPPENS_ARRIVAL:
        number = node_at(w, item.node)
        if number == NONE or not w.nodes[number].up or w.nodes[number].slot != item.node:
            w.counts[COUNT_LOST] += 1
            free(item.parcel)
        elif not waits(w, number, &item):
            take(w, number, &item)
    elif item.kind == HAPPENS_RETRY:
        w.pipes[item.pipe].on_the_way -= 1
        retry(w, item.pipe, item.end)
        pipe_release(w, item.pipe)
    else:
        number = w.pipes[item.pipe].nodes[item.end]
        if not waits(w, number, &item):
            take(w, number, &item)


cdef void run_until(world_t* w, int64_t until) noexcept nogil:
    """Until then, or until Python is wanted."""
    w.stop = False
    while w.heap.count and w.heap.items[0].at <= until and not (w.stop or w.failed):
        step(w)
    if not (w.stop or w.failed):
        w.now = max(w.now, until)
