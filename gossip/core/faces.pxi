# faces.pxi: thin Python faces of the leaf layers, for tests and benchmarks. The state machine uses
# the C below them and never these; a wrong handle or row is the caller's fault here too.

STATE_NAMES = {
    "alive": STATE_ALIVE, "suspect": STATE_SUSPECT, "dead": STATE_DEAD, "left": STATE_LEFT,
    "pending": STATE_PENDING, "refused": STATE_REFUSED, "unknown": STATE_UNKNOWN,
}
CLAIM_NAMES = {"alive": CLAIM_ALIVE, "suspect": CLAIM_SUSPECT, "dead": CLAIM_DEAD}
RELATION_NAMES = {"older": RELATION_OLDER, "equal": RELATION_EQUAL, "newer": RELATION_NEWER}


cdef slice_t face_slice(bytes data):
    cdef slice_t out
    out.ptr = <const uint8_t*><char*>data
    out.len = <uint32_t>len(data)
    return out


def hash_name(uint64_t seed, bytes name) -> int:
    """The keyed hash the tables use."""
    cdef slice_t data = face_slice(name)
    return hash_bytes(seed, data.ptr, data.len)


def verdict(
    str claim, str state, str relation, *, bint is_self=False, bint own=False,
    bint same_address=True, bint reclaim_elapsed=False, bint same_content=True,
    bint graceful=False, bint leaving=False, bint has_suspicion=False,
) -> str:
    """`judge` by names."""
    cdef question_t question
    question.claim = CLAIM_NAMES[claim]
    question.state = STATE_NAMES[state]
    question.relation = RELATION_NAMES[relation]
    question.is_self = is_self
    question.own = own
    question.same_address = same_address
    question.reclaim_elapsed = reclaim_elapsed
    question.same_content = same_content
    question.graceful = graceful
    question.leaving = leaving
    question.has_suspicion = has_suspicion
    return VERDICT_NAMES[judge(&question)]


@cython.final
cdef class Rng:
    """The seeded random numbers."""

    cdef rng_t rng

    def __cinit__(self, uint64_t seed):
        rng_seed(&self.rng, seed)

    def u64(self) -> int:
        return rng_u64(&self.rng)

    def below(self, uint32_t n) -> int:
        return rng_below(&self.rng, n)


@cython.final
cdef class Awareness:
    """A local health score."""

    cdef awareness_t awareness

    def __cinit__(self, int32_t limit):
        awareness_init(&self.awareness, limit)

    def apply(self, int32_t delta) -> int:
        awareness_apply(&self.awareness, delta)
        return self.awareness.score

    def scale(self, int64_t duration_ns) -> int:
        return awareness_scale(&self.awareness, duration_ns)


@cython.final
cdef class Suspicions:
    """A pool of suspicions."""

    cdef suspicions_t pool

    def __cinit__(self):
        suspicions_init(&self.pool)

    def __dealloc__(self):
        suspicions_free(&self.pool)

    def __len__(self) -> int:
        return self.pool.count

    def start(
        self, uint32_t row, int32_t k, int64_t min_ns, int64_t max_ns, bytes from_, int64_t now
    ) -> int:
        cdef slice_t name = face_slice(from_)
        return suspicion_start(
            &self.pool, row, k, min_ns, max_ns, name, hash_bytes(0, name.ptr, name.len), now)

    def confirm(self, uint32_t index, bytes from_, int64_t now) -> tuple:
        """(whether it counted, the deadline)"""
        cdef slice_t name = face_slice(from_)
        cdef int64_t deadline
        cdef bint counted = suspicion_confirm(
            suspicion_at(&self.pool, index), hash_bytes(0, name.ptr, name.len), now, &deadline)
        return bool(counted), deadline

    def deadline(self, uint32_t index) -> int:
        return suspicion_deadline(suspicion_at(&self.pool, index))

    def accuser(self, uint32_t index) -> bytes:
        cdef slice_t name = suspicion_accuser(suspicion_at(&self.pool, index))
        return (<const char*>name.ptr)[:name.len]

    def row(self, uint32_t index) -> int:
        return suspicion_at(&self.pool, index).row

    def end(self, uint32_t index) -> None:
        suspicion_end(&self.pool, index)


@cython.final
cdef class TimerHeap:
    """A heap of deadlines."""

    cdef timers_t timers

    def __cinit__(self):
        timers_init(&self.timers)

    def __dealloc__(self):
        timers_free(&self.timers)

    def __len__(self) -> int:
        return self.timers.count

    def arm(self, uint8_t kind, uint64_t ref, int64_t deadline) -> int:
        return timers_arm(&self.timers, kind, ref, deadline)

    def rearm(self, int32_t handle, int64_t deadline) -> None:
        timers_rearm(&self.timers, handle, deadline)

    def cancel(self, int32_t handle) -> None:
        timers_cancel(&self.timers, handle)

    def next(self) -> tuple:
        """(deadline, kind); (2^63 - 1, -1) when none is armed"""
        return timers_next(&self.timers), timers_next_kind(&self.timers)

    def pop_due(self, int64_t now) -> tuple | None:
        """(kind, ref, deadline, handle)"""
        cdef timer_t timer
        if not timers_pop_due(&self.timers, now, &timer):
            return None
        return timer.kind, timer.ref, timer.deadline, timer.handle


cdef bint state_in_mask(void* ctx, const member_t* member, uint32_t row) noexcept nogil:
    return (<uint32_t*>ctx)[0] >> member.state & 1


@cython.final
cdef class MemberTable:
    """A member table with its own random numbers."""

    cdef table_t table
    cdef rng_t rng

    def __cinit__(self, Identities identities not None, uint64_t seed=0):
        table_init(&self.table, identities.set, seed)
        rng_seed(&self.rng, seed)

    def __dealloc__(self):
        table_free(&self.table)

    def __len__(self) -> int:
        return self.table.order_count

    cdef identity_t* intern(self, bytes name, bytes addr, uint16_t port, bytes meta, bytes vsn):
        return identities_intern(
            self.table.identities, face_slice(name), face_slice(addr), port, face_slice(meta),
            face_slice(vsn).ptr)

    def add(
        self, bytes name, *, bytes addr=b"\x7f\0\0\1", uint16_t port=7946, bytes meta=b"",
        bytes vsn=b"\1\5\2\0\0\0", uint8_t state=STATE_ALIVE, int64_t now=0, uint8_t flags=0,
    ) -> int:
        cdef identity_t* identity = self.intern(name, addr, port, meta, vsn)
        cdef uint32_t row
        if identity == NULL:
            raise MemoryError
        row = table_add(&self.table, identity, &self.rng, state, now)
        if row == NONE:
            raise MemoryError
        table_row(&self.table, row).flags = flags
        return row

    def find(self, bytes name) -> int | None:
        cdef slice_t key = face_slice(name)
        cdef uint32_t row = table_find(&self.table, key, table_hash(&self.table, key))
        return None if row == NONE else row

    def remove(self, uint32_t row) -> None:
        table_remove(&self.table, row)

    def set_state(self, uint32_t row, uint8_t state, int64_t now) -> None:
        table_set_state(&self.table, row, state, now)

    def set_identity(
        self, uint32_t row, bytes name, bytes addr, uint16_t port, bytes meta, bytes vsn
    ) -> None:
        cdef identity_t* identity = self.intern(name, addr, port, meta, vsn)
        if identity == NULL:
            raise MemoryError
        table_set_identity(&self.table, row, identity)

    def promote(self, uint32_t row, uint8_t state, int64_t now) -> None:
        table_promote(&self.table, row, &self.rng)
        table_set_state(&self.table, row, state, now)

    def turn(self, uint32_t at, int64_t now, int64_t gossip_to_the_dead_ns) -> int | None:
        cdef uint32_t row
        row = table_turn(&self.table, at, &self.rng, now, gossip_to_the_dead_ns)
        return None if row == NONE else row

    def choose(self, uint32_t k, uint32_t states=1) -> list:
        """Rows of up to k members whose state's bit is set in `states`."""
        cdef uint32_t at, found
        cdef uint32_t* out = <uint32_t*>malloc((k + 1) * sizeof(uint32_t))
        if out == NULL:
            raise MemoryError
        found = table_random(&self.table, &self.rng, k, state_in_mask, &states, out)
        try:
            return [out[at] for at in range(found)]
        finally:
            free(out)

    def order(self) -> list:
        cdef uint32_t at
        return [table_at(&self.table, at) for at in range(self.table.order_count)]

    def counts(self) -> list:
        cdef int state
        return [self.table.counts[state] for state in range(<int>STATES)]

    def row(self, uint32_t row) -> tuple:
        """(name, addr, port, meta, vsn, state, since)"""
        cdef member_t* member = table_row(&self.table, row)
        cdef slice_t name = identity_name(member.identity)
        cdef slice_t addr = identity_addr(member.identity)
        cdef slice_t meta = identity_meta(member.identity)
        return (
            (<const char*>name.ptr)[:name.len], (<const char*>addr.ptr)[:addr.len],
            member.identity.port, (<const char*>meta.ptr)[:meta.len] if meta.len else b"",
            (<const char*>member.identity.vsn)[:6], member.state, member.state_change_ns,
        )

    def find_members(self, uint32_t rounds) -> int:
        """Find every member by its name, so often; how many were found. For benchmarks."""
        cdef uint32_t round_, at
        cdef uint64_t found = 0
        cdef slice_t name
        with nogil:
            for round_ in range(rounds):
                for at in range(self.table.order_count):
                    name = identity_name(table_row(
                        &self.table, table_at(&self.table, at)).identity)
                    found += table_find(&self.table, name, table_hash(&self.table, name)) != NONE
        return found


cdef struct taken_t:
    uint8_t* to
    uint32_t count


cdef bint take_with_length(void* ctx, slice_t payload) noexcept nogil:
    cdef taken_t* taken = <taken_t*>ctx
    memcpy(taken.to, &payload.len, 4)
    memcpy(taken.to + 4, payload.ptr, payload.len)
    taken.to += 4 + payload.len
    taken.count += 1
    return True


@cython.final
cdef class BroadcastQueue:
    """A transmit-limited queue."""

    cdef queue_t queue

    def __cinit__(self, uint32_t max_length=1400, uint64_t seed=0):
        queue_init(&self.queue, max_length, seed)

    def __dealloc__(self):
        queue_free(&self.queue)

    def __len__(self) -> int:
        return self.queue.count

    def add(self, bytes payload, bytes name=b"", *, uint8_t kind=0, uint32_t notify=0) -> bool:
        return bool(queue_add(
            &self.queue, face_slice(name), kind, face_slice(payload), notify))

    def take(self, uint32_t overhead, uint32_t limit, uint32_t transmit_limit) -> list:
        """The payloads for a packet with `limit` bytes left, each costing `overhead` more."""
        cdef uint32_t length, used
        cdef taken_t taken
        cdef uint8_t* at
        cdef uint8_t* start = <uint8_t*>malloc(<size_t>limit + 4 * self.queue.count + 4)
        if start == NULL:
            raise MemoryError
        taken.to = start
        taken.count = 0
        used = queue_take(
            &self.queue, overhead, limit, transmit_limit, take_with_length, &taken)
        payloads = []
        at = start
        while at < taken.to:
            memcpy(&length, at, 4)
            payloads.append((<const char*>at + 4)[:length])
            at += 4 + length
        free(start)
        assert used == sum(map(len, payloads)) + overhead * len(payloads)
        return payloads

    def prune(self, uint32_t k) -> None:
        queue_prune(&self.queue, k)

    def finished(self) -> list:
        """The `notify` of every item that finished since the last call, in order."""
        cdef uint32_t notify
        done = []
        while True:
            notify = queue_next_finished(&self.queue)
            if notify == 0:
                return done
            done.append(notify)

    def fill(
        self, uint32_t overhead, uint32_t limit, uint32_t transmit_limit, uint32_t packets
    ) -> int:
        """Fill so many packets and throw them away; how many payloads. For benchmarks."""
        cdef uint32_t packet
        cdef uint64_t total = 0
        cdef taken_t taken
        cdef uint8_t* start = <uint8_t*>malloc(5 * <size_t>limit + 4)
        if start == NULL:
            raise MemoryError
        with nogil:
            for packet in range(packets):
                taken.to = start
                taken.count = 0
                queue_take(&self.queue, overhead, limit, transmit_limit, take_with_length, &taken)
                total += taken.count
        free(start)
        return total
