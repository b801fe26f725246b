# table.pxi: the member table: rows, the name index, the order, random choice (protocol §15).
#
# Three views of one thing. `rows` is the storage: a row keeps its number, and its place in memory,
# as long as it lives, so timers and probes may hold it. `names` finds a row. `order` lists the rows
# that are members (alive, suspect, dead, left) in the random order they are probed in; names that
# wait for accept_member, or were refused, are not in it. Nothing here takes longer because the
# table is large: rows and order are in pages, the map grows bucket by bucket, and the order is
# shuffled and cleared of the dead place by place.
#
# The table decides nothing: merge.pxi judges, swim.pxi acts, this keeps the books.

cdef enum:
    MEMBER_SELF = 1             # flags: the node's own row, which is never removed
    MEMBER_ANSWERED = 2         # it has answered a probe of ours

cdef struct member_t:
    entry_t entry               # in the map of names
    identity_t* identity        # NULL: the row is free
    int64_t state_change_ns
    uint32_t incarnation
    uint32_t suspicion          # index in the suspicions, or NONE
    uint32_t order              # place in the order, or NONE; of a free row: the next free one
    uint32_t number             # of the row
    uint32_t told               # the turn in which it was last gossiped to
    uint8_t state               # State
    uint8_t flags

cdef struct table_t:
    pages_t rows                # member_t
    uint32_t used               # rows ever used; behind it none was
    uint32_t free_row
    pages_t order               # uint32_t: the row at each place
    uint32_t order_count        # "estimated nodes"
    map_t names
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
    pages_init(&self.rows, sizeof(member_t))
    pages_init(&self.order, sizeof(uint32_t))
    map_init(&self.names)
    self.free_row = NONE
    self.seed = seed
    self.identities = identities
    identities_retain(identities)


cdef inline member_t* table_row(const table_t* self, uint32_t row) noexcept nogil:
    """The row of that number. It stays where it is as long as it is used."""
    return &(<member_t*>page_of(&self.rows, row))[in_page(row)]


cdef inline uint32_t* order_slot(const table_t* self, uint32_t at) noexcept nogil:
    return &(<uint32_t*>page_of(&self.order, at))[in_page(at)]


cdef inline uint32_t table_at(const table_t* self, uint32_t at) noexcept nogil:
    """The row at a place of the order."""
    return order_slot(self, at)[0]


cdef void table_free(table_t* self) noexcept nogil:
    cdef uint32_t row
    for row in range(self.used):
        identity_release(self.identities, table_row(self, row).identity)
    identities_release(self.identities)
    pages_free(&self.rows)
    pages_free(&self.order)
    map_free(&self.names)
    free(self.scratch)
    memset(self, 0, sizeof(table_t))
    self.free_row = NONE


cdef inline uint64_t table_hash(const table_t* self, slice_t name) noexcept nogil:
    """The hash of a name that table_find wants."""
    return hash_bytes(self.seed, name.ptr, name.len)


cdef uint32_t table_find(const table_t* self, slice_t name, uint64_t hash) noexcept nogil:
    """The row of `name`, or NONE."""
    cdef entry_t* entry = map_first(&self.names, hash)
    cdef member_t* member
    while entry != NULL:
        if entry.hash == hash:
            member = <member_t*>entry
            if (member.identity.name_len == name.len
                    and memcmp(identity_bytes(member.identity), name.ptr, name.len) == 0):
                return member.number
        entry = entry.next
    return NONE


cdef inline void table_expect(const table_t* self, uint64_t hash) noexcept nogil:
    """Have the identity at hand that table_find will compare; after map_expect_first."""
    cdef member_t* member = <member_t*>map_first(&self.names, hash)
    if member != NULL:
        expect(member.identity)


cdef inline void order_put(table_t* self, uint32_t at, uint32_t row) noexcept nogil:
    order_slot(self, at)[0] = row
    table_row(self, row).order = at


cdef void table_promote(table_t* self, uint32_t row, rng_t* rng) noexcept nogil:
    """Make a row that was not one a full member: append it to the order, swap it with a random
    place (protocol §15). Its state is for the caller to set, to one of the four of a member."""
    cdef uint32_t last = self.order_count
    cdef uint32_t at = rng_below(rng, last)
    self.order_count += 1
    if at != last:
        order_put(self, last, table_at(self, at))
    order_put(self, at, row)


cdef uint32_t table_add(
    table_t* self, identity_t* identity, rng_t* rng, uint8_t state, int64_t now
) noexcept nogil:
    """A row for a name that has none, incarnation 0; NONE without memory. It takes over the
    caller's reference to the identity, also when it fails."""
    cdef uint32_t row
    cdef member_t* member
    if not ((self.free_row != NONE or self.used < self.rows.count or pages_grow(&self.rows))
            and (self.used < self.order.count or pages_grow(&self.order))
            and map_reserve(&self.names)):
        identity_release(self.identities, identity)
        return NONE
    if self.free_row != NONE:
        row = self.free_row
        self.free_row = table_row(self, row).order
    else:
        row = self.used
        self.used += 1
    member = table_row(self, row)
    member.entry.hash = table_hash(self, identity_name(identity))
    member.identity = identity
    member.state_change_ns = now
    member.incarnation = 0
    member.suspicion = NONE
    member.order = NONE
    member.number = row
    member.told = 0
    member.state = state
    member.flags = 0
    self.counts[state] += 1
    map_put(&self.names, &member.entry)
    if state <= STATE_LEFT:
        table_promote(self, row, rng)
    return row


cdef void row_free(table_t* self, uint32_t row) noexcept nogil:
    cdef member_t* member = table_row(self, row)
    map_drop(&self.names, &member.entry)
    self.counts[member.state] -= 1
    identity_release(self.identities, member.identity)
    member.identity = NULL
    member.order = self.free_row
    self.free_row = row


cdef void table_remove(table_t* self, uint32_t row) noexcept nogil:
    """Forget a row. The last of the order moves into the place it leaves there."""
    cdef uint32_t at = table_row(self, row).order
    if at != NONE:
        self.order_count -= 1
        order_put(self, at, table_at(self, self.order_count))
    row_free(self, row)


cdef inline void table_set_state(
    table_t* self, uint32_t row, uint8_t state, int64_t now
) noexcept nogil:
    cdef member_t* member = table_row(self, row)
    if not (planted(BUG_MISCOUNT) and state == STATE_LEFT):
        self.counts[member.state] -= 1
    self.counts[state] += 1
    member.state = state
    member.state_change_ns = now


cdef inline void table_set_identity(
    table_t* self, uint32_t row, identity_t* identity
) noexcept nogil:
    """Replace who a member is; the name must be the same. Takes over the caller's reference."""
    cdef member_t* member = table_row(self, row)
    identity_release(self.identities, member.identity)
    member.identity = identity


cdef uint32_t table_turn(
    table_t* self, uint32_t at, rng_t* rng, int64_t now, int64_t gossip_to_the_dead_ns
) noexcept nogil:
    """Draw who is at place `at`, from all that are there and behind, and give the row. NONE: it
    was dead or left for longer than that time and is removed; then `at` has another row, if any.

    A walk over all places is one reset of protocol §15: a Fisher-Yates shuffle, and no old dead.
    """
    cdef uint32_t other = at + rng_below(rng, self.order_count - at)
    cdef uint32_t row = table_at(self, other)
    cdef member_t* member = table_row(self, row)
    if ((member.state == STATE_DEAD or member.state == STATE_LEFT)
            and not member.flags & MEMBER_SELF
            and now - member.state_change_ns > gossip_to_the_dead_ns):
        table_remove(self, row)
        return NONE
    order_put(self, other, table_at(self, at))
    order_put(self, at, row)
    return row


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
    for at in range(n):
        self.scratch[at] = table_at(self, at)
    for at in range(n):
        if chosen == k:
            break
        other = at + rng_below(rng, n - at)
        row = self.scratch[other]
        self.scratch[other] = self.scratch[at]
        if eligible(ctx, table_row(self, row), row):
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
    In a large table it gives up after 3n draws, or RANDOM_DRAWS_MAX, and may find fewer than there
    are: nobody to ask now is better than a node that holds everybody up."""
    cdef uint64_t draws
    cdef uint32_t chosen = 0
    cdef uint32_t n = self.order_count
    cdef uint32_t row
    if k == 0 or n == 0:
        return 0
    if n < 3 * <uint64_t>k:
        return random_of_few(self, rng, k, eligible, ctx, out)
    draws = min(3 * <uint64_t>n, <uint64_t>RANDOM_DRAWS_MAX)
    while draws and chosen < k:
        draws -= 1
        row = table_at(self, rng_below(rng, n))
        if eligible(ctx, table_row(self, row), row) and not is_among(out, chosen, row):
            out[chosen] = row
            chosen += 1
    return chosen
