# serf_state.pxi: the user state of a push/pull (Serf §5): clocks, every member's status time, who
# left, recent events. Written and merged in steps of bounded work, as push_pull.pxi does with rows.

cdef enum SerfStateStage:
    STATE_READ_HEAD
    STATE_READ_KEY                  # the fields, found and scanned to their ends
    STATE_READ_VALUE
    STATE_MERGE_CLOCKS
    STATE_MERGE_LEFT                # its names are collected
    STATE_MERGE_STATUSES
    STATE_MERGE_GONE                # who left and has no status time
    STATE_MERGE_EVENTS
    STATE_MERGED

cdef enum SerfStateField:           # in declaration order; what else there is comes after
    FIELD_LTIME
    FIELD_STATUS_LTIMES
    FIELD_LEFT_MEMBERS
    FIELD_EVENT_LTIME
    FIELD_EVENTS
    FIELD_QUERY_LTIME
    FIELDS

# A name of the list of those who left.
cdef struct gone_t:
    entry_t entry
    slice_t name
    bint merged

# A received state on its way in. Slices point into what the stream holds.
cdef struct reading_t:
    uint8_t stage
    bint join
    bint as_array                   # values in declaration order, without keys
    uint8_t field
    uint32_t seen
    uint64_t left                   # fields, or items of the list in hand, still to come
    cursor_t cursor
    cursor_t value                  # where the value being scanned begins
    slice_t[FIELDS] fields
    scanner_t scanner
    map_t gone                      # by name
    pages_t names                   # gone_t
    uint32_t names_count
    uint32_t names_at
    uint32_t events                 # merged so far
    uint64_t moment_ltime
    uint64_t moment_left            # events of the moment in hand still to come
    cursor_t moment


# -- writing

cdef bint state_put_name(buffer_t* out, slice_t name, uint64_t ltime,
                         bint with_ltime) noexcept nogil:
    cdef writer_t w
    if not buffer_reserve(out, NAME_BYTES_MAX + 16):
        return False
    w = writer_of(buffer_end(out), NAME_BYTES_MAX + 16)
    msgpack_put_raw(&w, name)
    if with_ltime:
        msgpack_put_unsigned(&w, ltime)
    out.len += writer_len(&w)
    return True


cdef bint state_put_events(serf_t* serf, buffer_t* out) noexcept nogil:
    """The events that are kept, by their times. Slots that hold none are left out."""
    cdef uint8_t[SERF_HEAD_BYTES] bytes
    cdef writer_t w = writer_of(bytes, SERF_HEAD_BYTES)
    cdef replay_moment_t moment
    cdef uint32_t i, count = 0
    for i in range(serf.events.size):
        count += serf.events.ring[i].kept_count > 0
    msgpack_put_list(&w, count)
    if not buffer_append_slice(out, writer_slice(&w)):
        return False
    for i in range(serf.events.size):
        if serf.events.ring[i].kept_count == 0:
            continue
        w = writer_of(bytes, SERF_HEAD_BYTES)
        msgpack_put_map(&w, 2)
        writer_key(&w, &REPLAY_MOMENT.fields[0].key)
        msgpack_put_list(&w, serf.events.ring[i].kept_count)
        if not (buffer_append_slice(out, writer_slice(&w))
                and buffer_append_slice(out, buffer_slice(&serf.events.ring[i].kept))):
            return False
        w = writer_of(bytes, SERF_HEAD_BYTES)
        moment.ltime = serf.events.ring[i].ltime
        field_encode(&REPLAY_MOMENT.fields[1], &w, &moment.ltime)
        if not buffer_append_slice(out, writer_slice(&w)):
            return False
    return True


cdef bint state_put_head(swim_t* s, made_state_t* state) noexcept nogil:
    """All but the statuses, which stand last on the wire and have been collected."""
    cdef serf_t* serf = serf_of(s)
    cdef uint8_t[SERF_HEAD_BYTES] bytes
    cdef writer_t w = writer_of(bytes, SERF_HEAD_BYTES)
    writer_u8(&w, SERF_PUSH_PULL)
    msgpack_put_map(&w, SERF_STATE.count)
    field_encode(&SERF_STATE.fields[0], &w, &serf.event_clock)
    writer_key(&w, &SERF_STATE.fields[1].key)
    if not (buffer_append_slice(&state.head, writer_slice(&w))
            and state_put_events(serf, &state.head)):
        return False
    w = writer_of(bytes, SERF_HEAD_BYTES)
    field_encode(&SERF_STATE.fields[2], &w, &serf.clock)
    writer_key(&w, &SERF_STATE.fields[3].key)
    msgpack_put_list(&w, state.scratch_count)
    if not (buffer_append_slice(&state.head, writer_slice(&w))
            and buffer_append_slice(&state.head, buffer_slice(&state.scratch))):
        return False
    w = writer_of(bytes, SERF_HEAD_BYTES)
    field_encode(&SERF_STATE.fields[4], &w, &serf.query_clock)
    writer_key(&w, &SERF_STATE.fields[5].key)
    msgpack_put_map(&w, state.count)
    return buffer_append_slice(&state.head, writer_slice(&w))


cdef bint serf_make_state(swim_t* s, made_state_t* state) noexcept nogil:
    """A step: some members, and after the last of them all that stands before. A member's status
    time and whether it left are taken together; they may change until the next step."""
    cdef serf_table_t* table = &serf_of(s).table
    cdef serf_member_t* member
    while s.work > 0 and state.row < table.used:
        member = serf_row(table, state.row)
        state.row += 1
        s.work -= WORK_ENTRY
        if member.identity == NULL:
            continue
        if not state_put_name(&state.body, identity_name(member.identity), member.ltime, True):
            return False
        state.count += 1
        if member.status == STATUS_LEFT:
            if not state_put_name(&state.scratch, identity_name(member.identity), 0, False):
                return False
            state.scratch_count += 1
    if state.row >= table.used:
        state.done = True
        return state_put_head(s, state)
    return True


# -- reading: where the fields are

cdef void reading_bad(swim_t* s, reading_t* r) noexcept nogil:
    """Nothing of the rest is used."""
    drop(s, DROP_DECODE)
    r.stage = STATE_MERGED


cdef void read_state_head(swim_t* s, reading_t* r) noexcept nogil:
    cdef uint8_t head = 0
    cdef cursor_t c
    if not cursor_u8(&r.cursor, &head) or head != SERF_PUSH_PULL:
        reading_bad(s, r)
        return
    c = r.cursor
    r.as_array = msgpack_list(&c, &r.left) and cursor_left(&c) < cursor_left(&r.cursor)
    if not r.as_array:
        c = r.cursor
        if not msgpack_map(&c, &r.left):
            reading_bad(s, r)
            return
    r.cursor = c
    r.stage = STATE_READ_KEY


cdef void read_state_key(swim_t* s, reading_t* r) noexcept nogil:
    """Which field comes next; behind the last, merging begins."""
    cdef slice_t name
    cdef uint8_t i
    if r.left == 0:
        r.stage = STATE_MERGE_CLOCKS
        return
    r.left -= 1
    r.field = FIELDS
    if r.as_array:
        r.field = <uint8_t>min(r.seen, <uint32_t>FIELDS)
        r.seen += 1
    elif not msgpack_raw(&r.cursor, &name):
        reading_bad(s, r)
        return
    else:
        for i in range(FIELDS):
            if slice_equal(field_name(&SERF_STATE.fields[SERF_STATE.declared[i]]), name):
                r.field = i
    r.value = r.cursor
    scanner_begin(&r.scanner)
    r.stage = STATE_READ_VALUE


cdef void read_state_value(swim_t* s, reading_t* r) noexcept nogil:
    """Look for the end of a value, as far as the work goes."""
    cdef slice_t rest = cursor_rest(&r.cursor)
    cdef slice_t window = slice_head(rest, <uint32_t>(max(s.work, <int64_t>8) * SCANNED_PER_WORK))
    cdef cursor_t c = cursor_of(window)
    cdef int found = scanner_feed(&r.scanner, &c)
    cdef uint32_t passed = window.len - <uint32_t>cursor_left(&c)
    s.work -= passed // SCANNED_PER_WORK + 1
    cursor_take(&r.cursor, passed)
    if found == SCAN_DONE:
        if r.field < FIELDS:
            r.fields[r.field] = slice_head(cursor_rest(&r.value), <uint32_t>(
                cursor_left(&r.value) - cursor_left(&r.cursor)))
        r.stage = STATE_READ_KEY
    elif found == SCAN_BAD or window.len == rest.len:
        reading_bad(s, r)


# -- merging

cdef bint state_number(reading_t* r, int field, uint64_t* out) noexcept nogil:
    cdef cursor_t c = cursor_of(r.fields[field])
    out[0] = 0
    return r.fields[field].len == 0 or msgpack_unsigned(&c, UINT64_MAX, out)


cdef bint state_list(reading_t* r, int field) noexcept nogil:
    """Go to the items of a field; an absent one has none."""
    r.cursor = cursor_of(r.fields[field])
    r.left = 0
    if r.fields[field].len == 0:
        return True
    if field == FIELD_STATUS_LTIMES:
        return msgpack_map(&r.cursor, &r.left)
    return msgpack_list(&r.cursor, &r.left)


cdef void witness_remote(swim_t* s, uint64_t* clock, uint64_t remote) noexcept nogil:
    if remote and not lamport_witness(clock, remote - 1):
        drop(s, DROP_LAMPORT_JUMP)


cdef void merge_clocks(swim_t* s, reading_t* r) noexcept nogil:
    """Also looks at all of the state's shape: of one that is none, nothing is merged."""
    cdef serf_t* serf = serf_of(s)
    cdef uint64_t clock, event_clock, query_clock
    if not (state_number(r, FIELD_LTIME, &clock)
            and state_number(r, FIELD_EVENT_LTIME, &event_clock)
            and state_number(r, FIELD_QUERY_LTIME, &query_clock)
            and state_list(r, FIELD_STATUS_LTIMES) and state_list(r, FIELD_EVENTS)
            and state_list(r, FIELD_LEFT_MEMBERS)):
        reading_bad(s, r)
        return
    witness_remote(s, &serf.clock, clock)
    witness_remote(s, &serf.event_clock, event_clock)
    witness_remote(s, &serf.query_clock, query_clock)
    if r.join and serf.joins_without_old:
        serf.events.minimum = max(serf.events.minimum, event_clock)
    serf.stats[SERF_STATES_MERGED] += 1
    r.stage = STATE_MERGE_LEFT


cdef gone_t* state_gone(reading_t* r, serf_t* serf, slice_t name, uint64_t* hash) noexcept nogil:
    """Whether a name is among those who left; its hash in any case."""
    cdef entry_t* entry
    hash[0] = hash_bytes(serf.seed, name.ptr, name.len)
    entry = map_first(&r.gone, hash[0])
    while entry != NULL:
        if entry.hash == hash[0] and slice_equal((<gone_t*>entry).name, name):
            return <gone_t*>entry
        entry = entry.next
    return NULL


cdef void collect_left(swim_t* s, reading_t* r) noexcept nogil:
    """The next name of those who left."""
    cdef uint64_t hash
    cdef slice_t name
    cdef gone_t* gone
    if r.left == 0:
        r.stage = STATE_MERGE_STATUSES
        state_list(r, FIELD_STATUS_LTIMES)
        return
    r.left -= 1
    s.work -= WORK_MERGE
    if not msgpack_raw_whole(&r.cursor, &name) or r.names_count >= s.settings.max_members:
        reading_bad(s, r)
        return
    if name.len > NAME_BYTES_MAX or state_gone(r, serf_of(s), name, &hash) != NULL:
        return
    if not (map_reserve(&r.gone)
            and (r.names_count < r.names.count or pages_grow(&r.names))):
        reading_bad(s, r)
        return
    gone = &(<gone_t*>page_of(&r.names, r.names_count))[in_page(r.names_count)]
    r.names_count += 1
    gone.name = name
    gone.entry.hash = hash
    map_put(&r.gone, &gone.entry)


cdef void merge_status(swim_t* s, reading_t* r) noexcept nogil:
    """The next member and its status time: as an intent to leave if it left, else to join."""
    cdef uint64_t hash, ltime
    cdef slice_t name
    cdef gone_t* gone
    if r.left == 0:
        r.stage = STATE_MERGE_GONE
        return
    r.left -= 1
    s.work -= WORK_MERGE
    if not msgpack_raw(&r.cursor, &name) or not msgpack_unsigned(&r.cursor, UINT64_MAX, &ltime):
        reading_bad(s, r)
        return
    if name.len > NAME_BYTES_MAX:
        drop(s, DROP_NAME)
        return
    gone = state_gone(r, serf_of(s), name, &hash)
    if gone == NULL:
        serf_join_intent(s, name, ltime)
    elif not gone.merged and ltime != UINT64_MAX:
        gone.merged = True
        serf_leave_intent(s, name, ltime + 1, False)


cdef void merge_gone(swim_t* s, reading_t* r) noexcept nogil:
    """The next name of those who left: one without a status time left at the very first."""
    cdef gone_t* gone
    if r.names_at == r.names_count:
        r.stage = STATE_MERGE_EVENTS
        state_list(r, FIELD_EVENTS)
        return
    gone = &(<gone_t*>page_of(&r.names, r.names_at))[in_page(r.names_at)]
    r.names_at += 1
    s.work -= WORK_ROW
    if not gone.merged:
        s.work -= WORK_MERGE
        serf_leave_intent(s, gone.name, 1, False)


cdef void merge_moment(swim_t* s, reading_t* r) noexcept nogil:
    """The next slot of the sender's ring of events: all of one time, or nil for none."""
    cdef replay_moment_t moment
    cdef slice_t rest = cursor_rest(&r.cursor)
    cdef cursor_t c = cursor_of(slice_head(rest, STATE_MOMENT_BYTES_MAX))
    if r.left == 0:
        r.stage = STATE_MERGED
        return
    r.left -= 1
    s.work -= WORK_ROW
    if slice_first(rest) == 0xC0:
        cursor_take(&r.cursor, 1)
        return
    if message_decode(&REPLAY_MOMENT, &c, &moment) != DROP_NONE:
        reading_bad(s, r)
        return
    cursor_take(&r.cursor, min(rest.len, <uint32_t>STATE_MOMENT_BYTES_MAX) - cursor_left(&c))
    r.moment = cursor_of(moment.events)
    r.moment_ltime = moment.ltime
    if moment.events.len and not msgpack_list(&r.moment, &r.moment_left):
        reading_bad(s, r)


cdef void merge_event(swim_t* s, reading_t* r) noexcept nogil:
    """The next event of the moment in hand."""
    cdef replay_event_t event
    r.moment_left -= 1
    r.events += 1
    s.work -= WORK_CHANGE
    if r.events > STATE_EVENTS_MAX:
        drop(s, DROP_STATE_EVENTS)
        r.stage = STATE_MERGED
    elif message_decode(&REPLAY_EVENT, &r.moment, &event) != DROP_NONE:
        reading_bad(s, r)
    else:
        serf_replay_event(s, r.moment_ltime, &event)


cdef void serf_drop_state(swim_t* s, void* reading) noexcept nogil:
    cdef reading_t* r = <reading_t*>reading
    map_free(&r.gone)
    pages_free(&r.names)
    free(r)


cdef reading_t* reading_new(slice_t state, bint join) noexcept nogil:
    cdef reading_t* r = <reading_t*>calloc(1, sizeof(reading_t))
    if r != NULL:
        r.cursor = cursor_of(state)
        r.join = join
        map_init(&r.gone)
        pages_init(&r.names, sizeof(gone_t))
    return r


cdef bint serf_merge_state(swim_t* s, slice_t state, bint join, void** reading) noexcept nogil:
    """Some steps of merging a state, as far as the work goes; True when it is merged."""
    cdef reading_t* r = <reading_t*>reading[0]
    if r == NULL:
        r = reading_new(state, join)
        if r == NULL:
            drop(s, DROP_NO_MEMORY)
            return True
        reading[0] = r
    while s.work > 0 and r.stage != STATE_MERGED:
        if r.stage == STATE_READ_HEAD:
            read_state_head(s, r)
        elif r.stage == STATE_READ_KEY:
            read_state_key(s, r)
        elif r.stage == STATE_READ_VALUE:
            read_state_value(s, r)
        elif r.stage == STATE_MERGE_CLOCKS:
            merge_clocks(s, r)
        elif r.stage == STATE_MERGE_LEFT:
            collect_left(s, r)
        elif r.stage == STATE_MERGE_STATUSES:
            merge_status(s, r)
        elif r.stage == STATE_MERGE_GONE:
            merge_gone(s, r)
        elif r.moment_left:
            merge_event(s, r)
        else:
            merge_moment(s, r)
    return r.stage == STATE_MERGED
