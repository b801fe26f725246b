"""The core driven in a tight loop in C, batch by batch, as an endpoint drives it. No sockets.

Built for the benchmarks only; the product has no hook for them.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from gossip._core cimport Swim, batch_t, slot_t, swim_receive, swim_tick

cdef enum:
    BATCH = 16
    SLOT_BYTES = 65536


cdef int64_t clock_ns(int clock) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef class Feed:
    """Packets that lie ready in C memory. They all come from the blaster's address."""

    cdef batch_t batch
    cdef uint8_t* bytes
    cdef slot_t* packets
    cdef readonly uint32_t count

    def __cinit__(self, list packets not None):
        cdef size_t at = 0
        cdef uint32_t i
        cdef bytes packet
        self.count = len(packets)
        self.bytes = <uint8_t*>malloc(sum(map(len, packets)) + 1)
        self.packets = <slot_t*>malloc((self.count + 1) * sizeof(slot_t))
        if self.bytes == NULL or self.packets == NULL:
            raise MemoryError()
        for i in range(self.count):
            packet = packets[i]
            memcpy(self.bytes + at, <const char*>packet, len(packet))
            self.packets[i].data = self.bytes + at
            self.packets[i].len = <uint32_t>len(packet)
            self.packets[i].cap = SLOT_BYTES
            self.packets[i].peer.ip = [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            self.packets[i].peer.len = 4
            self.packets[i].peer.port = 10001
            at += len(packet)

    def __dealloc__(self):
        free(self.bytes)
        free(self.packets)

    def through(self, Swim core not None, int64_t now, uint32_t rounds=1):
        """All packets through the core, `rounds` times: (ns a packet, replies, their bytes).

        The replies are thrown away, as if they were sent. Processor time of this thread.
        """
        cdef batch_t batch
        cdef uint32_t round_, first, replies = 0
        cdef size_t out_bytes = 0
        cdef int64_t start
        with nogil:
            start = clock_ns(CLOCK_THREAD_CPUTIME_ID)
            for round_ in range(rounds):
                first = 0
                while first < self.count:
                    batch.slots = &self.packets[first]
                    batch.count = min(<uint32_t>BATCH, self.count - first)
                    swim_receive(core.swim, &batch, now, core.out)
                    replies += core.out.count
                    out_bytes += core.out.used
                    core.out.count = 0
                    core.out.used = 0
                    first += BATCH
            start = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start
        return start / (<double>rounds * self.count), replies, out_bytes


def timed_tick(Swim core not None, int64_t now):
    """One tick: ns of this thread. What it sends stays in the core's out batch."""
    cdef int64_t start
    with nogil:
        start = clock_ns(CLOCK_THREAD_CPUTIME_ID)
        swim_tick(core.swim, now, core.out)
        start = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start
    return start
