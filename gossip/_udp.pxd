# The endpoint's face to C, for the thread that runs one without the GIL.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from gossip._core cimport Swim, batch_t

cdef enum:
    ERRNO_MAX = 256
    WAITING_ = 1              # events or stream commands wait in the core
    BLOCKED_ = 2              # the socket takes no more: call `flush` when it is writable
    UNDONE_ = 4               # datagrams were read and not handled: call `on_readable` soon

cdef struct lane_t

cdef int64_t monotonic_ns() noexcept nogil

cdef class Endpoint:
    cdef Swim core
    cdef int fd
    cdef bint ipv6
    cdef uint32_t sent              # packets of the out batch that are already gone
    cdef batch_t* out               # the core's, or one of its own
    cdef batch_t own
    cdef batch_t inbound
    cdef uint32_t first             # of the inbound batch that is not handled yet
    cdef lane_t* lane_in
    cdef lane_t* lane_out
    cdef uint64_t packets_in, packets_out, bytes_in, bytes_out, receive_errors
    cdef uint64_t[ERRNO_MAX] send_errors
    cdef int take_in(self) noexcept nogil
    cdef int advance(self) noexcept nogil
    cdef int send_out(self) noexcept nogil
    cdef int _receive(self) noexcept nogil
    cdef int _waiting(self) noexcept nogil
    cdef unsigned int _fill(self) noexcept nogil
    cdef void _count_sent(self, int count) noexcept nogil
    cdef void _refused(self, int error) noexcept nogil
