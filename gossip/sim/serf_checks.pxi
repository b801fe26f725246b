# serf_checks.pxi: what must hold of a node's Serf layer at every look, and of what it tells.
#
# Serf remembers longer than memberlist, and says more; but whom memberlist holds up, it holds up.

cdef bint is_present(uint8_t status) noexcept nogil:
    return status == SERF_HELD_ALIVE or status == SERF_HELD_LEAVING


cdef bint prints_add(world_t* w, prints_t* prints, uint64_t print) noexcept nogil:
    """False: it was there."""
    cdef uint32_t at
    cdef prints_t larger
    print = max(print, <uint64_t>1)
    if 2 * prints.count >= prints.capacity:
        larger.count = 0
        larger.capacity = max(<uint32_t>16, 2 * prints.capacity)
        larger.slots = <uint64_t*>calloc(larger.capacity, sizeof(uint64_t))
        if larger.slots == NULL:
            w.failed = True
            return True
        for at in range(prints.capacity):
            if prints.slots[at]:
                prints_add(w, &larger, prints.slots[at])
        free(prints.slots)
        prints[0] = larger
    at = <uint32_t>print & (prints.capacity - 1)
    while prints.slots[at]:
        if prints.slots[at] == print:
            return False
        at = (at + 1) & (prints.capacity - 1)
    prints.slots[at] = print
    prints.count += 1
    return True


# --- events -------------------------------------------------------------------------------------

cdef bint serf_may_follow(uint8_t kind, uint8_t status) noexcept nogil:
    """Whether an event may come when the last one told of that status; 0: of none."""
    if kind == TOLD_MEMBER_JOIN:
        return not is_present(status)
    if kind == TOLD_MEMBER_UPDATE or kind == TOLD_MEMBER_FAILED:
        return is_present(status)
    if kind == TOLD_MEMBER_LEAVE:                # also of one that had failed
        return status != 0 and status != SERF_HELD_LEFT
    return status != 0                           # reaped, flapped


cdef void check_serf_told(world_t* w, uint32_t node, uint32_t about,
                          const told_t* told) noexcept nogil:
    cdef shadow_t* shadow
    if w.check_every == 0:
        return
    if told.serf == TOLD_USER_EVENT and not prints_add(
            w, &w.nodes[node].user_events, told.print):
        broken(w, BROKEN_TWICE, node, node, NULL, NULL)
    if about == NONE or told.serf > TOLD_MEMBER_FLAPPED:
        return
    shadow = shadow_of(w, node, about)
    if shadow == NULL:
        return
    if not serf_may_follow(told.serf, shadow.serf):
        broken(w, BROKEN_SERF_TOLD, node, about, shadow, NULL)
    if told.serf == TOLD_MEMBER_REAP:
        shadow.serf = 0
    elif told.serf != TOLD_MEMBER_FLAPPED:
        shadow.serf = told.state


# --- the table ----------------------------------------------------------------------------------

cdef void check_status(world_t* w, uint32_t node, uint32_t about,
                       const serf_seen_t* seen) noexcept nogil:
    """One row, after memberlist's rows were looked at."""
    cdef shadow_t* shadow = shadow_of(w, node, about)
    cdef node_t* looker = &w.nodes[node]
    cdef bint present = is_present(seen.status)
    cdef bint up
    if shadow == NULL:
        return
    if present != is_present(shadow.serf) or (not present and seen.status != shadow.serf):
        broken(w, BROKEN_SERF_EVENTS, node, about, shadow, NULL)
    if about == node:                            # it holds itself left while it leaves
        return
    up = shadow.look == looker.looks and shadow.state < MEMBER_DEAD
    if present != up:
        broken(w, BROKEN_STATUS, node, about, shadow, NULL)
    elif up and seen.print != shadow.print:
        broken(w, BROKEN_SERF_META, node, about, shadow, NULL)


cdef void check_nobody_missing(world_t* w, uint32_t number, uint32_t present) noexcept nogil:
    """Whom memberlist holds up is a member of Serf's, unless somebody had it pruned."""
    cdef node_t* node = &w.nodes[number]
    cdef uint32_t about, up = 1                  # itself
    for about in range(w.count):
        up += (about != number and node.shadows[about].look == node.looks
               and node.shadows[about].state < MEMBER_DEAD)
    if up != present:
        broken(w, BROKEN_STATUS, number, number, NULL, NULL)


cdef void check_serf(world_t* w, uint32_t number) noexcept nogil:
    cdef node_t* node = &w.nodes[number]
    cdef serf_gauges_t gauges
    cdef serf_seen_t seen
    cdef uint32_t[5] rows
    cdef uint32_t row, about, count = 0
    cdef int at
    if not swim_serf_gauges(node.swim, &gauges) or shadow_of(w, number, number) == NULL:
        return
    memset(rows, 0, sizeof(rows))
    for row in range(swim_serf_rows(node.swim)):
        if swim_serf_row(node.swim, row, &seen):
            rows[seen.status] += 1
            count += 1
            about = node_at(w, slot_of(&seen.address))
            if about != NONE:
                check_status(w, number, about, &seen)
    if count != gauges.count or memcmp(rows, gauges.rows, sizeof(rows)):
        broken(w, BROKEN_SERF_COUNTS, number, number, NULL, NULL)
    for at in range(3):
        if gauges.clocks[at] < node.clocks[at]:
            broken(w, BROKEN_CLOCK, number, number, NULL, NULL)
        node.clocks[at] = gauges.clocks[at]
    if not gauges.pruned and not node.leaving:
        check_nobody_missing(w, number, rows[SERF_HELD_ALIVE] + rows[SERF_HELD_LEAVING])


# --- agreement ----------------------------------------------------------------------------------

cdef bint serf_agrees(const world_t* w, uint32_t number) noexcept nogil:
    """Whether the Serf layer, if there is one, holds just those alive that are up, with their own
    tags."""
    cdef swim_t* swim = w.nodes[number].swim
    cdef serf_gauges_t gauges
    cdef serf_seen_t seen
    cdef uint32_t row, about, alive = 0, up = 0
    if not swim_serf_gauges(swim, &gauges):
        return True
    for row in range(swim_serf_rows(swim)):
        if not swim_serf_row(swim, row, &seen) or not is_present(seen.status):
            continue
        about = node_at(w, slot_of(&seen.address))
        if (seen.status != SERF_HELD_ALIVE or about == NONE or not w.nodes[about].up
                or w.nodes[about].leaving or swim_print(w.nodes[about].swim) != seen.print):
            return False
        alive += 1
    for about in range(w.count):
        up += w.nodes[about].up and not w.nodes[about].leaving
    return alive == up
