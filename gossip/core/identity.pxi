# identity.pxi: who a member is: name, address, port, metadata, versions. Stored once for all tables
# of a process and never changed: a member that changes gets another identity.
#
# A set may be shared by several cores of one thread; `Swim.share` holds other threads off.
# Nothing is sized for the wire here: whoever interns has checked the lengths.

cdef struct identity_t:
    entry_t entry               # in the set; its hash is that of everything below `refs`
    uint32_t refs
    uint16_t name_len
    uint16_t meta_len
    uint16_t port
    uint8_t addr_len            # 4 or 16; 0: none
    uint8_t[6] vsn              # pmin pmax pcur dmin dmax dcur
    # The bytes of name, address and meta follow the struct.

cdef struct identities_t:
    map_t map
    size_t bytes                # held by all identities, for stats
    uint64_t seed
    uint32_t owners             # the class `Identities` and every table that uses the set


cdef identities_t* identities_new(uint64_t seed) noexcept nogil:
    """An empty set with one owner, or NULL."""
    cdef identities_t* self = <identities_t*>calloc(1, sizeof(identities_t))
    if self != NULL:
        map_init(&self.map)
        self.seed = seed
        self.owners = 1
    return self


cdef inline void identities_retain(identities_t* self) noexcept nogil:
    self.owners += 1


cdef void identities_release(identities_t* self) noexcept nogil:
    """One owner less. The last one takes everything that is left with it."""
    cdef entry_t** head
    cdef entry_t* entry
    cdef uint32_t bucket
    if self == NULL:
        return
    self.owners -= 1
    if self.owners:
        return
    for bucket in range(self.map.buckets):
        head = map_head(&self.map, bucket)
        while head[0] != NULL:
            entry = head[0]
            head[0] = entry.next
            free(entry)
    map_free(&self.map)
    free(self)


cdef inline uint8_t* identity_bytes(const identity_t* self) noexcept nogil:
    return <uint8_t*>self + sizeof(identity_t)


cdef inline size_t identity_size(const identity_t* self) noexcept nogil:
    return sizeof(identity_t) + self.name_len + self.addr_len + self.meta_len


cdef inline size_t identity_content(const identity_t* self) noexcept nogil:
    """Bytes of what makes an identity: from `name_len` to the end."""
    return identity_size(self) - <size_t>(<char*>&self.name_len - <char*>self)


cdef inline slice_t identity_name(const identity_t* self) noexcept nogil:
    cdef slice_t name
    name.ptr = identity_bytes(self)
    name.len = self.name_len
    return name


cdef inline slice_t identity_addr(const identity_t* self) noexcept nogil:
    cdef slice_t addr
    addr.ptr = identity_bytes(self) + self.name_len
    addr.len = self.addr_len
    return addr


cdef inline slice_t identity_meta(const identity_t* self) noexcept nogil:
    """The metadata; empty metadata is nil, as a node without any sends it."""
    cdef slice_t meta
    meta.ptr = identity_bytes(self) + self.name_len + self.addr_len if self.meta_len else NULL
    meta.len = self.meta_len
    return meta


cdef inline void identity_addr_t(const identity_t* self, addr_t* out) noexcept nogil:
    """The address to send to: an IPv4 address in its 4-byte form, however it was claimed."""
    cdef addr_t claimed
    memset(&claimed, 0, sizeof(addr_t))
    memcpy(claimed.ip, identity_bytes(self) + self.name_len, self.addr_len)
    claimed.len = self.addr_len
    claimed.port = self.port
    out[0] = addr_unmapped(&claimed)


cdef identity_t* identity_new(
    identities_t* set_, slice_t name, slice_t addr, uint16_t port, slice_t meta, const uint8_t* vsn
) noexcept nogil:
    """A fresh identity outside the set, hashed; NULL without memory or past the field widths."""
    cdef identity_t* self
    cdef uint8_t* at
    if name.len > UINT16_MAX or meta.len > UINT16_MAX or addr.len > 16:
        return NULL
    self = <identity_t*>malloc(sizeof(identity_t) + name.len + addr.len + meta.len)
    if self == NULL:
        return NULL
    memset(self, 0, sizeof(identity_t))     # the padding is hashed and compared too
    self.name_len = <uint16_t>name.len
    self.addr_len = <uint8_t>addr.len
    self.meta_len = <uint16_t>meta.len
    self.port = port
    memcpy(self.vsn, vsn, 6)
    at = identity_bytes(self)
    if name.len:
        memcpy(at, name.ptr, name.len)
    if addr.len:
        memcpy(at + name.len, addr.ptr, addr.len)
    if meta.len:
        memcpy(at + name.len + addr.len, meta.ptr, meta.len)
    self.entry.hash = hash_bytes(set_.seed, <uint8_t*>&self.name_len, identity_content(self))
    return self


cdef inline bint identity_equal(const identity_t* a, const identity_t* b) noexcept nogil:
    return (a.entry.hash == b.entry.hash and identity_size(a) == identity_size(b)
            and memcmp(&a.name_len, &b.name_len, identity_content(a)) == 0)


cdef inline identity_t* identity_retain(identity_t* self) noexcept nogil:
    self.refs += 1
    return self


cdef identity_t* identities_intern(
    identities_t* self, slice_t name, slice_t addr, uint16_t port, slice_t meta, const uint8_t* vsn
) noexcept nogil:
    """The one identity with these contents, retained for the caller; NULL without memory."""
    cdef identity_t* made
    cdef entry_t* entry
    if not map_reserve(&self.map):
        return NULL
    made = identity_new(self, name, addr, port, meta, vsn)
    if made == NULL:
        return NULL
    entry = map_first(&self.map, made.entry.hash)
    while entry != NULL:
        if identity_equal(<identity_t*>entry, made):
            free(made)
            return identity_retain(<identity_t*>entry)
        entry = entry.next
    map_put(&self.map, &made.entry)
    self.bytes += identity_size(made)
    return identity_retain(made)


cdef void identity_release(identities_t* self, identity_t* identity) noexcept nogil:
    """One reference less; NULL does nothing."""
    if identity == NULL:
        return
    identity.refs -= 1
    if identity.refs == 0:
        map_drop(&self.map, &identity.entry)
        self.bytes -= identity_size(identity)
        free(identity)


@cython.final
cdef class Identities:
    """A set of identities that several cores of one thread may share, to store each name, address
    and metadata once."""

    cdef identities_t* set

    def __cinit__(self, uint64_t seed=0):
        self.set = identities_new(seed)
        if self.set == NULL:
            raise MemoryError

    def __dealloc__(self):
        identities_release(self.set)

    def __len__(self) -> int:
        return <Py_ssize_t>self.set.map.count

    @property
    def nbytes(self) -> int:
        """Bytes held by all identities together."""
        return self.set.bytes
