# serf_table.pxi: Serf's members: rows, finding by name and by address, who failed and who left.
#
# Beside memberlist's table because it remembers longer: a failed member stays a day. It keeps the
# books; serf_members.pxi decides. Numbers of rows are good until the row is removed.

cdef enum:                      # statuses, as the wire numbers them (Serf §4)
    STATUS_NONE = 0
    STATUS_ALIVE = 1
    STATUS_LEAVING = 2
    STATUS_LEFT = 3
    STATUS_FAILED = 4
    STATUSES = 5

cdef struct address_entry_t:
    entry_t entry               # in the map of addresses
    uint32_t row

cdef struct serf_member_t:
    entry_t entry               # in the map of names
    address_entry_t at
    identity_t* identity        # NULL: the row is free
    uint64_t ltime              # of the status
    uint64_t doubted            # the one at which a reaper last saw it leaving
    int64_t left_ns             # when it failed or left; 0: it did not
    int64_t reconnect_ns        # how long it is kept then, if not as the settings say; -1: no
    uint32_t number
    uint32_t serial             # of this presence: higher is later
    uint32_t order              # place among all; of a free row: the next free one
    uint32_t gone               # place among the failed, or among the left
    uint8_t status

cdef struct serf_table_t:
    pages_t rows                # serf_member_t
    pages_t order               # uint32_t: all members, in no order
    pages_t failed              # uint32_t
    pages_t left                # uint32_t
    map_t names
    map_t addresses
    uint32_t used               # rows ever used
    uint32_t free_row
    uint32_t count
    uint32_t[5] counts          # of each status
    uint32_t serial
    uint64_t seed
    identities_t* identities


cdef void serf_table_init(serf_table_t* self, identities_t* identities,
                          uint64_t seed) noexcept nogil:
    memset(self, 0, sizeof(serf_table_t))
    pages_init(&self.rows, sizeof(serf_member_t))
    pages_init(&self.order, sizeof(uint32_t))
    pages_init(&self.failed, sizeof(uint32_t))
    pages_init(&self.left, sizeof(uint32_t))
    map_init(&self.names)
    map_init(&self.addresses)
    self.free_row = NONE
    self.seed = seed
    self.identities = identities
    identities_retain(identities)


cdef inline serf_member_t* serf_row(const serf_table_t* self, uint32_t row) noexcept nogil:
    return &(<serf_member_t*>page_of(&self.rows, row))[in_page(row)]


cdef inline uint32_t* row_slot(const pages_t* list_, uint32_t at) noexcept nogil:
    return &(<uint32_t*>page_of(list_, at))[in_page(at)]


cdef inline serf_member_t* serf_at(const serf_table_t* self, uint32_t at) noexcept nogil:
    """One of the `count` members."""
    return serf_row(self, row_slot(&self.order, at)[0])


cdef void serf_table_free(serf_table_t* self) noexcept nogil:
    cdef uint32_t at
    for at in range(self.count):
        identity_release(self.identities, serf_at(self, at).identity)
    identities_release(self.identities)
    pages_free(&self.rows)
    pages_free(&self.order)
    pages_free(&self.failed)
    pages_free(&self.left)
    map_free(&self.names)
    map_free(&self.addresses)


cdef serf_member_t* serf_find(const serf_table_t* self, slice_t name) noexcept nogil:
    """The member of that name, or NULL."""
    cdef uint64_t hash = hash_bytes(self.seed, name.ptr, name.len)
    cdef entry_t* entry = map_first(&self.names, hash)
    while entry != NULL:
        if entry.hash == hash and slice_equal(
                identity_name((<serf_member_t*>entry).identity), name):
            return <serf_member_t*>entry
        entry = entry.next
    return NULL


# -- addresses: replies go to members only

cdef inline uint64_t address_hash(const serf_table_t* self, const addr_t* addr) noexcept nogil:
    return hash_bytes(self.seed ^ addr.port, addr.ip, addr.len)


cdef bint serf_has_address(const serf_table_t* self, const addr_t* addr) noexcept nogil:
    """Whether some member has this address, which is in the form that is sent to."""
    cdef uint64_t hash = address_hash(self, addr)
    cdef entry_t* entry = map_first(&self.addresses, hash)
    cdef addr_t of_member
    while entry != NULL:
        if entry.hash == hash:
            identity_addr_t(serf_row(self, (<address_entry_t*>entry).row).identity, &of_member)
            if addr_equal(addr, &of_member):
                return True
        entry = entry.next
    return False


cdef void serf_put_address(serf_table_t* self, serf_member_t* member) noexcept nogil:
    cdef addr_t addr
    identity_addr_t(member.identity, &addr)
    member.at.entry.hash = address_hash(self, &addr)
    member.at.row = member.number
    map_put(&self.addresses, &member.at.entry)


cdef void serf_set_identity(serf_table_t* self, serf_member_t* member,
                            identity_t* identity) noexcept nogil:
    """Who the member is now; the name is the same. Takes a reference of its own."""
    identity_retain(identity)
    map_drop(&self.addresses, &member.at.entry)
    identity_release(self.identities, member.identity)
    member.identity = identity
    serf_put_address(self, member)


# -- rows

cdef bint list_reserve(pages_t* list_, uint32_t count) noexcept nogil:
    return count <= list_.count or pages_grow(list_)


cdef serf_member_t* serf_add(serf_table_t* self, identity_t* identity) noexcept nogil:
    """A member with status none, for a name that is none; NULL without memory. Every list has
    room for it from then on: no later step can fail."""
    cdef uint32_t wanted = self.count + 1
    cdef uint32_t row
    cdef serf_member_t* member
    if not ((self.free_row != NONE or list_reserve(&self.rows, self.used + 1))
            and list_reserve(&self.order, wanted) and list_reserve(&self.failed, wanted)
            and list_reserve(&self.left, wanted) and map_reserve(&self.names)
            and map_reserve(&self.addresses)):
        return NULL
    row = self.free_row
    if row != NONE:
        self.free_row = serf_row(self, row).order
    else:
        row = self.used
        self.used += 1
    member = serf_row(self, row)
    memset(member, 0, sizeof(serf_member_t))
    member.identity = identity_retain(identity)
    member.number = row
    member.reconnect_ns = -1
    member.entry.hash = hash_bytes(self.seed, identity_name(identity).ptr, identity.name_len)
    map_put(&self.names, &member.entry)
    serf_put_address(self, member)
    member.order = self.count
    row_slot(&self.order, self.count)[0] = row
    self.count += 1
    self.counts[STATUS_NONE] += 1
    return member


cdef inline pages_t* list_of(serf_table_t* self, uint8_t status) noexcept nogil:
    """The list that members of a status stand in besides, or NULL."""
    if status == STATUS_FAILED:
        return &self.failed
    return &self.left if status == STATUS_LEFT else NULL


cdef void serf_set_status(serf_table_t* self, serf_member_t* member,
                          uint8_t status) noexcept nogil:
    """A change of status, with the lists of the failed and of the left."""
    cdef pages_t* list_ = list_of(self, member.status)
    cdef uint32_t last
    self.counts[member.status] -= 1
    if list_ != NULL:
        last = row_slot(list_, self.counts[member.status])[0]
        row_slot(list_, member.gone)[0] = last
        serf_row(self, last).gone = member.gone
    list_ = list_of(self, status)
    if list_ != NULL:
        member.gone = self.counts[status]
        row_slot(list_, member.gone)[0] = member.number
    self.counts[status] += 1
    member.status = status


cdef void serf_remove(serf_table_t* self, serf_member_t* member) noexcept nogil:
    """Forget a member. The last one of the order moves into its place there."""
    cdef uint32_t last
    serf_set_status(self, member, STATUS_NONE)
    self.counts[STATUS_NONE] -= 1
    self.count -= 1
    last = row_slot(&self.order, self.count)[0]
    row_slot(&self.order, member.order)[0] = last
    serf_row(self, last).order = member.order
    map_drop(&self.names, &member.entry)
    map_drop(&self.addresses, &member.at.entry)
    identity_release(self.identities, member.identity)
    member.identity = NULL
    member.order = self.free_row
    self.free_row = member.number
