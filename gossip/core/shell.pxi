# shell.pxi: the class Swim, a Python shell that owns one swim_t. It converts arguments and results
# and checks calls; it decides nothing. No clock here: every entry takes `now` in nanoseconds.
#
# Every entry holds the core from `_hold` or `_at` to `_let_go`. In between, C only: arguments are
# converted before, and results copied out as C to become Python objects after.

cdef enum:
    EVENTS_AT_ONCE = 64

cdef tuple _PRESENT_NAMES = ("members", "health_score", "broadcasts_queued",
                             "user_broadcasts_queued", "streams_open", "suspicions_running",
                             "members_alive", "members_suspect", "members_failed", "members_left")

@cython.final
cdef class Swim:
    """The state machine of one node: packets, stream bytes, time and requests in; packets, stream
    commands, events and the next deadline out. See `_core.pyi` for the exact forms."""

    def __cinit__(self, settings, *, bytes name, bytes address, int port, int bind_port=0,
                  bytes meta=b"", bytes label=b"", cidrs=None, seed, Identities identities=None,
                  Scratch scratch=None):
        cdef swim_t* s = <swim_t*>calloc(1, sizeof(swim_t))
        cdef uint8_t[6] vsn
        cdef uint64_t seed_ = seed
        cdef int i
        self.swim = s
        if s == NULL:
            raise MemoryError()
        self.scratch = scratch if scratch is not None else Scratch()
        self.out = self.scratch.out
        self.inbound = self.scratch.inbound
        lend_scratch(s, self.scratch, scratch is not None)
        self._identities = identities if identities is not None else Identities(seed_)
        s.identities = (<Identities>self._identities).set
        s.shares = identities is not None or scratch is not None
        # An owner of its own: a collector may clear `_identities` before it deallocates this.
        identities_retain(s.identities)
        read_settings(&s.settings, settings)
        self._check_arguments(name, address, meta, label)
        rng_seed(&s.rng, seed_)
        s.self_row = NONE
        s.probe.timeout_timer = -1
        s.probe.deadline_timer = -1
        awareness_init(&s.awareness, <int32_t>s.settings.awareness_max_multiplier)
        s.sessions = <session_t**>calloc(STREAMS_MAX, sizeof(session_t*))
        s.heal = heal_new(seed_)
        if s.sessions == NULL or s.heal == NULL:
            raise MemoryError()
        replay_init(&s.replay, rng_u64(&s.rng))
        table_init(&s.table, s.identities, rng_u64(&s.rng))
        timers_init(&s.timers)
        suspicions_init(&s.suspicions)
        for i in range(QUEUES):
            queue_init(&s.queues[i], <uint32_t>s.settings.udp_buffer_size, rng_u64(&s.rng))
        own_versions(s, vsn)
        s.identity = identities_intern(s.identities, view(name), view(address),
                                       <uint16_t>port, view(meta), vsn)
        if s.identity == NULL:
            raise MemoryError()
        s.address = address_of(address, port)
        s.bind_port = <uint16_t>(bind_port or port)
        self._fill_envelope(label)
        self._fill_networks(cidrs)

    def __dealloc__(self):
        if not lock_is_foreign(self.lock):          # else it may be in the middle of a change
            free_swim(self.swim)
        lock_free(self.lock)

    cdef int _check_arguments(self, bytes name, bytes address, bytes meta, bytes label) except -1:
        if not name_allowed(self.swim, view(name)):
            raise ValueError(f"name {name!r}: empty, over {NAME_BYTES_MAX} bytes, or with "
                             "characters that the name rule does not allow")
        if len(address) != 4 and len(address) != 16:
            raise ValueError(f"address: 4 or 16 bytes, not {len(address)}")
        if len(meta) > META_BYTES_MAX:
            raise ValueError(f"meta: {len(meta)} bytes, at most {META_BYTES_MAX} fit")
        if len(label) > LABEL_BYTES_MAX:
            raise ValueError(f"label: {len(label)} bytes, at most {LABEL_BYTES_MAX} fit")
        return 0

    cdef int _fill_envelope(self, bytes label) except -1:
        cdef envelope_t* envelope = &self.swim.envelope
        cdef settings_t* settings = &self.swim.settings
        envelope.label_len = <uint8_t>len(label)
        if label:
            memcpy(envelope.label, view(label).ptr, len(label))
        envelope.skip_inbound_label_check = settings.skip_inbound_label_check != 0
        envelope.verify_incoming = settings.gossip_verify_incoming != 0
        envelope.verify_outgoing = settings.gossip_verify_outgoing != 0
        envelope.compression = settings.enable_compression != 0
        envelope.seal_version = 0 if settings.protocol_version == 1 else 1
        envelope.nonces = &self.swim.nonces
        envelope.replay = &self.swim.replay
        return 0

    cdef int _fill_networks(self, cidrs) except -1:
        cdef swim_t* s = self.swim
        cdef addr_t addr
        if not cidrs:
            return 0
        networks = list(cidrs)
        s.cidrs = <cidr_t*>calloc(len(networks), sizeof(cidr_t))
        if s.cidrs == NULL:
            raise MemoryError()
        s.cidrs_set = True
        for ip, bits in networks:
            addr = address_of(ip, 0)
            memcpy(s.cidrs[s.cidr_count].ip, addr.ip, 16)
            s.cidrs[s.cidr_count].len = addr.len
            s.cidrs[s.cidr_count].bits = bits
            s.cidr_count += 1
        return 0

    cdef swim_t* _hold(self) except NULL:
        """The state, with the lock if there is one; `_let_go` must follow, and no Python before."""
        if lock_is_foreign(self.lock):
            raise RuntimeError("the node runs in the process that this one was forked from")
        lock_take_with_gil(self.lock)
        return self.swim

    cdef swim_t* _at(self, int64_t now) except NULL:
        """The same with the time of this entry, of a node that runs."""
        cdef swim_t* s = self._hold()
        if not s.started:
            self._let_go()
            raise RuntimeError("the node is not started, or already shut down")
        s.now_ns = now
        s.out = self.out
        s.from_packet = False
        return s

    cdef void _let_go(self) noexcept:
        lock_release(self.lock)

    def share(self):
        """Has every entry take a lock from now on: a thread of its own is to enter as well."""
        if self.lock == NULL:
            self.lock = lock_for(self.swim)

    # --- life ---

    def start(self, int64_t now, int64_t clock=0):
        cdef swim_t* s = self._hold()
        cdef bint before = s.started or s.self_row != NONE
        cdef bint done = False
        if not before:
            s.now_ns = now
            s.out = self.out
            set_coarse_clock(s, clock)
            done = start_node(s)
        self._let_go()
        if before:
            raise RuntimeError("the node was started before")
        if not done:
            raise MemoryError()

    def shutdown(self):
        self._hold().started = False
        self._let_go()

    def receive(self, packets, int64_t now):
        cdef slot_t* slot = &self.inbound.slots[0]
        cdef bytes data
        cdef bytes ip
        for data, ip, port in packets:
            slot.peer = address_of(ip, port)
            fill_slot(slot, self.inbound.arena, data)
            self.inbound.count = 1
            swim_receive(self._hold(), self.inbound, now, self.out)
            self._let_go()
            slot_unpoison(slot)

    def tick(self, int64_t now):
        swim_tick(self._hold(), now, self.out)
        self._let_go()

    def next_deadline(self):
        cdef swim_t* s = self._hold()
        cdef int64_t deadline = swim_next_deadline(s)
        cdef bint works = swim_has_work(s)
        cdef int kind = 0
        if deadline != INT64_MAX and not works:
            kind = timers_next_kind(&s.timers)
        self._let_go()
        if deadline == INT64_MAX:
            return None
        return (deadline, "work" if works else _TIMER_NAMES[kind])

    def send_failed(self, bytes ip, port, int error, int64_t now):
        cdef addr_t peer = address_of(ip, port)
        swim_send_failed(self._hold(), &peer, error, now, self.out)
        self._let_go()

    # --- output ---

    def transmits(self):
        cdef uint32_t i
        cdef slot_t* slot
        packets = []
        for i in range(self.out.count):
            slot = &self.out.slots[i]
            packets.append((bytes_of(slice_of(slot.data, slot.len)), addr_bytes(&slot.peer),
                            slot.peer.port))
        self.out.count = 0
        self.out.used = 0
        return packets

    def events(self, uint32_t at_most=UINT32_MAX):
        cdef swim_t* s
        cdef uint64_t lost = 0
        cdef uint32_t left = at_most, taken = 1
        events = []
        while left and taken:
            taken = self._take_events(events, min(left, <uint32_t>EVENTS_AT_ONCE))
            left -= taken
        s = self._hold()
        if s.events.count == 0:
            lost = s.events.lost
            s.events.lost = 0
        self._let_go()
        if lost:
            events.append(("lost", lost))
        return events

    cdef uint32_t _take_events(self, list events, uint32_t at_most) except? 0:
        """Moves some events out of the core; gives their number."""
        cdef event_t[EVENTS_AT_ONCE] taken
        cdef uint32_t count = 0, i
        cdef swim_t* s = self._hold()
        while count < at_most and events_pop(&s.events, &taken[count]):
            count += 1
        self._let_go()
        try:
            for i in range(count):
                events.append(event_tuple(&taken[i]))
        finally:
            self._hold()
            for i in range(count):
                event_release(&taken[i], s.identities)
            self._let_go()
        return count

    @property
    def waiting(self):
        """Whether events or stream commands wait to be taken."""
        cdef bint waiting = swim_has_output(self._hold())
        self._let_go()
        return bool(waiting)

    def commands(self):
        cdef command_t command
        cdef bint more
        commands = []
        while True:
            more = pop_command(self._hold(), &command)
            self._let_go()
            if not more:
                return commands
            try:
                commands.append(command_tuple(&command))
            finally:
                buffer_free(&command.bytes)

    # --- streams ---

    def accept_stream(self, bytes ip, port, int64_t now):
        cdef addr_t peer = address_of(ip, port)
        cdef session_t* session = new_session(self._at(now), SESSION_SERVE, &peer)
        cdef int64_t stream = -1 if session == NULL else session.stream
        self._let_go()
        return stream

    def stream_opened(self, uint32_t stream, int64_t now):
        session_opened(self._at(now), stream)
        self._let_go()

    def stream_received(self, uint32_t stream, bytes data, int64_t now):
        cdef slice_t received = view(data)
        session_received(self._at(now), stream, received.ptr, received.len)
        self._let_go()

    def stream_ended(self, uint32_t stream, int64_t now):
        session_ended(self._at(now), stream)
        self._let_go()

    def stream_failed(self, uint32_t stream, str text, int64_t now):
        cdef bytes reason = text.encode("utf-8", "replace")
        cdef slice_t said = view(reason)
        session_failed(self._at(now), stream, <const char*>said.ptr, said.len)
        self._let_go()

    # --- requests ---

    def join(self, bytes ip, port, bytes node_name, int64_t now):
        cdef addr_t peer = address_of(ip, port)
        cdef uint32_t request = ask_join(self._at(now), &peer)
        self._let_go()
        return request

    def leave(self, int64_t now):
        cdef uint32_t request = ask_leave(self._at(now))
        self._let_go()
        return request

    def update_meta(self, bytes meta, int64_t now):
        cdef slice_t wanted = view(meta)
        cdef uint32_t request
        if wanted.len > META_BYTES_MAX:
            raise ValueError(f"meta: {wanted.len} bytes, at most {META_BYTES_MAX} fit")
        request = ask_update(self._at(now), wanted)
        self._let_go()
        return request

    def ping(self, bytes name, int64_t now):
        cdef slice_t target = view(name)
        cdef uint32_t request = ask_ping(self._at(now), target)
        self._let_go()
        return request

    def send(self, bytes name, bytes payload, bint reliable, int64_t now):
        cdef slice_t target = view(name)
        cdef slice_t data = view(payload)
        cdef uint32_t request
        if reliable and data.len > STREAM_USER_MESSAGE_MAX:
            raise ValueError(f"payload: {data.len} bytes, at most {STREAM_USER_MESSAGE_MAX} fit a "
                             "reliable message")
        if not reliable and data.len > DATAGRAM_BYTES_MAX:
            raise ValueError(f"payload: {data.len} bytes do not fit a datagram; send it reliably")
        if reliable:
            request = ask_send_reliably(self._at(now), target, data)
        else:
            request = ask_send(self._at(now), target, data)
        self._let_go()
        return request

    def broadcast(self, bytes payload, bytes name=b""):
        cdef int64_t limit = self._broadcast_limit()
        cdef slice_t data = view(payload)
        cdef slice_t name_ = view(name)
        cdef bint queued
        if data.len > limit:
            raise ValueError(f"payload: {data.len} bytes, at most {limit} fit beside a packet's "
                             "headers")
        queued = ask_broadcast(self._hold(), name_, data)
        self._let_go()
        if not queued:
            raise MemoryError()

    cdef int64_t _broadcast_limit(self) except -1:
        cdef int64_t room = gossip_room(self._hold()) - USER_PART_BYTES
        self._let_go()
        return max(room, 0)

    @property
    def broadcast_limit(self):
        """The largest payload of `broadcast` that a gossip packet can carry, in bytes."""
        return self._broadcast_limit()

    def admit(self, bytes name, bint allowed, int64_t now):
        cdef slice_t name_ = view(name)
        admit(self._at(now), name_, allowed)
        self._let_go()

    # --- what the application lends ---

    def set_keys(self, aeads, refill):
        """Puts the ring's ciphers, the primary one first; an empty ring turns sealing off."""
        cdef aead_t[KEYS_MAX] keys
        cdef nonce_source_t source = nonce_source_of(refill)
        cdef swim_t* s
        ring = (list(aeads), refill)
        cdef uint32_t count = fill_ring(keys, ring[0])
        native = isinstance(refill, NonceSource)
        needs_gil = any([not (native and isinstance(key, Cipher)) for key in ring[0]])
        s = self._hold()
        memcpy(s.envelope.keys, keys, sizeof(keys))
        s.envelope.key_count = count
        nonces_init(&s.nonces, source.fill, source.ctx)
        room_changed(s)
        self._let_go()
        self.needs_gil = needs_gil
        self._ring = ring                  # keeps alive what is pointed to from there

    def reset_nonces(self):
        """Forgets the nonces drawn ahead; a forked child must not repeat its parent's."""
        nonces_reset(&self.swim.nonces)

    def set_local_state(self, bytes state):
        cdef slice_t data = view(state)
        cdef swim_t* s
        cdef blob_t* blob
        if data.len > STREAM_USER_STATE_MAX:
            raise ValueError(f"state: {data.len} bytes, at most {STREAM_USER_STATE_MAX} fit")
        blob = blob_new(data, slice_nil())
        if blob == NULL:
            raise MemoryError()
        s = self._hold()
        blob_release(s.local_state)        # a stream being written may hold it still
        s.local_state = blob
        self._let_go()

    def set_ack_payload(self, payload):
        cdef bytes data = b"" if payload is None else payload
        cdef slice_t data_ = view(data)
        cdef bint given = payload is not None
        cdef swim_t* s
        cdef bint done
        if data_.len > self._broadcast_limit() - 64:
            raise ValueError(f"payload: {data_.len} bytes do not fit an ack")
        s = self._hold()
        buffer_clear(&s.ack_payload)
        done = buffer_append_slice(&s.ack_payload, data_)
        s.has_ack_payload = given
        self._let_go()
        if not done:
            raise MemoryError()

    # --- looking ---

    def members(self):
        """A list of tuples: with 100,000 members this takes its time, and is never sliced."""
        cdef swim_t* s = self._hold()
        cdef uint32_t count, i
        cdef member_t* rows = copy_members(s, &count)
        self._let_go()
        if rows == NULL:
            raise MemoryError()
        try:
            return [row_tuple(&rows[i]) for i in range(count)]
        finally:
            self._hold()
            for i in range(count):
                identity_release(s.identities, rows[i].identity)
            self._let_go()
            free(rows)

    def member(self, bytes name):
        cdef slice_t name_ = view(name)
        cdef swim_t* s = self._hold()
        cdef uint32_t index = find_row(s, name_)
        cdef member_t row
        cdef bint found = index != NONE and is_member(row_at(s, index))
        if found:
            row = row_at(s, index)[0]
            identity_retain(row.identity)
        self._let_go()
        if not found:
            return None
        try:
            return row_tuple(&row)
        finally:
            identity_release(self._hold().identities, row.identity)
            self._let_go()

    def up_at(self, bytes ip, port, uint32_t at=0):
        cdef addr_t address = address_of(ip, port)
        cdef bint found = is_up_at(self._hold(), &address, &at)
        self._let_go()
        return (bool(found), at)

    @property
    def member_count(self):
        cdef uint32_t count = self._hold().table.order_count
        self._let_go()
        return count

    @property
    def health_score(self):
        cdef int score = self._hold().awareness.score
        self._let_go()
        return score

    @property
    def incarnation(self):
        cdef uint32_t incarnation = self._hold().incarnation
        self._let_go()
        return incarnation

    def stats(self):
        cdef swim_t* s = self._hold()
        cdef uint64_t[STATS] stats
        cdef uint64_t[DROP_REASONS] drops
        cdef uint64_t[10] present
        cdef int i
        memcpy(stats, s.stats, sizeof(stats))
        memcpy(drops, s.drops, sizeof(drops))
        present[:] = [s.table.order_count, s.awareness.score, s.queues[QUEUE_MEMBERSHIP].count,
                      s.queues[QUEUE_USER].count, s.sessions_used, rows_in(s, STATE_SUSPECT),
                      rows_in(s, STATE_ALIVE), rows_in(s, STATE_SUSPECT), rows_in(s, STATE_DEAD),
                      rows_in(s, STATE_LEFT)]
        self._let_go()
        counts = {name: stats[i] for i, name in enumerate(STAT_NAMES)}
        for i in range(1, DROP_REASONS):
            counts[f"dropped_{DROP_REASON_NAMES[i]}"] = drops[i]
        for i, name in enumerate(_PRESENT_NAMES):
            counts[name] = present[i]
        return counts
