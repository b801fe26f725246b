"""The codec's leaf functions in a tight loop in C: the core's own source, compiled here as well."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdint cimport INT64_MAX, UINT16_MAX, UINT32_MAX, UINT64_MAX
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset, strlen
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

cimport cython

from gossip._core cimport addr_t, buffer_t, slice_t

include "../gossip/core/limits.pxi"
include "../gossip/core/cursor.pxi"
include "../gossip/core/buffer.pxi"
include "../gossip/core/address.pxi"
include "../gossip/core/msgpack.pxi"
include "../gossip/core/lzw.pxi"
include "../gossip/core/messages.pxi"
include "../gossip/core/maps.pxi"


cdef int64_t cpu_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef extern from *:
    """
    #define used(p) __asm__ volatile("" : : "r"(p) : "memory")
    """
    void used(const void* p) nogil


cdef slice_t body_of(bytes message):
    """What stands behind the type byte."""
    return slice_from(slice_of(<const uint8_t*><const char*>message, <size_t>len(message)), 1)


def decode(bytes message not None, uint32_t calls):
    """ns for one decoding of a ping or an alive."""
    cdef slice_t body = body_of(message)
    cdef ping_t ping
    cdef alive_t alive
    cdef uint32_t i
    cdef int64_t start = cpu_ns()
    cdef int bad = 0
    if message[0] == MSG_PING:
        for i in range(calls):
            bad |= decode_ping(body, &ping)
            used(&ping)
    else:
        for i in range(calls):
            bad |= decode_alive(body, &alive)
            used(&alive)
    start = cpu_ns() - start
    assert bad == 0
    return start / <double>calls


def encode(bytes message not None, uint32_t calls):
    """ns for encoding that message, a ping or an alive, anew."""
    cdef slice_t body = body_of(message)
    cdef uint8_t[CLAIM_BYTES_MAX] out
    cdef writer_t writer
    cdef ping_t ping
    cdef alive_t alive
    cdef bint is_ping = message[0] == MSG_PING
    cdef uint32_t i
    cdef int bad = decode_ping(body, &ping) if is_ping else decode_alive(body, &alive)
    cdef int64_t start = cpu_ns()
    for i in range(calls):
        writer = writer_of(out, sizeof(out))
        if is_ping:
            encode_ping(&writer, &ping)
        else:
            encode_alive(&writer, &alive)
        used(out)
    start = cpu_ns() - start
    assert bad == 0 and out[:writer_len(&writer)] == message
    return start / <double>calls
