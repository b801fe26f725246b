# aead.pxi: sealing and opening through function pointers; nonces; replays.
#
# No cryptography of our own: a cipher is two C functions and a context (`_core.pxd`). One pair is
# here, the adaptor for a Python AEAD object; it takes the GIL, and holds the collector off: a
# collection could run code that calls the core it is in. The key itself is never seen.

cdef extern from "Python.h":
    bint PyGC_Disable()
    bint PyGC_Enable()

cdef enum:
    NONCE_BYTES = 12
    TAG_BYTES = 16
    REPLAY_SLOTS = 2 * REPLAY_WINDOW

cdef class Cipher:
    """One key: two C functions and a context, filled in by a class derived from this one.

    For one core and one thread at a time; the GIL is not needed. The core keeps the object alive.
    """


cdef class NonceSource:
    """Where nonces come from without the GIL: a C function, filled in by a derived class."""



# -- the adaptor for Python objects with encrypt(nonce, data, aad) and decrypt(nonce, data, aad)

cdef int python_copy(object result, uint32_t n, uint8_t* out) except -1:
    if not isinstance(result, bytes) or len(<bytes>result) != n:
        raise ValueError("an AEAD returned something else than bytes of the expected length")
    if n:
        memcpy(out, PyBytes_AsString(result), n)
    return 0


cdef int python_seal(void* ctx, const uint8_t* nonce, slice_t aad, const uint8_t* plain,
                     uint32_t n, uint8_t* out) noexcept nogil:
    cdef bint collects
    with gil:
        collects = PyGC_Disable()
        try:
            return python_copy(
                (<object>ctx).encrypt(nonce[:NONCE_BYTES], plain[:n], slice_bytes(aad)),
                n + TAG_BYTES, out)
        except BaseException:
            return -1
        finally:
            if collects:
                PyGC_Enable()


cdef int python_open(void* ctx, const uint8_t* nonce, slice_t aad, const uint8_t* sealed,
                     uint32_t n, uint8_t* out) noexcept nogil:
    cdef bint collects
    with gil:
        collects = PyGC_Disable()
        try:
            return python_copy(
                (<object>ctx).decrypt(nonce[:NONCE_BYTES], sealed[:n], slice_bytes(aad)),
                n - TAG_BYTES, out)
        except BaseException:
            return -1
        finally:
            if collects:
                PyGC_Enable()


cdef int python_fill(void* ctx, uint8_t* out, uint32_t n) noexcept nogil:
    cdef bint collects
    with gil:
        collects = PyGC_Disable()
        try:
            return python_copy((<object>ctx)(n), n, out)
        except BaseException:
            return -1
        finally:
            if collects:
                PyGC_Enable()


cdef aead_t aead_of(object cipher) except *:
    """The functions of a Cipher, or the adaptor for an AEAD object; the caller keeps it alive."""
    cdef aead_t out
    memset(&out, 0, sizeof(out))
    if isinstance(cipher, Cipher):
        out = (<Cipher>cipher).aead
        if out.seal == NULL or out.open == NULL:
            raise ValueError("a Cipher that was not filled in")
        return out
    out.seal = python_seal
    out.open = python_open
    out.ctx = <void*>cipher
    return out


# -- long texts

cdef enum PassResult:
    PASS_DONE
    PASS_MORE                # the work allowed is used up
    PASS_FAILED

# A text on its way through a cipher, which may take several turns.
cdef struct pass_t:
    aead_t aead
    void* state             # NULL: not begun
    uint32_t at


cdef void pass_drop(pass_t* p) noexcept nogil:
    if p.state != NULL:
        p.aead.drop(p.state)
        p.state = NULL


cdef int pass_at_once(const aead_t* aead, bint sealing, const uint8_t* nonce, slice_t aad,
                      const uint8_t* data, uint32_t n, uint8_t* out) noexcept nogil:
    cdef int failed
    if sealing:
        failed = aead.seal(aead.ctx, nonce, aad, data, n, out)
    else:
        failed = aead.open(aead.ctx, nonce, aad, data, n + TAG_BYTES, out)
    return PASS_FAILED if failed else PASS_DONE


cdef int pass_on(pass_t* p, const aead_t* aead, bint sealing, const uint8_t* nonce, slice_t aad,
                 const uint8_t* data, uint32_t n, uint8_t* out, uint8_t* tag,
                 int64_t* work) noexcept nogil:
    """Put `n` bytes through, as far as the work goes; then again with the same arguments. `tag` is
    where it stands in the sealed form. Until it is done, `out` is not to be believed."""
    cdef uint32_t piece
    cdef int failed = 0
    if p.state == NULL:
        if aead.begin == NULL or n <= CIPHER_PIECE_BYTES:
            work[0] -= n // CIPHERED_PER_WORK
            return pass_at_once(aead, sealing, nonce, aad, data, n, out)
        p.aead = aead[0]
        p.at = 0
        p.state = aead.begin(aead.ctx, sealing, nonce, aad)
        if p.state == NULL:
            return PASS_FAILED
    while p.at < n and not failed:
        if work[0] <= 0:
            return PASS_MORE
        piece = min(n - p.at, <uint32_t>CIPHER_PIECE_BYTES)
        failed = p.aead.more(p.state, &out[p.at], &data[p.at], piece)
        p.at += piece
        work[0] -= piece // CIPHERED_PER_WORK
    failed = failed or p.aead.end(p.state, tag)
    pass_drop(p)
    return PASS_FAILED if failed else PASS_DONE


# -- nonces

cdef struct nonces_t:
    fill_fn fill
    void* ctx
    uint32_t used           # bytes of the pool given out; all of it: refill first
    uint8_t[NONCE_BLOCK * NONCE_BYTES] pool


cdef void nonces_init(nonces_t* n, fill_fn fill, void* ctx) noexcept nogil:
    n.fill = fill
    n.ctx = ctx
    nonces_reset(n)


cdef struct nonce_source_t:
    fill_fn fill
    void* ctx


cdef nonce_source_t nonce_source_of(object source) except *:
    """The function of a NonceSource, or the adaptor for a callable n -> bytes; the caller keeps it
    alive."""
    cdef nonce_source_t out
    if not isinstance(source, NonceSource):
        out.fill = python_fill
        out.ctx = <void*>source
        return out
    out.fill = (<NonceSource>source).fill
    out.ctx = (<NonceSource>source).ctx
    if out.fill == NULL:
        raise ValueError("a NonceSource that was not filled in")
    return out


cdef void nonces_reset(nonces_t* n) noexcept nogil:
    """Forget what was drawn: a forked child must not use the parent's nonces."""
    n.used = sizeof(n.pool)
    memset(n.pool, 0, sizeof(n.pool))


cdef bint nonce_take(nonces_t* n, uint8_t* out) noexcept nogil:
    """The next 12 bytes, never given out before. False when the source fails."""
    if n.used == sizeof(n.pool):
        if n.fill == NULL or n.fill(n.ctx, n.pool, sizeof(n.pool)) != 0:
            return False
        n.used = 0
    memcpy(out, &n.pool[n.used], NONCE_BYTES)
    memset(&n.pool[n.used], 0, NONCE_BYTES)
    n.used += NONCE_BYTES
    return True


# -- replays

cdef struct replay_entry_t:
    uint8_t[NONCE_BYTES] nonce
    uint32_t generation     # 0: never used

# Two sets used in turn. A full one becomes the older, and the older is emptied, by a new generation
# number, to become the current one: between one and two windows of nonces are remembered.
cdef struct replay_t:
    replay_entry_t* entries     # of both sets; NULL: no memory yet
    uint32_t generation         # of the current set; the older one has the number before
    uint32_t count              # in the current set
    uint64_t seed


cdef void replay_init(replay_t* r, uint64_t seed) noexcept nogil:
    """A window with a secret seed, so that nobody can choose nonces that collide."""
    r.entries = NULL
    r.generation = 2        # older: 1; no entry has either
    r.count = 0
    r.seed = seed


cdef void replay_free(replay_t* r) noexcept nogil:
    free(r.entries)
    r.entries = NULL


cdef inline uint32_t replay_slot(const replay_t* r, const uint8_t* nonce) noexcept nogil:
    cdef uint64_t low = 0
    cdef uint32_t high = 0
    memcpy(&low, nonce, 8)
    memcpy(&high, &nonce[8], 4)
    low = (low ^ r.seed) * <uint64_t>0x9E3779B97F4A7C15
    low = (low ^ (low >> 29) ^ high ^ (r.seed >> 7)) * <uint64_t>0xBF58476D1CE4E5B9
    return <uint32_t>(low >> 32) % REPLAY_SLOTS


cdef replay_entry_t* replay_find(replay_t* r, uint32_t generation,
                                 const uint8_t* nonce) noexcept nogil:
    """The nonce's entry in the set of this generation, or the free one where it belongs."""
    cdef replay_entry_t* entries = &r.entries[(generation & 1) * REPLAY_SLOTS]
    cdef uint32_t at = replay_slot(r, nonce)
    while entries[at].generation == generation:
        if memcmp(entries[at].nonce, nonce, NONCE_BYTES) == 0:
            break
        at = (at + 1) % REPLAY_SLOTS
    return &entries[at]


cdef bint replay_seen(replay_t* r, const uint8_t* nonce) noexcept nogil:
    """Whether this nonce was accepted before; if not, it is from now on.

    Without memory for the window nothing counts as seen: the wire format itself has no replay
    protection, and a node that hears nobody would be worse.
    """
    cdef replay_entry_t* entry
    if r.entries == NULL:
        r.entries = <replay_entry_t*>calloc(2 * REPLAY_SLOTS, sizeof(replay_entry_t))
        if r.entries == NULL:
            return False
    if replay_find(r, r.generation - 1, nonce).generation == r.generation - 1:
        return True
    entry = replay_find(r, r.generation, nonce)
    if entry.generation == r.generation:
        return True
    if r.count == REPLAY_WINDOW:
        r.generation += 1
        r.count = 0
        entry = replay_find(r, r.generation, nonce)
    memcpy(entry.nonce, nonce, NONCE_BYTES)
    entry.generation = r.generation
    r.count += 1
    return False
