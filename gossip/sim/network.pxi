# network.pxi: what becomes of a datagram between two nodes, and what any way between two is like.

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


cdef inline bint is_lost(world_t* w, uint32_t source, uint32_t target,
                         double everywhere) noexcept nogil:
    """By the loss of all links, which datagrams and segments may have their own of, and by those of
    these two nodes."""
    cdef link_t* link = link_find(&w.links, source, target)
    return (happens(w, everywhere) or happens(w, w.nodes[source].loss_out)
            or happens(w, w.nodes[target].loss_in)
            or (link != NULL and happens(w, link.loss)))


cdef inline bint is_silent(world_t* w, uint32_t source, uint32_t target) noexcept nogil:
    """Whether nothing of a stream gets from one to the other at all."""
    cdef link_t* link = link_find(&w.links, source, target)
    return (not passes(w, source, target, CUT_STREAMS) or w.stream_loss >= 1
            or w.nodes[source].loss_out >= 1 or w.nodes[target].loss_in >= 1
            or (link != NULL and link.loss >= 1))


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
                      uint32_t size, int64_t late_ns) noexcept nogil:
    """One copy of a datagram on its way, if the network takes it."""
    cdef node_t* node = &w.nodes[source]
    cdef uint32_t target = node_at(w, slot)
    cdef int64_t at = through_the_line(w, node, size, departs(w, node))
    cdef parcel_t* parcel
    if (target == NONE or size > w.mtu or at < 0
            or not passes(w, source, target, CUT_DATAGRAMS) or is_lost(w, source, target, w.loss)):
        w.counts[COUNT_LOST] += 1
        return
    parcel = parcel_new(data, size, &node.address)
    if parcel == NULL:
        w.failed = True
        return
    at = travel(w, source, target, at) + late_ns
    if happens(w, w.reordered):
        at += <int64_t>(unit(w) * <double>w.reorder_ns)
    plan(w, at, HAPPENS_ARRIVAL, slot, NONE, 0, parcel)


cdef void send_datagram(world_t* w, uint32_t source, slot_t* packet) noexcept nogil:
    cdef uint32_t slot = slot_of(&packet.peer)
    w.counts[COUNT_SENT] += 1
    w.counts[COUNT_SENT_BYTES] += packet.len
    send_parcel(w, source, slot, packet.data, packet.len, 0)
    if happens(w, w.duplicates):
        send_parcel(w, source, slot, packet.data, packet.len, 0)
    if happens(w, w.replays):
        send_parcel(w, source, slot, packet.data, packet.len,
                    <int64_t>(unit(w) * <double>REPLAY_NS))
