"""Batched datagrams on one UDP socket: recvmmsg -> core -> sendmmsg in one stretch.

Knows sockets and no protocol. What the core wants sent goes straight from its out batch to the
system; what the socket holds goes straight to the core. Nothing here waits.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memcpy, memset

cimport cython

from gossip._core cimport (
    Swim,
    addr_t,
    batch_t,
    lock_release,
    lock_take,
    slot_t,
    swim_has_output,
    swim_next_deadline,
    swim_receive_on,
    swim_send_failed,
    swim_tick,
)

cdef extern from *:
    """
    #define gossip_read(at) __atomic_load_n((at), __ATOMIC_RELAXED)
    #define gossip_count(at, n) __atomic_store_n((at), gossip_read(at) + (n), __ATOMIC_RELAXED)
    """
    # Counters that one thread writes and another may read.
    uint64_t gossip_read(uint64_t* at) noexcept nogil
    void gossip_count(uint64_t* at, uint64_t n) noexcept nogil

cdef extern from "<time.h>" nogil:      # posix.time names <sys/time.h>, which need not bring it
    cdef struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* now)

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned short sa_family_t
    cdef struct sockaddr:
        sa_family_t sa_family
    cdef struct iovec:
        void* iov_base
        size_t iov_len
    cdef struct msghdr:
        void* msg_name
        unsigned int msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
    cdef struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    int recvmmsg(int fd, mmsghdr* headers, unsigned int count, int flags, timespec* timeout)
    int sendmmsg(int fd, mmsghdr* headers, unsigned int count, int flags)
    int AF_INET, AF_INET6, MSG_DONTWAIT, MSG_NOSIGNAL

cdef extern from "<netinet/in.h>" nogil:
    cdef struct in_addr:
        uint32_t s_addr
    cdef struct in6_addr:
        uint8_t[16] s6_addr
    cdef struct sockaddr_in:
        sa_family_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    cdef struct sockaddr_in6:
        sa_family_t sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
    uint16_t htons(uint16_t)
    uint16_t ntohs(uint16_t)

cdef extern from "<ifaddrs.h>" nogil:
    cdef struct ifaddrs:
        ifaddrs* ifa_next
        char* ifa_name
        unsigned int ifa_flags
        sockaddr* ifa_addr
    int getifaddrs(ifaddrs**)
    void freeifaddrs(ifaddrs*)

cdef extern from "<net/if.h>" nogil:
    unsigned int IFF_UP

cdef enum:
    BATCH = 16                # datagrams of one system call
    DRAIN_DATAGRAMS = 48      # of one wake-up, and what a batch brings; then others have their turn
    DRAIN_NS = 75_000         # after this no further batch is taken in
    SLOT_BYTES = 65536
    SLOT_STRIDE = SLOT_BYTES + 320   # slots a power of two apart would share their cache lines

WAITING = WAITING_
BLOCKED = BLOCKED_
UNDONE = UNDONE_

cdef uint8_t[12] V4_IN_V6 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]

# What one system call needs beside the datagrams themselves.
cdef struct lane_t:
    mmsghdr[BATCH] headers
    iovec[BATCH] vectors
    sockaddr_in6[BATCH] names   # the larger of the two kinds of address


cdef int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef void address_in(const sockaddr_in6* name, addr_t* peer) noexcept nogil:
    """The source of a datagram; IPv4 seen through an IPv6 socket is IPv4."""
    cdef const sockaddr_in* name4 = <const sockaddr_in*>name
    memset(peer, 0, sizeof(addr_t))
    if name.sin6_family == AF_INET:
        peer.len = 4
        memcpy(peer.ip, &name4.sin_addr, 4)
    elif memcmp(&name.sin6_addr, V4_IN_V6, 12) == 0:
        peer.len = 4
        memcpy(peer.ip, (<const uint8_t*>&name.sin6_addr) + 12, 4)
    else:
        peer.len = 16
        memcpy(peer.ip, &name.sin6_addr, 16)
    peer.port = ntohs(name.sin6_port)      # at the same place in both kinds


cdef unsigned int address_out(const addr_t* peer, bint ipv6, sockaddr_in6* name) noexcept nogil:
    """The destination of a datagram in the form the socket takes; gives its length.

    An IPv6 destination on an IPv4 socket stays one: the system refuses it, and that is counted.
    """
    cdef sockaddr_in* name4 = <sockaddr_in*>name
    cdef bint mapped = peer.len == 16 and memcmp(peer.ip, V4_IN_V6, 12) == 0
    memset(name, 0, sizeof(sockaddr_in6))
    if not ipv6 and (peer.len == 4 or mapped):
        name4.sin_family = AF_INET
        name4.sin_port = htons(peer.port)
        memcpy(&name4.sin_addr, &peer.ip[12 if mapped else 0], 4)
        return sizeof(sockaddr_in)
    name.sin6_family = AF_INET6
    name.sin6_port = htons(peer.port)
    if peer.len == 4:
        memcpy(&name.sin6_addr, V4_IN_V6, 12)
        memcpy((<uint8_t*>&name.sin6_addr) + 12, peer.ip, 4)
    else:
        memcpy(&name.sin6_addr, peer.ip, 16)
    return sizeof(sockaddr_in6)


@cython.final
cdef class Endpoint:
    """One UDP socket and the core it feeds. Does not own the socket.

    Every entry sends what the core wants sent before it returns, and returns flags: WAITING,
    BLOCKED, UNDONE. After `detach` all entries do nothing. One that lives apart sends from a batch
    of its own: a thread may run it, while another endpoint sends what calls of the user wrote.

    While the core may call Python (an AEAD made of Python objects), the GIL is kept. A core that is
    shared with a thread is only entered without.
    """

    def __cinit__(self, int fd, bint ipv6, Swim core not None, *, bint apart=False):
        cdef int i
        self.core = core
        self.out = core.out
        if apart:
            self.out = &self.own
            self.own.capacity = core.out.capacity
            self.own.size = core.out.size
            self.own.slots = <slot_t*>calloc(self.own.capacity, sizeof(slot_t))
            self.own.arena = <uint8_t*>malloc(self.own.size)
            if self.own.slots == NULL or self.own.arena == NULL:
                raise MemoryError()
        self.fd = fd
        self.ipv6 = ipv6
        self.inbound.slots = <slot_t*>calloc(BATCH, sizeof(slot_t))
        self.inbound.arena = <uint8_t*>malloc(BATCH * SLOT_STRIDE)
        self.lane_in = <lane_t*>calloc(1, sizeof(lane_t))
        self.lane_out = <lane_t*>calloc(1, sizeof(lane_t))
        if (self.inbound.slots == NULL or self.inbound.arena == NULL or self.lane_in == NULL
                or self.lane_out == NULL):
            raise MemoryError()
        self.inbound.capacity = BATCH
        self.inbound.size = BATCH * SLOT_STRIDE
        for i in range(BATCH):
            self.inbound.slots[i].data = self.inbound.arena + i * SLOT_STRIDE
            self.inbound.slots[i].cap = SLOT_BYTES
            self.lane_in.vectors[i].iov_base = self.inbound.slots[i].data
            self.lane_in.vectors[i].iov_len = SLOT_BYTES
        bind_lane(self.lane_in)
        bind_lane(self.lane_out)

    def __dealloc__(self):
        free(self.own.slots)
        free(self.own.arena)
        free(self.inbound.slots)
        free(self.inbound.arena)
        free(self.lane_in)
        free(self.lane_out)

    def on_readable(self):
        """Takes datagrams from the socket, a bounded number, through the core."""
        cdef int flags
        if self.fd < 0:
            return 0
        if not self.core.needs_gil:
            with nogil:
                flags = self.take_in()
            return flags
        return self.take_in()

    def tick(self):
        """Lets the core do what is due; harmless when nothing is."""
        return self.advance() if self.fd >= 0 else 0

    def flush(self):
        """Sends what the core left to send: after a call of the user, or when writable again."""
        cdef int flags
        if self.fd < 0:
            return 0
        if self.core.lock != NULL:
            with nogil:
                flags = self.send_out()
            return flags
        return self.send_out()

    def next_deadline(self):
        """When the core wants `tick`, in nanoseconds of the monotonic clock; 2^63 - 1: never."""
        cdef int64_t deadline = swim_next_deadline(self.core._hold())
        self.core._let_go()
        return deadline

    def detach(self):
        """Leaves the socket alone from now on; it may then be closed, or belong to a parent."""
        self.fd = -1

    def stats(self):
        """Counters since the start; `send_errors` by errno."""
        cdef int i
        return {
            "packets_received": gossip_read(&self.packets_in),
            "packets_sent": gossip_read(&self.packets_out),
            "bytes_received": gossip_read(&self.bytes_in),
            "bytes_sent": gossip_read(&self.bytes_out),
            "receive_errors": gossip_read(&self.receive_errors),
            "send_errors": {i: gossip_read(&self.send_errors[i]) for i in range(ERRNO_MAX)
                            if gossip_read(&self.send_errors[i])},
        }

    cdef int take_in(self) noexcept nogil:
        """Batch after batch until the socket is empty: while the answers to one were on their way,
        more may have come, and to look costs a tenth of coming back here through the loop."""
        cdef int flags = 0
        cdef uint32_t taken = 0
        cdef int64_t now = monotonic_ns()
        cdef int64_t end = now + DRAIN_NS
        while self.first < self.inbound.count or self._receive() > 0:
            lock_take(self.core.lock)
            self.first = swim_receive_on(self.core.swim, &self.inbound, self.first, now, self.out)
            lock_release(self.core.lock)
            flags = self.send_out()
            if self.first < self.inbound.count:
                return flags | UNDONE_
            taken += self.inbound.count
            now = monotonic_ns()
            if taken >= DRAIN_DATAGRAMS or now >= end:
                break
        return flags

    cdef int advance(self) noexcept nogil:
        lock_take(self.core.lock)
        swim_tick(self.core.swim, monotonic_ns(), self.out)
        lock_release(self.core.lock)
        return self.send_out()

    cdef int _receive(self) noexcept nogil:
        """Fills the inbound batch with one system call; gives the number of datagrams."""
        cdef lane_t* lane = self.lane_in
        cdef slot_t* slot
        cdef int count, i
        for i in range(BATCH):
            lane.headers[i].msg_hdr.msg_namelen = sizeof(sockaddr_in6)
        count = recvmmsg(self.fd, lane.headers, BATCH, MSG_DONTWAIT, NULL)
        if count < 0:
            if errno != EAGAIN and errno != EINTR:
                gossip_count(&self.receive_errors, 1)
            count = 0
        for i in range(count):
            slot = &self.inbound.slots[i]
            slot.len = lane.headers[i].msg_len
            address_in(&lane.names[i], &slot.peer)
            gossip_count(&self.bytes_in, slot.len)
        gossip_count(&self.packets_in, count)
        self.inbound.count = count
        self.first = 0
        return count

    cdef int send_out(self) noexcept nogil:
        """Sends the out batch. A packet the system refuses never delays those behind it."""
        cdef batch_t* out = self.out
        cdef int count, error
        while self.sent < out.count:
            count = sendmmsg(self.fd, self.lane_out.headers, self._fill(), MSG_DONTWAIT
                             | MSG_NOSIGNAL)
            if count > 0:
                self._count_sent(count)
                continue
            error = errno
            if error == EINTR:
                continue
            if error == EAGAIN:
                return BLOCKED_ | self._waiting()
            self._refused(error)
        out.count = 0
        out.used = 0
        self.sent = 0
        return self._waiting()

    cdef int _waiting(self) noexcept nogil:
        cdef bint waiting
        lock_take(self.core.lock)
        waiting = swim_has_output(self.core.swim)
        lock_release(self.core.lock)
        return WAITING_ if waiting else 0

    cdef unsigned int _fill(self) noexcept nogil:
        """Points the headers at the next packets of the out batch; gives their number."""
        cdef lane_t* lane = self.lane_out
        cdef batch_t* out = self.out
        cdef unsigned int count = min(<unsigned int>BATCH, out.count - self.sent)
        cdef slot_t* slot
        cdef unsigned int i
        for i in range(count):
            slot = &out.slots[self.sent + i]
            lane.vectors[i].iov_base = slot.data
            lane.vectors[i].iov_len = slot.len
            lane.headers[i].msg_hdr.msg_namelen = address_out(&slot.peer, self.ipv6,
                                                              &lane.names[i])
        return count

    cdef void _count_sent(self, int count) noexcept nogil:
        cdef int i
        for i in range(count):
            gossip_count(&self.bytes_out, self.out.slots[self.sent + i].len)
        gossip_count(&self.packets_out, count)
        self.sent += count

    cdef void _refused(self, int error) noexcept nogil:
        """The system refused the next packet: count it, tell the core, go on behind it."""
        cdef addr_t peer = self.out.slots[self.sent].peer
        self.sent += 1
        gossip_count(&self.send_errors[error if 0 < error < ERRNO_MAX else 0], 1)
        lock_take(self.core.lock)
        swim_send_failed(self.core.swim, &peer, error, monotonic_ns(), self.out)
        lock_release(self.core.lock)


cdef void bind_lane(lane_t* lane) noexcept nogil:
    cdef int i
    for i in range(BATCH):
        lane.headers[i].msg_hdr.msg_iov = &lane.vectors[i]
        lane.headers[i].msg_hdr.msg_iovlen = 1
        lane.headers[i].msg_hdr.msg_name = &lane.names[i]


def interface_addresses():
    """Every address of every interface that is up, as (interface, 4 or 16 bytes)."""
    cdef ifaddrs* first = NULL
    cdef ifaddrs* each
    cdef sockaddr_in* name4
    cdef sockaddr_in6* name6
    found = []
    if getifaddrs(&first) != 0:
        return found
    try:
        each = first
        while each != NULL:
            if each.ifa_addr != NULL and each.ifa_flags & IFF_UP:
                name = each.ifa_name.decode("utf-8", "replace")
                if each.ifa_addr.sa_family == AF_INET:
                    name4 = <sockaddr_in*>each.ifa_addr
                    found.append((name, (<const char*>&name4.sin_addr)[:4]))
                elif each.ifa_addr.sa_family == AF_INET6:
                    name6 = <sockaddr_in6*>each.ifa_addr
                    found.append((name, (<const char*>&name6.sin6_addr)[:16]))
            each = each.ifa_next
    finally:
        freeifaddrs(first)
    return found
