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

cdef struct slice_t:
    const uint8_t* ptr   # NULL is nil; an empty slice that is not nil points somewhere
    uint32_t len

# 0 for success. `plain` and `out` may be the same in seal. In open, any failure means "not this
# key". For one thread at a time.
ctypedef int (*seal_fn)(void* ctx, const uint8_t* nonce, slice_t aad, const uint8_t* plain,
                        uint32_t n, uint8_t* out) noexcept nogil
ctypedef int (*open_fn)(void* ctx, const uint8_t* nonce, slice_t aad, const uint8_t* sealed,
                        uint32_t n, uint8_t* out) noexcept nogil
# Fill in `n` unpredictable bytes: 0 for success.
ctypedef int (*fill_fn)(void* ctx, uint8_t* out, uint32_t n) noexcept nogil

cdef struct aead_t:
    seal_fn seal         # n bytes become n + 16
    open_fn open         # n bytes become n - 16
    void* ctx

cdef class Cipher:
    cdef aead_t aead

cdef class NonceSource:
    cdef fill_fn fill
    cdef void* ctx

cdef struct swim_t
cdef struct lock_t

cdef class Swim:
    cdef swim_t* swim
    cdef batch_t* out                # what waits to be sent
    cdef batch_t* inbound            # one slot, for packets that come as bytes
    cdef object _identities
    cdef object _ring                # keeps alive what the envelope points to
    cdef readonly bint needs_gil     # to seal or to open is to call Python
    cdef int _check_arguments(self, bytes name, bytes address, bytes meta, bytes label) except -1
    cdef int _fill_envelope(self, bytes label) except -1
    cdef int _fill_networks(self, cidrs) except -1
    cdef lock_t* lock                # NULL: one thread alone comes here
    cdef swim_t* _hold(self) except NULL
    cdef swim_t* _at(self, int64_t now) except NULL
    cdef void _let_go(self) noexcept
    cdef uint32_t _take_events(self, list events, uint32_t at_most) except? 0
    cdef int64_t _broadcast_limit(self) except -1

cdef void swim_receive(swim_t* s, batch_t* inbound, int64_t now_ns, batch_t* out) noexcept nogil
cdef void swim_tick(swim_t* s, int64_t now_ns, batch_t* out) noexcept nogil
cdef void swim_send_failed(swim_t* s, const addr_t* peer, int error, int64_t now_ns,
                           batch_t* out) noexcept nogil
cdef int64_t swim_next_deadline(swim_t* s) noexcept nogil
cdef bint swim_has_output(swim_t* s) noexcept nogil

# For a core that `Swim.share` was called of: around each of the calls above, and not with the GIL.
cdef void lock_take(lock_t* lock) noexcept nogil
cdef void lock_release(lock_t* lock) noexcept nogil
