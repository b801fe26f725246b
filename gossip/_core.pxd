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
