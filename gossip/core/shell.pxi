# shell.pxi: the class Swim, a Python shell that owns one swim_t. It converts arguments and results
# and checks calls; it decides nothing. No clock here: every entry takes `now` in nanoseconds.

cdef tuple _SETTINGS = (
    "protocol_version", "delegate_protocol_min", "delegate_protocol_max",
    "delegate_protocol_version", "tcp_timeout_ns", "indirect_checks", "retransmit_mult",
    "suspicion_mult", "suspicion_max_timeout_mult", "push_pull_interval_ns", "probe_timeout_ns",
    "probe_interval_ns", "disable_tcp_pings", "awareness_max_multiplier", "gossip_nodes",
    "gossip_interval_ns", "gossip_to_the_dead_time_ns", "gossip_verify_incoming",
    "gossip_verify_outgoing", "enable_compression", "udp_buffer_size",
    "dead_node_reclaim_time_ns", "skip_inbound_label_check", "max_members",
    "new_names_per_packet", "name_rule", "ask_accept_member", "report_pings",
)
assert len(_SETTINGS) * sizeof(int64_t) == sizeof(settings_t)


cdef void read_settings(settings_t* settings, object values) except *:
    """Fills the struct by name; a missing or unknown name is an error."""
    cdef int64_t* field = <int64_t*>settings
    cdef int i
    unknown = set(values) - set(_SETTINGS)
    missing = set(_SETTINGS) - set(values)
    if unknown or missing:
        raise ValueError(f"settings: unknown {sorted(unknown)}, missing {sorted(missing)}")
    for i in range(len(_SETTINGS)):
        field[i] = values[_SETTINGS[i]]
    if settings.max_members > MEMBERS_MAX:
        raise ValueError(f"max_members: {settings.max_members}, at most {MEMBERS_MAX} fit")
    if not 256 <= settings.udp_buffer_size <= BROADCAST_BYTES_MAX:
        raise ValueError(f"udp_buffer_size: {settings.udp_buffer_size}, not within 256 to "
                         f"{BROADCAST_BYTES_MAX}")
    if not PROTOCOL_VERSION_MIN <= settings.protocol_version <= PROTOCOL_VERSION_MAX:
        raise ValueError(f"protocol_version: {settings.protocol_version}, not within "
                         f"{PROTOCOL_VERSION_MIN} to {PROTOCOL_VERSION_MAX}")
    if settings.probe_interval_ns <= 0 or settings.probe_timeout_ns <= 0:
        raise ValueError("probe_interval_ns and probe_timeout_ns: must be above 0")


cdef slice_t view(bytes data) except *:
    """A view of a bytes object; it must outlive the view."""
    return slice_of(<const uint8_t*>PyBytes_AsString(data), <uint32_t>PyBytes_Size(data))


cdef addr_t address_of(bytes ip, port) except *:
    cdef addr_t addr
    if not addr_from(view(ip), port, &addr):
        raise ValueError(f"an IP address has 4 or 16 bytes, not {len(ip)}")
    return addr


cdef int fill_slot(slot_t* slot, uint8_t* arena, bytes data) except -1:
    """One datagram in a slot of its own; the sanitizer build hides what lies behind it."""
    cdef slice_t packet = view(data)
    if packet.len > DATAGRAM_BYTES_MAX:
        raise ValueError(f"a datagram has at most {DATAGRAM_BYTES_MAX} bytes, not {packet.len}")
    slot.data = arena
    slot.cap = DATAGRAM_BYTES_MAX
    memcpy(arena, packet.ptr, packet.len)
    slot.len = packet.len
    slot_poison(slot)
    return 0


cdef batch_t* new_batch(uint32_t capacity, size_t size) except NULL:
    cdef batch_t* batch = <batch_t*>calloc(1, sizeof(batch_t))
    if batch != NULL:
        batch.slots = <slot_t*>calloc(capacity, sizeof(slot_t))
        batch.arena = <uint8_t*>malloc(size)
    if batch == NULL or batch.slots == NULL or batch.arena == NULL:
        free_batch(batch)
        raise MemoryError()
    batch.capacity = capacity
    batch.size = size
    return batch


cdef void free_batch(batch_t* batch) noexcept:
    if batch != NULL:
        free(batch.slots)
        free(batch.arena)
        free(batch)


cdef void free_swim(swim_t* s) noexcept:
    cdef command_t command
    cdef uint32_t i
    if s == NULL:
        return
    if s.probe.target != NULL:
        identity_release(s.identities, s.probe.target)
    if s.sessions != NULL:
        for i in range(STREAMS_MAX):
            if s.sessions[i] != NULL:
                free_session(s, s.sessions[i])
        free(s.sessions)
    while pop_command(s, &command):
        buffer_free(&command.bytes)
    free(s.commands.ring)
    events_free(&s.events, s.identities)
    for i in range(QUEUES):
        queue_free(&s.queues[i])
    suspicions_free(&s.suspicions)
    timers_free(&s.timers)
    if s.identity != NULL:
        identity_release(s.identities, s.identity)
    table_free(&s.table)                     # the table may be the last owner of the identities
    if s.pack != NULL:
        buffer_free(&s.pack.bytes)
        buffer_free(&s.pack.message)
        free(s.pack)
    opened_free(s.opened)
    replay_free(&s.replay)
    blob_release(s.local_state)
    while s.trash != NULL:
        take_trash_out(s)
    buffer_free(&s.ack_payload)
    free(s.cidrs)
    identities_release(s.identities)
    free(s)


@cython.final
cdef class Swim:
    """The state machine of one node: packets, stream bytes, time and requests in; packets, stream
    commands, events and the next deadline out. See `_core.pyi` for the exact forms."""

    def __cinit__(self, settings, *, bytes name, bytes address, int port, bytes meta=b"",
                  bytes label=b"", cidrs=None, seed, Identities identities=None):
        cdef swim_t* s = <swim_t*>calloc(1, sizeof(swim_t))
        cdef uint8_t[6] vsn
        cdef uint64_t seed_ = seed
        cdef int i
        self.swim = s
        if s == NULL:
            raise MemoryError()
        self.out = new_batch(OUT_PACKETS_MAX, OUT_BYTES_MAX)
        self.inbound = new_batch(1, DATAGRAM_BYTES_MAX)
        self._identities = identities if identities is not None else Identities(seed_)
        s.identities = (<Identities>self._identities).set
        # An owner of its own: a collector may clear `_identities` before it deallocates this.
        identities_retain(s.identities)
        read_settings(&s.settings, settings)
        self._check_arguments(name, address, meta, label)
        rng_seed(&s.rng, seed_)
        s.self_row = NONE
        s.probe.timeout_timer = -1
        s.probe.deadline_timer = -1
        awareness_init(&s.awareness, <int32_t>s.settings.awareness_max_multiplier)
        s.opened = opened_new()
        s.pack = <pack_t*>calloc(1, sizeof(pack_t))
        s.sessions = <session_t**>calloc(STREAMS_MAX, sizeof(session_t*))
        if s.opened == NULL or s.pack == NULL or s.sessions == NULL:
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
        self._fill_envelope(label)
        self._fill_networks(cidrs)

    def __dealloc__(self):
        free_swim(self.swim)
        free_batch(self.out)
        free_batch(self.inbound)

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

    cdef swim_t* _at(self, int64_t now) except NULL:
        """The state, with the time of this entry; every user entry begins here."""
        if not self.swim.started:
            raise RuntimeError("the node is not started, or already shut down")
        self.swim.now_ns = now
        self.swim.out = self.out
        self.swim.from_packet = False
        return self.swim

    # --- life ---

    def start(self, int64_t now):
        if self.swim.started or self.swim.self_row != NONE:
            raise RuntimeError("the node was started before")
        self.swim.now_ns = now
        self.swim.out = self.out
        if not start_node(self.swim):
            raise MemoryError()

    def shutdown(self):
        self.swim.started = False

    def receive(self, packets, int64_t now):
        cdef slot_t* slot = &self.inbound.slots[0]
        cdef bytes data
        cdef bytes ip
        for data, ip, port in packets:
            slot.peer = address_of(ip, port)
            fill_slot(slot, self.inbound.arena, data)
            self.inbound.count = 1
            swim_receive(self.swim, self.inbound, now, self.out)
            slot_unpoison(slot)

    def tick(self, int64_t now):
        swim_tick(self.swim, now, self.out)

    def next_deadline(self):
        cdef int64_t deadline = swim_next_deadline(self.swim)
        if deadline == INT64_MAX:
            return None
        if swim_has_work(self.swim):
            return (deadline, "work")
        return (deadline, _TIMER_NAMES[timers_next_kind(&self.swim.timers)])

    def send_failed(self, bytes ip, port, int error, int64_t now):
        cdef addr_t peer = address_of(ip, port)
        swim_send_failed(self.swim, &peer, error, now, self.out)

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
        cdef event_t event
        events = []
        while <uint32_t>len(events) < at_most and events_pop(&self.swim.events, &event):
            try:
                events.append(event_tuple(&event))
            finally:
                event_release(&event, self.swim.identities)
        if self.swim.events.lost and self.swim.events.count == 0:
            events.append(("lost", self.swim.events.lost))
            self.swim.events.lost = 0
        return events

    @property
    def waiting(self):
        """Whether events or stream commands wait to be taken."""
        return bool(swim_has_output(self.swim))

    def commands(self):
        cdef command_t command
        commands = []
        while pop_command(self.swim, &command):
            try:
                commands.append(command_tuple(&command))
            finally:
                buffer_free(&command.bytes)
        return commands

    # --- streams ---

    def accept_stream(self, bytes ip, port, int64_t now):
        cdef swim_t* s = self._at(now)
        cdef addr_t peer = address_of(ip, port)
        cdef session_t* session = new_session(s, SESSION_SERVE, &peer)
        return -1 if session == NULL else session.stream

    def stream_opened(self, uint32_t stream, int64_t now):
        session_opened(self._at(now), stream)

    def stream_received(self, uint32_t stream, bytes data, int64_t now):
        cdef slice_t received = view(data)
        session_received(self._at(now), stream, received.ptr, received.len)

    def stream_ended(self, uint32_t stream, int64_t now):
        session_ended(self._at(now), stream)

    def stream_failed(self, uint32_t stream, str text, int64_t now):
        cdef bytes reason = text.encode("utf-8", "replace")
        cdef slice_t said = view(reason)
        session_failed(self._at(now), stream, <const char*>said.ptr, said.len)

    # --- requests ---

    def join(self, bytes ip, port, bytes node_name, int64_t now):
        cdef addr_t peer = address_of(ip, port)
        return ask_join(self._at(now), &peer)

    def leave(self, int64_t now):
        return ask_leave(self._at(now))

    def update_meta(self, bytes meta, int64_t now):
        if len(meta) > META_BYTES_MAX:
            raise ValueError(f"meta: {len(meta)} bytes, at most {META_BYTES_MAX} fit")
        return ask_update(self._at(now), view(meta))

    def ping(self, bytes name, int64_t now):
        return ask_ping(self._at(now), view(name))

    def send(self, bytes name, bytes payload, bint reliable, int64_t now):
        if reliable:
            if len(payload) > STREAM_USER_MESSAGE_MAX:
                raise ValueError(f"payload: {len(payload)} bytes, at most "
                                 f"{STREAM_USER_MESSAGE_MAX} fit a reliable message")
            return ask_send_reliably(self._at(now), view(name), view(payload))
        if len(payload) > DATAGRAM_BYTES_MAX:
            raise ValueError(f"payload: {len(payload)} bytes do not fit a datagram; "
                             "send it reliably")
        return ask_send(self._at(now), view(name), view(payload))

    def broadcast(self, bytes payload, bytes name=b""):
        cdef uint32_t limit = self.broadcast_limit
        if len(payload) > limit:
            raise ValueError(f"payload: {len(payload)} bytes, at most {limit} fit beside a "
                             "packet's headers")
        if not ask_broadcast(self.swim, view(name), view(payload)):
            raise MemoryError()

    @property
    def broadcast_limit(self):
        """The largest payload of `broadcast` that a gossip packet can carry, in bytes."""
        return gossip_room(self.swim) - USER_PART_BYTES

    def admit(self, bytes name, bint allowed, int64_t now):
        admit(self._at(now), view(name), allowed)

    # --- what the application lends ---

    def set_keys(self, aeads, refill):
        """Puts the ring's ciphers, the primary one first; an empty ring turns sealing off."""
        cdef envelope_t* envelope = &self.swim.envelope
        cdef aead_t[KEYS_MAX] keys
        cdef int i
        ring = (list(aeads), refill)
        if len(ring[0]) > KEYS_MAX:
            raise ValueError(f"keys: {len(ring[0])}, at most {KEYS_MAX} fit")
        for i, cipher in enumerate(ring[0]):
            keys[i] = aead_of(cipher)
        nonces_from(&self.swim.nonces, refill)
        memcpy(envelope.keys, keys, sizeof(keys))
        envelope.key_count = <uint32_t>len(ring[0])
        self._ring = ring                  # keeps alive what is pointed to from there
        native = isinstance(refill, NonceSource)
        self.needs_gil = any([not (native and isinstance(key, Cipher)) for key in ring[0]])

    def reset_nonces(self):
        """Forgets the nonces drawn ahead; a forked child must not repeat its parent's."""
        nonces_reset(&self.swim.nonces)

    def set_local_state(self, bytes state):
        if len(state) > STREAM_USER_STATE_MAX:
            raise ValueError(f"state: {len(state)} bytes, at most {STREAM_USER_STATE_MAX} fit")
        cdef blob_t* blob = blob_new(view(state), slice_nil())
        if blob == NULL:
            raise MemoryError()
        blob_release(self.swim.local_state)        # a stream being written may hold it still
        self.swim.local_state = blob

    def set_ack_payload(self, payload):
        cdef bytes data = b"" if payload is None else payload
        if len(data) > self.broadcast_limit - 64:
            raise ValueError(f"payload: {len(data)} bytes do not fit an ack")
        buffer_clear(&self.swim.ack_payload)
        if not buffer_append_slice(&self.swim.ack_payload, view(data)):
            raise MemoryError()
        self.swim.has_ack_payload = payload is not None

    # --- looking ---

    def members(self):
        """A list of tuples: with 100,000 members this takes its time, and is never sliced."""
        cdef table_t* table = &self.swim.table
        cdef uint32_t i
        return [row_tuple(table_row(table, table_at(table, i))) for i in range(table.order_count)]

    def member(self, bytes name):
        cdef uint32_t index = find_row(self.swim, view(name))
        if index == NONE or not is_member(row_at(self.swim, index)):
            return None
        return row_tuple(row_at(self.swim, index))

    @property
    def member_count(self):
        return self.swim.table.order_count

    @property
    def health_score(self):
        return self.swim.awareness.score

    @property
    def incarnation(self):
        return self.swim.incarnation

    def stats(self):
        cdef int i
        counts = {name: self.swim.stats[i] for i, name in enumerate(STAT_NAMES)}
        for i in range(1, DROP_REASONS):
            counts[f"dropped_{DROP_REASON_NAMES[i]}"] = self.swim.drops[i]
        counts["members"] = self.swim.table.order_count
        counts["health_score"] = self.swim.awareness.score
        counts["broadcasts_queued"] = self.swim.queues[QUEUE_MEMBERSHIP].count
        counts["user_broadcasts_queued"] = self.swim.queues[QUEUE_USER].count
        counts["streams_open"] = self.swim.sessions_used
        counts["suspicions_running"] = rows_in(self.swim, STATE_SUSPECT)
        return counts
