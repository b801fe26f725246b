# The core's face to C: a datagram, a batch of them, an opaque state machine and its entries.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

cdef struct addr_t:
    uint8_t[16] ip
    uint8_t len          # 4 or 16; 0 means none
    uint16_t port        # host order

cdef struct slot_t:
    uint8_t* data
    uint32_t len
    uint32_t cap
    addr_t peer

cdef struct batch_t:
    slot_t* slots
    uint32_t count
    uint32_t capacity
    uint8_t* arena
    size_t used
    size_t size

cdef struct swim_t

cdef class Swim:
    cdef swim_t* swim
    cdef batch_t* out                # what waits to be sent
    cdef batch_t* inbound            # one slot, for packets that come as bytes
    cdef object _identities
    cdef object _ring
    cdef int _check_arguments(self, bytes name, bytes address, bytes meta, bytes label) except -1
    cdef int _fill_envelope(self, bytes label) except -1
    cdef int _fill_networks(self, cidrs) except -1
    cdef swim_t* _at(self, int64_t now) except NULL

cdef void swim_receive(swim_t* s, batch_t* inbound, int64_t now_ns, batch_t* out) noexcept nogil
cdef void swim_tick(swim_t* s, int64_t now_ns, batch_t* out) noexcept nogil
cdef void swim_send_failed(swim_t* s, const addr_t* peer, int error, int64_t now_ns,
                           batch_t* out) noexcept nogil
cdef int64_t swim_next_deadline(swim_t* s) noexcept nogil
cdef bint swim_has_output(swim_t* s) noexcept nogil
