# making.pxi: what a Swim is made of and how it is taken apart: settings, arguments, batches.
# Part of the shell; the ranges of settings for users stand in `_checks.py`.

cdef tuple _SETTINGS = (
    "protocol_version", "delegate_protocol_min", "delegate_protocol_max",
    "delegate_protocol_version", "tcp_timeout_ns", "indirect_checks", "retransmit_mult",
    "suspicion_mult", "suspicion_max_timeout_mult", "push_pull_interval_ns", "probe_timeout_ns",
    "probe_interval_ns", "disable_tcp_pings", "awareness_max_multiplier", "gossip_nodes",
    "gossip_interval_ns", "gossip_to_the_dead_time_ns", "gossip_verify_incoming",
    "gossip_verify_outgoing", "enable_compression", "udp_buffer_size",
    "dead_node_reclaim_time_ns", "skip_inbound_label_check", "max_members",
    "new_names_per_packet", "name_rule", "ask_accept_member", "report_pings",
    "heal_interval_ns", "heal_time_ns",
    "suspicion_k", "buddy_system", "nack_percent", "scale_probe_timeout", "notice_stalls",
)
assert len(_SETTINGS) * sizeof(int64_t) == sizeof(settings_t)

# For the simulator, which repeats experiments on the protocol; no user sets these. How many
# confirmations end a suspicion soonest (-1: suspicion_mult - 2); whether a suspect is told with the
# ping; when a relay sends its nack, in percent of the probe timeout; whether the health score
# stretches that timeout too; whether a node notices that it stood still.
cdef dict _TRIALS = {
    "suspicion_k": -1, "buddy_system": 1, "nack_percent": 100, "scale_probe_timeout": 0,
    "notice_stalls": 1,
}


cdef void read_numbers(int64_t* fields, tuple names, object values) except *:
    """Fills a struct of numbers by name; a missing or unknown name is an error."""
    cdef int i
    unknown = set(values) - set(names)
    missing = set(names) - set(values)
    if unknown or missing:
        raise ValueError(f"settings: unknown {sorted(unknown)}, missing {sorted(missing)}")
    for i in range(len(names)):
        fields[i] = values[names[i]]


cdef void read_settings(settings_t* settings, object values) except *:
    read_numbers(<int64_t*>settings, _SETTINGS, {**_TRIALS, **values})
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
    if not 1 <= settings.nack_percent <= 100:
        raise ValueError(f"nack_percent: {settings.nack_percent}, not within 1 to 100")
    if not -1 <= settings.suspicion_k <= SUSPICION_CONFIRMATIONS_MAX:
        raise ValueError(f"suspicion_k: {settings.suspicion_k}, not within -1 to "
                         f"{SUSPICION_CONFIRMATIONS_MAX}")


cdef lock_t* lock_for(swim_t* s) except NULL:
    """The lock of a core that a thread enters. It guards that core and nothing that others use."""
    cdef lock_t* lock
    if s.shares:
        raise ValueError("a core with identities or scratch that others may share cannot be "
                         "entered by a thread: make it without `identities` and `scratch`")
    lock = lock_new()
    if lock == NULL:
        raise MemoryError()
    return lock


cdef int fill_ring(aead_t* keys, list ciphers) except -1:
    """The ciphers of a ring as the core takes them; `keys` has room for KEYS_MAX."""
    cdef int count = 0
    if len(ciphers) > KEYS_MAX:
        raise ValueError(f"keys: {len(ciphers)}, at most {KEYS_MAX} fit")
    for cipher in ciphers:
        keys[count] = aead_of(cipher)
        count += 1
    return count


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


cdef member_t* copy_members(swim_t* s, uint32_t* count) noexcept:
    """The rows of all members, each with a reference to its identity; NULL without memory."""
    cdef uint32_t n = s.table.order_count
    cdef uint32_t i
    cdef member_t* rows = <member_t*>malloc((n + 1) * sizeof(member_t))
    if rows != NULL:
        for i in range(n):
            rows[i] = row_at(s, table_at(&s.table, i))[0]
            identity_retain(rows[i].identity)
    count[0] = n
    return rows


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


@cython.final
cdef class Scratch:
    """The memory a core needs only while it is entered. Cores of one thread may share one, if
    what they want sent is taken after each entry."""

    def __cinit__(self):
        self.out = new_batch(OUT_PACKETS_MAX, OUT_BYTES_MAX)
        self.inbound = new_batch(1, DATAGRAM_BYTES_MAX)
        self.opened = opened_new()
        self.pack = <pack_t*>calloc(1, sizeof(pack_t))
        self.large = large_new()
        if self.opened == NULL or self.pack == NULL or self.large == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free_batch(self.out)
        free_batch(self.inbound)
        opened_free(self.opened)
        large_release(self.large)           # the cores have the rest of it
        if self.pack != NULL:
            buffer_free(&self.pack.bytes)
            buffer_free(&self.pack.message)
            free(self.pack)


cdef void lend_scratch(swim_t* s, Scratch scratch, bint shared) noexcept:
    s.opened = scratch.opened
    s.pack = scratch.pack
    s.large = large_retain(scratch.large, shared)   # until the core is freed, which needs it


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
    if s.delegate != NULL:
        s.delegate.free(s)                   # after the sessions, which may be amid its state
    heal_clear(s)
    free(s.heal)
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
    replay_free(&s.replay)
    blob_release(s.local_state)
    large_release(s.large)
    free(s.waiters)
    buffer_free(&s.ack_payload)
    free(s.cidrs)
    identities_release(s.identities)
    free(s)
