# versions.pxi: the six version bytes of a member, and whether a pool can agree on them (§11).
#
# A summary holds all that the check of a push/pull needs to know of any number of members, so
# that nobody has to look at them again. Which members count for what is the caller's to say.

cdef enum:
    VSN_BYTES = 6               # pmin pmax pcur dmin dmax dcur

cdef struct versions_t:
    # What those who narrow the range understand, all of them.
    uint8_t protocol_low
    uint8_t protocol_high
    uint8_t delegate_low
    uint8_t delegate_high
    # What is spoken, by anybody.
    uint8_t protocol_least
    uint8_t protocol_most
    uint8_t delegate_least
    uint8_t delegate_most


cdef inline bint versions_sane(slice_t vsn) noexcept nogil:
    """At least six bytes, with ranges that are ranges."""
    if vsn.len < VSN_BYTES or vsn.len > VSN_BYTES_MAX:
        return False
    cdef const uint8_t* v = vsn.ptr
    return 0 < v[0] <= v[2] <= v[1] and v[3] <= v[5] <= v[4]


cdef inline void versions_init(versions_t* all_) noexcept nogil:
    all_[0] = versions_t(0, 255, 0, 255, 255, 0, 255, 0)


cdef inline void versions_add(versions_t* all_, const uint8_t* vsn, bint narrows) noexcept nogil:
    """One more member, of six bytes; the living ones narrow the range."""
    if narrows:
        all_.protocol_low = max(all_.protocol_low, vsn[0])
        all_.protocol_high = min(all_.protocol_high, vsn[1])
        all_.delegate_low = max(all_.delegate_low, vsn[3])
        all_.delegate_high = min(all_.delegate_high, vsn[4])
    all_.protocol_least = min(all_.protocol_least, vsn[2])
    all_.protocol_most = max(all_.protocol_most, vsn[2])
    all_.delegate_least = min(all_.delegate_least, vsn[5])
    all_.delegate_most = max(all_.delegate_most, vsn[5])


cdef inline bint versions_agree(const versions_t* all_) noexcept nogil:
    """Whether everything that is spoken lies within what is understood."""
    return (all_.protocol_low <= all_.protocol_least
            and all_.protocol_most <= all_.protocol_high
            and all_.delegate_low <= all_.delegate_least
            and all_.delegate_most <= all_.delegate_high)
