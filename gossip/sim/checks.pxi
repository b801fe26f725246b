# checks.pxi: what must hold of every node at every look, whatever the network does.
#
# From outside: the rows of the table and the events, and sums that must add up. What is not
# promised is that two nodes agree at any one moment; `agreed` says whether they do.

VIOLATIONS = (
    "", "a node holds itself neither alive nor, when it leaves, left",
    "a node's own incarnation went back",
    "a node's own metadata changed without a new incarnation",
    "an incarnation went back without a new address",
    "one that was dead or left changed without a newer incarnation",
    "a suspicion ended without a newer incarnation",
    "metadata changed without a newer incarnation",
    "an incarnation that the member itself never had",
    "metadata that the member itself never had at that incarnation",
    "a state that began in the future",
    "a member was forgotten that was neither dead nor left long enough",
    "the table's counts do not add up",
    "suspects, suspicions and their timers differ",
    "more than one timer of a kind",
    "the health score is out of its bounds",
    "more claims wait than there are members",
    "events and table differ",
    "a member that was told of twice, or of a state that cannot follow",
    "a member changed and nobody was told",
    "a packet larger than may be",
    "a Lamport clock went back",
    "the counts of Serf's table do not add up",
    "a Serf status that memberlist's state does not bear out",
    "a Serf member with other metadata or versions than memberlist's",
    "Serf's events and its table differ",
    "Serf told of a status that cannot follow",
    "a user event was told twice",
)

cdef enum Violation:
    BROKEN_NOTHING
    BROKEN_SELF
    BROKEN_OWN_INCARNATION
    BROKEN_OWN_META
    BROKEN_INCARNATION
    BROKEN_RESURRECTION
    BROKEN_REFUTATION
    BROKEN_META
    BROKEN_UNKNOWN_INCARNATION
    BROKEN_UNKNOWN_META
    BROKEN_FUTURE
    BROKEN_FORGOTTEN
    BROKEN_COUNTS
    BROKEN_SUSPICIONS
    BROKEN_TIMERS
    BROKEN_SCORE
    BROKEN_QUEUE
    BROKEN_EVENTS
    BROKEN_TOLD
    BROKEN_UNTOLD
    BROKEN_PACKET
    BROKEN_CLOCK
    BROKEN_SERF_COUNTS
    BROKEN_STATUS
    BROKEN_SERF_META
    BROKEN_SERF_EVENTS
    BROKEN_SERF_TOLD
    BROKEN_TWICE
    BROKEN_KINDS

assert len(VIOLATIONS) == BROKEN_KINDS


cdef void broken(world_t* w, int code, uint32_t node, uint32_t about, const shadow_t* before,
                 const seen_t* seen) noexcept nogil:
    """Notes the first violation and stops the run."""
    cdef violation_t* violation = &w.violation
    w.stop = True
    if violation.code:
        return
    violation.code = code
    violation.node = node
    violation.about = about
    violation.at = w.now
    if before != NULL:
        violation.before = before[0]
    if seen != NULL:
        violation.now = seen[0]


cdef shadow_t* shadow_of(world_t* w, uint32_t node, uint32_t about) noexcept nogil:
    """What the node held of the other one; NULL when nothing is checked, or without memory."""
    cdef node_t* looker = &w.nodes[node]
    if w.check_every == 0:
        return NULL
    if looker.shadows == NULL:
        looker.shadows = <shadow_t*>calloc(w.capacity, sizeof(shadow_t))
        if looker.shadows == NULL:
            w.failed = True
            return NULL
    return &looker.shadows[about]


# --- what a node says of itself -----------------------------------------------------------------

cdef void note_said(world_t* w, uint32_t node, uint32_t incarnation, uint64_t print) noexcept nogil:
    cdef node_t* speaker = &w.nodes[node]
    cdef said_t* said
    cdef uint32_t capacity, at = speaker.said_count
    while at:
        at -= 1
        if speaker.said[at].incarnation == incarnation and speaker.said[at].print == print:
            return
    if speaker.said_count == speaker.said_capacity:
        capacity = max(<uint32_t>8, 2 * speaker.said_capacity)
        said = <said_t*>realloc(speaker.said, capacity * sizeof(said_t))
        if said == NULL:
            w.failed = True
            return
        speaker.said = said
        speaker.said_capacity = capacity
    speaker.said[speaker.said_count].incarnation = incarnation
    speaker.said[speaker.said_count].print = print
    speaker.said_count += 1


cdef int was_said(const world_t* w, uint32_t node, uint32_t incarnation,
                  uint64_t print) noexcept nogil:
    """2: just so; 1: the incarnation, or a newer one; 0: never."""
    cdef const node_t* speaker = &w.nodes[node]
    cdef uint32_t at = speaker.said_count
    cdef int found = 0
    while at:
        at -= 1
        if speaker.said[at].incarnation == incarnation and speaker.said[at].print == print:
            return 2
        if speaker.said[at].incarnation >= incarnation:
            found = 1
    return found


cdef void check_self(world_t* w, uint32_t number, const seen_t* seen,
                     const gauges_t* gauges) noexcept nogil:
    cdef node_t* node = &w.nodes[number]
    cdef uint32_t incarnation
    if not (seen.state == MEMBER_ALIVE or (seen.state == MEMBER_LEFT and gauges.leaving)):
        broken(w, BROKEN_SELF, number, number, NULL, seen)
    if gauges.incarnation < node.incarnation:
        broken(w, BROKEN_OWN_INCARNATION, number, number, NULL, seen)
    if gauges.incarnation == node.incarnation and seen.print != node.print:
        broken(w, BROKEN_OWN_META, number, number, NULL, seen)
    node.print = seen.print
    # One entry may hold several refutations, and packets of each.
    incarnation = max(node.incarnation, min(gauges.incarnation, <uint32_t>1))
    if gauges.incarnation > incarnation and gauges.incarnation - incarnation < 64:
        incarnation += 1
        while incarnation < gauges.incarnation:
            note_said(w, number, incarnation, seen.print)
            incarnation += 1
    note_said(w, number, gauges.incarnation, seen.print)
    node.incarnation = gauges.incarnation


# --- what a node holds of another ---------------------------------------------------------------

cdef void check_change(world_t* w, uint32_t node, uint32_t about, const shadow_t* before,
                       const seen_t* seen, uint32_t slot, int64_t now) noexcept nogil:
    """Two looks at one row, between which several claims may lie."""
    cdef bint moved = before.slot != slot
    cdef bint newer = seen.incarnation > before.incarnation
    # One tick may forget a member that is gone for long, and hear of it again from somebody else.
    cdef bint forgotten = (before.state >= MEMBER_DEAD and seen.since_ns == now
                           and now - before.since_ns > w.forget_ns)
    if before.told_by != w.nodes[node].looks and (
            moved or before.state != seen.state or before.since_ns != seen.since_ns):
        broken(w, BROKEN_UNTOLD, node, about, before, seen)
    if moved or newer or forgotten:
        return
    if seen.incarnation < before.incarnation:
        broken(w, BROKEN_INCARNATION, node, about, before, seen)
    elif before.state >= MEMBER_DEAD and seen.state != before.state:
        broken(w, BROKEN_RESURRECTION, node, about, before, seen)
    elif before.state == MEMBER_SUSPECT and seen.state == MEMBER_ALIVE:
        broken(w, BROKEN_REFUTATION, node, about, before, seen)
    elif before.print != seen.print:
        broken(w, BROKEN_META, node, about, before, seen)


cdef void check_row(world_t* w, uint32_t node, uint32_t about, const seen_t* seen,
                    int64_t now) noexcept nogil:
    cdef shadow_t* before = shadow_of(w, node, about)
    cdef uint32_t slot = slot_of(&seen.address)
    cdef int said
    if before == NULL:
        return
    if before.look == w.nodes[node].looks - 1 and before.look:
        if (before.incarnation == seen.incarnation and before.state == seen.state
                and before.print == seen.print and before.since_ns == seen.since_ns):
            before.look += 1                     # as it was
            return
        check_change(w, node, about, before, seen, slot, now)
    said = was_said(w, about, seen.incarnation, seen.print)
    if said == 0:
        broken(w, BROKEN_UNKNOWN_INCARNATION, node, about, before, seen)
    elif said == 1 and seen.state == MEMBER_ALIVE:
        broken(w, BROKEN_UNKNOWN_META, node, about, before, seen)
    if seen.since_ns > now:
        broken(w, BROKEN_FUTURE, node, about, before, seen)
    if before.told != seen.state + 1:
        broken(w, BROKEN_EVENTS, node, about, before, seen)
    before.look = w.nodes[node].looks
    before.print = seen.print
    before.since_ns = seen.since_ns
    before.incarnation = seen.incarnation
    before.slot = slot
    before.state = seen.state


cdef void check_forgotten(world_t* w, uint32_t number, int64_t now) noexcept nogil:
    """Rows that were there at the last look and are not any more."""
    cdef node_t* node = &w.nodes[number]
    cdef shadow_t* shadow
    cdef uint32_t about
    cdef uint8_t serf
    if node.shadows == NULL:
        return
    for about in range(w.count):
        shadow = &node.shadows[about]
        if shadow.look == 0 or shadow.look == node.looks:
            continue
        if shadow.state < MEMBER_DEAD or now - shadow.since_ns <= w.forget_ns:
            broken(w, BROKEN_FORGOTTEN, number, about, shadow, NULL)
        serf = shadow.serf                       # Serf does not forget so soon
        memset(shadow, 0, sizeof(shadow_t))
        shadow.serf = serf


cdef void check_sums(world_t* w, uint32_t node, const gauges_t* gauges,
                     const uint32_t* rows) noexcept nogil:
    cdef uint32_t sum_ = 0
    cdef bint single = gauges.gossips <= 1 and gauges.push_pulls <= 1
    cdef int state
    for state in range(4):
        sum_ += rows[state]
        if rows[state] != gauges.rows[state]:
            broken(w, BROKEN_COUNTS, node, node, NULL, NULL)
    if sum_ != gauges.order:
        broken(w, BROKEN_COUNTS, node, node, NULL, NULL)
    if (gauges.suspicions != rows[MEMBER_SUSPECT]
            or gauges.suspicion_timers != gauges.suspicions):
        broken(w, BROKEN_SUSPICIONS, node, node, NULL, NULL)
    for state in range(3):
        single = single and gauges.probes[state] <= 1
    if not single:
        broken(w, BROKEN_TIMERS, node, node, NULL, NULL)
    if gauges.score < 0 or gauges.score >= max(gauges.score_limit, 1):
        broken(w, BROKEN_SCORE, node, node, NULL, NULL)
    if gauges.queued > w.count + 8:              # one a name, and refutations of its own
        broken(w, BROKEN_QUEUE, node, node, NULL, NULL)


cdef void check_node(world_t* w, uint32_t number) noexcept nogil:
    """One look at one node."""
    cdef node_t* node = &w.nodes[number]
    cdef gauges_t gauges
    cdef seen_t seen
    cdef uint32_t[4] rows
    cdef uint32_t row, about, kept = 0
    cdef int64_t now = w.now + node.offset_ns
    memset(rows, 0, sizeof(rows))
    swim_gauges(node.swim, &gauges)
    node.looks += 1
    for row in range(swim_rows(node.swim)):
        if not swim_row(node.swim, row, &seen):
            continue
        rows[seen.state] += 1
        about = node_at(w, slot_of(&seen.address))
        if about == number and seen.address.port == node.address.port \
                and slot_of(&seen.address) == node.slot:
            check_self(w, number, &seen, &gauges)
        elif about != NONE and about != number:
            check_row(w, number, about, &seen, now)
            kept += 1
    check_forgotten(w, number, now)
    check_sums(w, number, &gauges, rows)
    if node.largest > swim_packet_max(node.swim):
        broken(w, BROKEN_PACKET, number, number, NULL, NULL)
    check_serf(w, number)


# --- events -------------------------------------------------------------------------------------

cdef bint may_follow(uint8_t kind, uint8_t told) noexcept nogil:
    """Whether an event may come when the last one told of that state, plus 1; 0: of none."""
    cdef bint gone = told == MEMBER_DEAD + 1 or told == MEMBER_LEFT + 1
    if kind == TOLD_JOINED:
        return told == 0 or gone
    if kind == TOLD_UPDATED or kind == TOLD_SUSPECTED:
        return told == MEMBER_ALIVE + 1
    if kind == TOLD_CONFIRMED or kind == TOLD_REFUTED:
        return told == MEMBER_SUSPECT + 1
    return told != 0 and not gone                # failed, left


cdef void check_told(world_t* w, uint32_t node, uint32_t about, uint8_t kind) noexcept nogil:
    cdef shadow_t* shadow = shadow_of(w, node, about)
    if shadow == NULL or kind > TOLD_LEFT:
        return
    if not may_follow(kind, shadow.told):
        broken(w, BROKEN_TOLD, node, about, shadow, NULL)
    shadow.told_by = w.nodes[node].looks + 1
    if kind == TOLD_JOINED or kind == TOLD_REFUTED:
        shadow.told = MEMBER_ALIVE + 1
    elif kind == TOLD_SUSPECTED:
        shadow.told = MEMBER_SUSPECT + 1
    elif kind == TOLD_FAILED:
        shadow.told = MEMBER_DEAD + 1
    elif kind == TOLD_LEFT:
        shadow.told = MEMBER_LEFT + 1


# --- agreement ----------------------------------------------------------------------------------

cdef bint agrees(const world_t* w, uint32_t number) noexcept nogil:
    """Whether the node holds just those alive that are up, and at their own incarnations."""
    cdef const node_t* node = &w.nodes[number]
    cdef gauges_t gauges
    cdef seen_t seen
    cdef uint32_t row, about, alive = 0, up = 0
    for row in range(swim_rows(node.swim)):
        if not swim_row(node.swim, row, &seen) or seen.state >= MEMBER_DEAD:
            continue
        about = node_at(w, slot_of(&seen.address))
        if (seen.state != MEMBER_ALIVE or about == NONE or not w.nodes[about].up
                or w.nodes[about].leaving or w.nodes[about].slot != slot_of(&seen.address)):
            return False
        swim_gauges(w.nodes[about].swim, &gauges)
        if gauges.incarnation != seen.incarnation:
            return False
        alive += 1
    for about in range(w.count):
        up += w.nodes[about].up and not w.nodes[about].leaving
    return alive == up
