# The core's face to C: a datagram, a batch of them, an opaque state machine and its entries.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

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

# A long text piece by piece: `begin` gives its state, or NULL; `more` puts n bytes of it through,
# from `data` to `out`, which may be the same; `end` writes the tag, or compares it. 0 for success.
# The state lives on its own, until `drop`: the key may be gone before.
ctypedef void* (*begin_fn)(void* ctx, bint sealing, const uint8_t* nonce,
                           slice_t aad) noexcept nogil
ctypedef int (*more_fn)(void* state, uint8_t* out, const uint8_t* data, uint32_t n) noexcept nogil
ctypedef int (*end_fn)(void* state, uint8_t* tag) noexcept nogil
ctypedef void (*drop_fn)(void* state) noexcept nogil

cdef struct aead_t:
    seal_fn seal         # n bytes become n + 16
    open_fn open         # n bytes become n - 16
    begin_fn begin       # NULL: this cipher takes every text in one go
    more_fn more
    end_fn end
    drop_fn drop
    void* ctx

cdef class Cipher:
    cdef aead_t aead

cdef class NonceSource:
    cdef fill_fn fill
    cdef void* ctx

cdef struct buffer_t:
    uint8_t* data
    size_t len
    size_t cap

cdef struct rng_t:
    uint64_t state

cdef enum CommandKind:
    COMMAND_OPEN
    COMMAND_WRITE
    COMMAND_CLOSE

cdef struct command_t:   # what is to be done with a stream
    uint8_t kind
    uint32_t stream
    addr_t peer
    buffer_t bytes

cdef enum:               # states of members: the order of the wire, then what stays inside
    MEMBER_ALIVE
    MEMBER_SUSPECT
    MEMBER_DEAD
    MEMBER_LEFT

cdef enum ToldKind:      # the events about members come first; the rest has names in Python only
    TOLD_JOINED
    TOLD_UPDATED
    TOLD_SUSPECTED
    TOLD_CONFIRMED
    TOLD_REFUTED
    TOLD_FAILED
    TOLD_LEFT
    TOLD_CONFLICT
    TOLD_OTHER

cdef enum SerfTold:      # the events of Serf's layer; those between are about queries
    TOLD_MEMBER_JOIN = 1
    TOLD_MEMBER_LEAVE
    TOLD_MEMBER_FAILED
    TOLD_MEMBER_UPDATE
    TOLD_MEMBER_REAP
    TOLD_MEMBER_FLAPPED
    TOLD_USER_EVENT

cdef enum:               # statuses of Serf's members
    SERF_HELD_NONE
    SERF_HELD_ALIVE
    SERF_HELD_LEAVING
    SERF_HELD_LEFT
    SERF_HELD_FAILED

cdef struct told_t:      # an event as far as C looks at it
    uint8_t kind
    uint8_t serf         # 0: none of Serf's
    uint8_t state
    uint64_t print       # of Serf's: of what it tells; the same event has the same
    uint32_t incarnation
    int64_t since_ns
    addr_t member        # of whom it is about; len 0: nobody

cdef struct seen_t:      # a row of the member table
    uint64_t print       # of name, address, metadata and versions, the same in all tables of a set
    addr_t address
    slice_t name
    slice_t meta
    int64_t since_ns
    uint32_t incarnation
    uint8_t state
    bint suspicion       # a timer runs that will fail it

cdef struct gauges_t:    # what must add up
    uint32_t[6] rows     # of each state, as the table counts them
    uint32_t order
    uint32_t suspicions
    uint32_t[3] probes   # armed timers: timeout, deadline, interval
    uint32_t gossips
    uint32_t push_pulls
    uint32_t suspicion_timers
    uint32_t queued      # claims that wait for gossip
    uint32_t sessions
    uint32_t events
    uint32_t incarnation
    int32_t score
    int32_t score_limit
    bint leaving
    bint probing

cdef struct serf_seen_t: # a row of Serf's table
    uint64_t print       # as that of `seen_t`
    addr_t address
    uint8_t status

cdef struct serf_gauges_t:
    uint64_t[3] clocks   # of members, events, queries
    uint32_t[5] rows     # of each status
    uint32_t count
    uint64_t pruned      # so many were erased by request, whatever memberlist holds

cdef struct opened_t
cdef struct pack_t
cdef struct large_t
cdef struct swim_t
cdef struct lock_t

cdef class Scratch:
    cdef batch_t* out
    cdef batch_t* inbound            # one slot, for packets that come as bytes
    cdef opened_t* opened
    cdef pack_t* pack
    cdef large_t* large

cdef class Swim:
    cdef swim_t* swim
    cdef batch_t* out                # what waits to be sent; these two are the scratch's
    cdef batch_t* inbound
    cdef Scratch scratch
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
cdef uint32_t swim_receive_on(swim_t* s, batch_t* inbound, uint32_t first, int64_t now_ns,
                              batch_t* out) noexcept nogil
cdef void swim_tick(swim_t* s, int64_t now_ns, batch_t* out) noexcept nogil
cdef void swim_send_failed(swim_t* s, const addr_t* peer, int error, int64_t now_ns,
                           batch_t* out) noexcept nogil
cdef int64_t swim_next_deadline(swim_t* s) noexcept nogil
cdef bint swim_has_output(swim_t* s) noexcept nogil

# Streams and events, for a driver in C.
cdef bint swim_accept(swim_t* s, const addr_t* peer, int64_t now_ns, batch_t* out,
                      uint32_t* stream) noexcept nogil
cdef void swim_opened(swim_t* s, uint32_t stream, int64_t now_ns, batch_t* out) noexcept nogil
cdef void swim_streamed(swim_t* s, uint32_t stream, const uint8_t* data, size_t size,
                        int64_t now_ns, batch_t* out) noexcept nogil
cdef void swim_ended(swim_t* s, uint32_t stream, int64_t now_ns, batch_t* out) noexcept nogil
cdef void swim_failed(swim_t* s, uint32_t stream, const char* text, int64_t now_ns,
                      batch_t* out) noexcept nogil
cdef bint swim_take_command(swim_t* s, command_t* command) noexcept nogil
cdef void command_free(command_t* command) noexcept nogil
cdef uint64_t swim_told(const swim_t* s) noexcept nogil
cdef void swim_look_event(const swim_t* s, uint64_t number, told_t* told) noexcept nogil
cdef void swim_forget_events(swim_t* s) noexcept nogil
cdef uint32_t swim_events(const swim_t* s) noexcept nogil

cdef bint swim_introduce(swim_t* s, const swim_t* other) noexcept nogil

# What a simulator looks at; and what it throws, for only one place draws random numbers.
cdef uint32_t swim_rows(const swim_t* s) noexcept nogil
cdef bint swim_row(const swim_t* s, uint32_t number, seen_t* seen) noexcept nogil
cdef void swim_gauges(const swim_t* s, gauges_t* gauges) noexcept nogil
cdef uint64_t swim_print(const swim_t* s) noexcept nogil
cdef uint32_t swim_packet_max(const swim_t* s) noexcept nogil
cdef uint32_t swim_serf_rows(swim_t* s) noexcept nogil
cdef bint swim_serf_row(swim_t* s, uint32_t number, serf_seen_t* seen) noexcept nogil
cdef bint swim_serf_gauges(swim_t* s, serf_gauges_t* gauges) noexcept nogil
cdef uint64_t swim_probe_sends(const swim_t* s) noexcept nogil
cdef uint64_t swim_gossips(const swim_t* s) noexcept nogil
cdef void swim_pause_gossip(swim_t* s, bint paused) noexcept nogil
cdef void swim_hold_probe(swim_t* s) noexcept nogil
cdef void swim_release_probe(swim_t* s, int64_t now_ns) noexcept nogil
cdef uint64_t swim_messages(const swim_t* s) noexcept nogil
cdef void rng_start(rng_t* rng, uint64_t seed) noexcept nogil
cdef uint64_t rng_draw(rng_t* rng) noexcept nogil
cdef uint32_t rng_pick(rng_t* rng, uint32_t n) noexcept nogil

# For a core that `Swim.share` was called of: around each of the calls above, and not with the GIL.
cdef void lock_take(lock_t* lock) noexcept nogil
cdef void lock_release(lock_t* lock) noexcept nogil
