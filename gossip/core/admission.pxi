# admission.pxi: which claims may be looked at, decided without Python on the packet path.
#
# memberlist validates almost nothing here (protocol §4.6, §11.1), and each gap is a way to hurt a
# pool; docs/protocol/deviations.md lists what we refuse and why.

cdef enum NameRule:
    NAME_ANY = 0             # 1..255 bytes without control characters
    NAME_SERF = 1            # letters, digits, dash and dot, up to 128; protocol: Serf §6


cdef bint name_readable(slice_t name) noexcept nogil:
    """Without control characters: a name stands in log lines, also the name of an accuser."""
    cdef cursor_t cursor = cursor_of(name)
    cdef uint8_t c
    while cursor_u8(&cursor, &c):
        if c < 0x20 or c == 0x7F:
            return False
    return name.len <= NAME_BYTES_MAX


cdef bint name_allowed(swim_t* s, slice_t name) noexcept nogil:
    cdef cursor_t cursor = cursor_of(name)
    cdef uint8_t c
    if name.len == 0 or s.settings.name_rule != NAME_SERF:
        return name.len > 0 and name_readable(name)
    while cursor_u8(&cursor, &c):
        if not (c"0" <= c <= c"9" or c"A" <= c <= c"Z" or c"a" <= c <= c"z"
                or c == c"-" or c == c"."):
            return False
    return name.len <= NAME_SERF_BYTES_MAX


cdef bint versions_absurd(slice_t vsn) noexcept nogil:
    """What memberlist itself ignores, also about its own name (protocol §11.1)."""
    cdef const uint8_t* v = vsn.ptr
    return vsn.len >= 3 and (v[0] == 0 or v[1] == 0 or v[0] > v[1])


cdef bint versions_allowed(swim_t* s, slice_t vsn) noexcept nogil:
    """Sane version bytes whose ranges include ours; anything else would poison the pool.

    memberlist takes a short Vsn and from then on fails every push/pull (protocol §11.2).
    """
    if not versions_sane(vsn):
        return False
    cdef const uint8_t* v = vsn.ptr
    return (v[0] <= s.settings.protocol_version <= v[1]
            and v[3] <= s.settings.delegate_protocol_version <= v[4]
            and PROTOCOL_VERSION_MIN <= v[2] <= PROTOCOL_VERSION_MAX
            and s.settings.delegate_protocol_min <= v[5] <= s.settings.delegate_protocol_max)


cdef bint network_allowed(swim_t* s, slice_t ip) noexcept nogil:
    return not s.cidrs_set or cidrs_allow(s.cidrs, s.cidr_count, ip)


cdef inline bint incarnation_jumps(swim_t* s, uint32_t known, uint32_t claimed,
                                   uint32_t ahead) noexcept nogil:
    """Whether a claimed incarnation is not to be taken: further ahead of the clock than that."""
    return claimed > known and claimed > coarse_clock(s) + ahead


cdef int address_admissible(swim_t* s, const alive_t* alive) noexcept nogil:
    """The rules for where an alive claim comes from and points to; also one about this node."""
    if alive.addr.len != 4 and alive.addr.len != 16:
        return DROP_ADDRESS
    if s.from_packet and not (network_allowed(s, slice_of(s.source.ip, s.source.len))
                              and network_allowed(s, alive.addr)):
        return DROP_CIDR
    return DROP_NONE


cdef int alive_admissible(swim_t* s, const alive_t* alive, bint known) noexcept nogil:
    """The rules for an alive claim about another node. A `known` name was looked at before."""
    if not known and not name_allowed(s, alive.node):
        return DROP_NAME
    if alive.meta.len > META_BYTES_MAX:
        return DROP_META
    if not versions_allowed(s, alive.vsn):
        return DROP_VSN
    return address_admissible(s, alive)


cdef int newcomer_admissible(swim_t* s, const alive_t* alive) noexcept nogil:
    """The rules for a name that the table does not hold yet; takes from the packet's budget."""
    cdef uint32_t waiting = rows_in(s, STATE_PENDING)
    if not network_allowed(s, alive.addr):
        return DROP_CIDR
    if s.from_packet:
        if s.new_names <= 0:
            return DROP_NEW_NAMES
        s.new_names -= 1
    if s.table.order_count + waiting >= s.settings.max_members:
        return DROP_MEMBERS_FULL
    if s.settings.ask_accept_member and waiting >= PENDING_MAX:
        return DROP_MEMBERS_FULL
    return DROP_NONE
