# table.pxi: the member table: rows, the name index, the order, random choice (protocol §15).
#
# Three views of one thing. `rows` is the storage: a row keeps its number as long as it lives, so
# timers and probes may hold it. `index` finds a row by name: open addressing, a 32-bit hash and the
# row number a slot. `order` lists the rows that are members (alive, suspect, dead, left) in the
# random order they are probed in; names that wait for accept_member, or were refused, are not in
# it.
#
# The table decides nothing: merge.pxi judges, swim.pxi acts, this keeps the books.

cdef enum:
    MEMBER_SELF = 1             # flags: the node's own row; a reset never removes it

cdef struct member_t:
    identity_t* identity        # NULL: the row is free
    int64_t state_change_ns
    uint32_t incarnation
    uint32_t suspicion          # index in the suspicions, or NONE
    uint32_t order              # place in the order, or NONE; of a free row: the next free one
    uint32_t hash               # of the name, low 32 bits
    uint8_t state               # State
    uint8_t flags

cdef struct index_slot_t:
    uint32_t hash
    uint32_t row                # NONE: empty

cdef struct table_t:
    member_t* rows
    uint32_t capacity           # of rows and order alike
    uint32_t used               # rows ever used; behind it none was
    uint32_t free_row
    uint32_t* order
    uint32_t order_count        # "estimated nodes"
    index_slot_t* index
    uint32_t index_capacity     # a power of two, or 0
    uint32_t index_count
    uint32_t* scratch           # for table_random
    uint32_t scratch_capacity
    uint32_t[6] counts          # rows of each state
    uint64_t seed
    identities_t* identities

# Whether a member may be chosen.
ctypedef bint (*filter_fn)(void* ctx, const member_t* member, uint32_t row) noexcept nogil

assert sizeof(member_t) <= 64, "a member row must fit one cache line"
MEMBER_ROW_BYTES = sizeof(member_t)


cdef void table_init(table_t* self, identities_t* identities, uint64_t seed) noexcept nogil:
    """An empty table; it becomes one more owner of `identities`."""
    memset(self, 0, sizeof(table_t))
    self.free_row = NONE
    self.seed = seed
    self.identities = identities
    identities_retain(identities)


cdef void table_free(table_t* self) noexcept nogil:
    cdef uint32_t row
    for row in range(self.used):
        identity_release(self.identities, self.rows[row].identity)
    identities_release(self.identities)
    free(self.rows)
    free(self.order)
    free(self.index)
    free(self.scratch)
    memset(self, 0, sizeof(table_t))
    self.free_row = NONE


cdef inline uint64_t table_hash(const table_t* self, slice_t name) noexcept nogil:
    """The hash of a name that table_find wants."""
    return hash_bytes(self.seed, name.ptr, name.len)


cdef uint32_t table_find(const table_t* self, slice_t name, uint64_t hash) noexcept nogil:
    """The row of `name`, or NONE."""
    cdef uint32_t mask = self.index_capacity - 1
    cdef uint32_t at = <uint32_t>hash & mask
    cdef index_slot_t slot
    cdef const identity_t* identity
    if self.index_capacity == 0:
        return NONE
    while True:
        slot = self.index[at]
        if slot.row == NONE:
            return NONE
        if slot.hash == <uint32_t>hash:
            identity = self.rows[slot.row].identity
            if (identity.name_len == name.len
                    and memcmp(identity_bytes(identity), name.ptr, name.len) == 0):
                return slot.row
        at = (at + 1) & mask


cdef inline void index_put(
    index_slot_t* index, uint32_t capacity, uint32_t hash, uint32_t row
) noexcept nogil:
    cdef uint32_t at = hash & (capacity - 1)
    while index[at].row != NONE:
        at = (at + 1) & (capacity - 1)
    index[at].hash = hash
    index[at].row = row


cdef bint index_grow(table_t* self) noexcept nogil:
    cdef uint32_t capacity = max(<uint32_t>16, 2 * self.index_capacity)
    cdef uint32_t at
    cdef index_slot_t* index = <index_slot_t*>malloc(capacity * sizeof(index_slot_t))
    if index == NULL:
        return False
    memset(index, 0xFF, capacity * sizeof(index_slot_t))
    for at in range(self.index_capacity):
        if self.index[at].row != NONE:
            index_put(index, capacity, self.index[at].hash, self.index[at].row)
    free(self.index)
    self.index = index
    self.index_capacity = capacity
    return True


cdef void index_drop(table_t* self, uint32_t hash, uint32_t row) noexcept nogil:
    """Take a row out of the index and close the gap it leaves in its run of slots."""
    cdef uint32_t mask = self.index_capacity - 1
    cdef uint32_t hole = hash & mask
    cdef uint32_t at
    while self.index[hole].row != row:
        hole = (hole + 1) & mask
    at = hole
    while True:
        at = (at + 1) & mask
        if self.index[at].row == NONE:
            break
        # An entry may move back into the hole unless its home lies behind the hole.
        if ((at - self.index[at].hash) & mask) >= ((at - hole) & mask):
            self.index[hole] = self.index[at]
            hole = at
    self.index[hole].row = NONE
    self.index_count -= 1


cdef bint rows_grow(table_t* self) noexcept nogil:
    cdef uint32_t capacity = max(<uint32_t>8, 2 * self.capacity)
    cdef member_t* rows
    cdef uint32_t* order
    if self.capacity >= (1 << 30):
        return False
    rows = <member_t*>realloc(self.rows, capacity * sizeof(member_t))
    if rows == NULL:
        return False
    self.rows = rows
    order = <uint32_t*>realloc(self.order, capacity * sizeof(uint32_t))
    if order == NULL:
        return False
    self.order = order
    self.capacity = capacity
    return True


cdef inline void order_put(table_t* self, uint32_t at, uint32_t row) noexcept nogil:
    self.order[at] = row
    self.rows[row].order = at


cdef void table_promote(table_t* self, uint32_t row, rng_t* rng) noexcept nogil:
    """Make a row that was not one a full member: append it to the order, swap it with a random
    place (protocol §15). Its state is for the caller to set, to one of the four of a member."""
    cdef uint32_t last = self.order_count
    cdef uint32_t at = rng_below(rng, last)
    self.order_count += 1
    if at != last:
        order_put(self, last, self.order[at])
    order_put(self, at, row)


cdef uint32_t table_add(
    table_t* self, identity_t* identity, rng_t* rng, uint8_t state, int64_t now
) noexcept nogil:
    """A row for a name that has none, incarnation 0; NONE without memory. It takes over the
    caller's reference to the identity, also when it fails."""
    cdef uint32_t row
    cdef member_t* member
    if ((self.free_row == NONE and self.used == self.capacity and not rows_grow(self))
            or (4 * (<uint64_t>self.index_count + 1) > 3 * <uint64_t>self.index_capacity
                and not index_grow(self))):
        identity_release(self.identities, identity)
        return NONE
    if self.free_row != NONE:
        row = self.free_row
        self.free_row = self.rows[row].order
    else:
        row = self.used
        self.used += 1
    member = &self.rows[row]
    member.identity = identity
    member.state_change_ns = now
    member.incarnation = 0
    member.suspicion = NONE
    member.order = NONE
    member.hash = <uint32_t>table_hash(self, identity_name(identity))
    member.state = state
    member.flags = 0
    self.counts[state] += 1
    index_put(self.index, self.index_capacity, member.hash, row)
    self.index_count += 1
    if state <= STATE_LEFT:
        table_promote(self, row, rng)
    return row


cdef void row_free(table_t* self, uint32_t row) noexcept nogil:
    cdef member_t* member = &self.rows[row]
    index_drop(self, member.hash, row)
    self.counts[member.state] -= 1
    identity_release(self.identities, member.identity)
    member.identity = NULL
    member.order = self.free_row
    self.free_row = row


cdef void table_remove(table_t* self, uint32_t row) noexcept nogil:
    """Forget a row. The last of the order moves into the place it leaves there."""
    cdef uint32_t at = self.rows[row].order
    if at != NONE:
        self.order_count -= 1
        order_put(self, at, self.order[self.order_count])
    row_free(self, row)


cdef inline void table_set_state(
    table_t* self, uint32_t row, uint8_t state, int64_t now
) noexcept nogil:
    cdef member_t* member = &self.rows[row]
    self.counts[member.state] -= 1
    self.counts[state] += 1
    member.state = state
    member.state_change_ns = now


cdef inline void table_set_identity(
    table_t* self, uint32_t row, identity_t* identity
) noexcept nogil:
    """Replace who a member is; the name must be the same. Takes over the caller's reference."""
    identity_release(self.identities, self.rows[row].identity)
    self.rows[row].identity = identity


cdef void table_shuffle(table_t* self, rng_t* rng) noexcept nogil:
    """Fisher-Yates."""
    cdef uint32_t at, other, row
    for at in range(self.order_count, 1, -1):
        other = rng_below(rng, at)
        row = self.order[other]
        order_put(self, other, self.order[at - 1])
        order_put(self, at - 1, row)


cdef uint32_t table_reset(
    table_t* self, rng_t* rng, int64_t now, int64_t gossip_to_the_dead_ns
) noexcept nogil:
    """Remove the dead and left whose state is older than that, shuffle the rest (protocol §15).
    How many were removed."""
    cdef uint32_t at, row
    cdef uint32_t kept = 0
    cdef uint32_t before = self.order_count
    cdef member_t* member
    for at in range(before):
        row = self.order[at]
        member = &self.rows[row]
        if ((member.state == STATE_DEAD or member.state == STATE_LEFT)
                and not member.flags & MEMBER_SELF
                and now - member.state_change_ns > gossip_to_the_dead_ns):
            row_free(self, row)
        else:
            order_put(self, kept, row)
            kept += 1
    self.order_count = kept
    table_shuffle(self, rng)
    return before - kept


cdef bint scratch_grow(table_t* self, uint32_t wanted) noexcept nogil:
    cdef uint32_t* scratch
    if wanted <= self.scratch_capacity:
        return True
    scratch = <uint32_t*>realloc(self.scratch, wanted * sizeof(uint32_t))
    if scratch == NULL:
        return False
    self.scratch = scratch
    self.scratch_capacity = wanted
    return True


cdef uint32_t random_of_few(
    table_t* self, rng_t* rng, uint32_t k, filter_fn eligible, void* ctx, uint32_t* out
) noexcept nogil:
    """Shuffle a copy of the order as far as needed, take the first k that are eligible."""
    cdef uint32_t n = self.order_count
    cdef uint32_t chosen = 0
    cdef uint32_t at, other, row
    if not scratch_grow(self, 3 * k):       # n < 3k; once, unless k grows
        return 0
    memcpy(self.scratch, self.order, n * sizeof(uint32_t))
    for at in range(n):
        if chosen == k:
            break
        other = at + rng_below(rng, n - at)
        row = self.scratch[other]
        self.scratch[other] = self.scratch[at]
        if eligible(ctx, &self.rows[row], row):
            out[chosen] = row
            chosen += 1
    return chosen


cdef bint is_among(const uint32_t* rows, uint32_t count, uint32_t row) noexcept nogil:
    cdef uint32_t at
    for at in range(count):
        if rows[at] == row:
            return True
    return False


cdef uint32_t table_random(
    table_t* self, rng_t* rng, uint32_t k, filter_fn eligible, void* ctx, uint32_t* out
) noexcept nogil:
    """Up to k different members that are eligible, into `out`; how many (protocol §15, kRandom).
    In a large table it gives up after 3n draws, and may find fewer than there are."""
    cdef uint64_t draws
    cdef uint32_t chosen = 0
    cdef uint32_t n = self.order_count
    cdef uint32_t row
    if k == 0 or n == 0:
        return 0
    if n < 3 * <uint64_t>k:
        return random_of_few(self, rng, k, eligible, ctx, out)
    draws = 3 * <uint64_t>n
    while draws and chosen < k:
        draws -= 1
        row = self.order[rng_below(rng, n)]
        if eligible(ctx, &self.rows[row], row) and not is_among(out, chosen, row):
            out[chosen] = row
            chosen += 1
    return chosen
