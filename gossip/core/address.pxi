# address.pxi: addresses, comparisons, allowed networks.
#
# An address keeps the form it was received in: the 4-byte and the 16-byte form of one IPv4 address
# are different to the member table (protocol §12.1). Only sending and comparing with a packet's
# source go through addr_unmapped. Text forms belong to Python.

cdef struct cidr_t:
    uint8_t[16] ip
    uint8_t len             # 4 or 16
    uint8_t bits            # of the prefix, 0..8*len


cdef inline bint addr_equal(const addr_t* a, const addr_t* b) noexcept nogil:
    """Same bytes in the same form, same port."""
    return a.len == b.len and a.port == b.port and memcmp(a.ip, b.ip, a.len) == 0


cdef inline bint addr_same_ip(const addr_t* a, const addr_t* b) noexcept nogil:
    """Same bytes in the same form, whatever the ports."""
    return a.len == b.len and memcmp(a.ip, b.ip, a.len) == 0


cdef inline bint addr_from(slice_t ip, uint16_t port, addr_t* out) noexcept nogil:
    """Fill in an address from wire bytes; False when there are neither 4 nor 16 of them."""
    memset(out, 0, sizeof(addr_t))
    if ip.len != 4 and ip.len != 16:
        return False
    memcpy(out.ip, ip.ptr, ip.len)
    out.len = <uint8_t>ip.len
    out.port = port
    return True


cdef inline bint ip_is_mapped(const uint8_t* ip, uint32_t n) noexcept nogil:
    """Whether this is the 16-byte form of an IPv4 address, ::ffff:a.b.c.d."""
    cdef uint32_t i
    if n != 16 or ip[10] != 0xFF or ip[11] != 0xFF:
        return False
    for i in range(10):
        if ip[i] != 0:
            return False
    return True


cdef inline addr_t addr_unmapped(const addr_t* a) noexcept nogil:
    """The address to send to: an IPv4 address in its 4-byte form, anything else unchanged."""
    cdef addr_t out = a[0]
    if ip_is_mapped(a.ip, a.len):
        memset(&out, 0, sizeof(addr_t))
        memcpy(out.ip, &a.ip[12], 4)
        out.len = 4
        out.port = a.port
    return out


cdef bint cidr_matches(const cidr_t* net, const uint8_t* ip, uint32_t n) noexcept nogil:
    cdef uint32_t whole = net.bits >> 3, rest = net.bits & 7
    if net.len != n or memcmp(net.ip, ip, whole) != 0:
        return False
    return rest == 0 or ((net.ip[whole] ^ ip[whole]) >> (8 - rest)) == 0


cdef bint cidrs_allow(const cidr_t* nets, uint32_t count, slice_t ip) noexcept nogil:
    """Whether an IP is in one of the networks (protocol §12.2).

    No networks allow everything; else a nil, empty or wrong-length IP is never allowed, and a
    16-byte IPv4 address matches IPv4 networks.
    """
    cdef uint8_t[16] bytes
    cdef uint32_t i, n = ip.len
    if count == 0:
        return True
    if n != 4 and n != 16:
        return False
    memcpy(bytes, ip.ptr, n)
    if ip_is_mapped(bytes, n):
        memmove(bytes, &bytes[12], 4)
        n = 4
    for i in range(count):
        if cidr_matches(&nets[i], bytes, n):
            return True
    return False
