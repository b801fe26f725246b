"""AES-GCM by an OpenSSL found at run time, and nonces from the operating system, without the GIL.

Nothing is linked and nothing is enciphered here: a library is opened with dlopen and its EVP
functions are called through pointers. Which library is to be trusted is decided in `_aead.py`.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memset

cimport cython

from gossip._core cimport Cipher, NonceSource, slice_t

cdef extern from "Python.h":
    char* PyBytes_AsString(object) except NULL
    bytes PyBytes_FromStringAndSize(const char* data, Py_ssize_t n)

cdef extern from "<dlfcn.h>" nogil:
    void* dlopen(const char* path, int flags)
    void* dlsym(void* handle, const char* name)
    const char* dlerror()
    int RTLD_LOCAL, RTLD_NOLOAD, RTLD_NOW

cdef extern from "<sys/random.h>" nogil:
    ssize_t getrandom(void* out, size_t n, unsigned int flags)

cdef enum:
    NONCE_BYTES = 12
    TAG_BYTES = 16
    BLOB_BYTES_MAX = 0x7FFFFFFF     # lengths are C ints over there
    CTRL_GET_TAG = 0x10             # EVP_CTRL_AEAD_GET_TAG
    CTRL_SET_TAG = 0x11             # EVP_CTRL_AEAD_SET_TAG
    TEXT_VERSION = 0                # OPENSSL_VERSION

ctypedef const char* (*version_fn)(int what) noexcept nogil
ctypedef const void* (*cipher_fn)() noexcept nogil
ctypedef void* (*new_fn)() noexcept nogil
ctypedef void (*free_fn)(void* ctx) noexcept nogil
ctypedef int (*copy_fn)(void* to, const void* ctx) noexcept nogil
ctypedef int (*init_fn)(void* ctx, const void* cipher, void* engine, const uint8_t* key,
                        const uint8_t* nonce) noexcept nogil
ctypedef int (*update_fn)(void* ctx, uint8_t* out, int* written, const uint8_t* data,
                          int n) noexcept nogil
ctypedef int (*final_fn)(void* ctx, uint8_t* out, int* written) noexcept nogil
ctypedef int (*ctrl_fn)(void* ctx, int what, int n, void* data) noexcept nogil

cdef struct evp_t:
    version_fn version
    cipher_fn[3] ciphers            # keys of 16, 24 and 32 bytes
    new_fn new
    free_fn free
    copy_fn copy
    init_fn seal_init
    update_fn seal_update
    final_fn seal_final
    init_fn open_init
    update_fn open_update
    final_fn open_final
    ctrl_fn ctrl

# One key. A context a direction, made once: to begin a message is then to set the nonce.
cdef struct key_t:
    evp_t evp
    void* sealing
    void* opening


cdef int evp_seal(void* ctx, const uint8_t* nonce, slice_t aad, const uint8_t* plain,
                  uint32_t n, uint8_t* out) noexcept nogil:
    cdef key_t* key = <key_t*>ctx
    cdef evp_t* evp = &key.evp
    cdef int written = 0
    if n > BLOB_BYTES_MAX or evp.seal_init(key.sealing, NULL, NULL, NULL, nonce) != 1:
        return -1
    if aad.len and evp.seal_update(key.sealing, NULL, &written, aad.ptr, <int>aad.len) != 1:
        return -1
    if n and evp.seal_update(key.sealing, out, &written, plain, <int>n) != 1:
        return -1
    if evp.seal_final(key.sealing, &out[n], &written) != 1:
        return -1
    return 0 if evp.ctrl(key.sealing, CTRL_GET_TAG, TAG_BYTES, &out[n]) == 1 else -1


cdef int evp_open(void* ctx, const uint8_t* nonce, slice_t aad, const uint8_t* sealed,
                  uint32_t n, uint8_t* out) noexcept nogil:
    cdef key_t* key = <key_t*>ctx
    cdef evp_t* evp = &key.evp
    cdef uint32_t plain = n - TAG_BYTES
    cdef int written = 0
    cdef uint8_t[TAG_BYTES] rest    # GCM leaves none
    if n < TAG_BYTES or n > BLOB_BYTES_MAX:
        return -1
    if evp.open_init(key.opening, NULL, NULL, NULL, nonce) != 1:
        return -1
    if aad.len and evp.open_update(key.opening, NULL, &written, aad.ptr, <int>aad.len) != 1:
        return -1
    if (plain and evp.open_update(key.opening, out, &written, sealed, <int>plain) != 1
            or evp.ctrl(key.opening, CTRL_SET_TAG, TAG_BYTES, <void*>&sealed[plain]) != 1
            or evp.open_final(key.opening, rest, &written) != 1):
        memset(out, 0, plain)       # not authentic: nobody shall see it
        return -1
    return 0


# One long text: a context of its own, so that others may go through meanwhile.
cdef struct text_t:
    evp_t evp
    void* ctx
    bint sealing


cdef void* text_begin(void* ctx, bint sealing, const uint8_t* nonce, slice_t aad) noexcept nogil:
    cdef key_t* key = <key_t*>ctx
    cdef evp_t* evp = &key.evp
    cdef text_t* text = <text_t*>malloc(sizeof(text_t))
    cdef int written = 0
    cdef bint ok
    if text == NULL:
        return NULL
    text.evp = evp[0]
    text.sealing = sealing
    text.ctx = evp.new()
    ok = text.ctx != NULL and evp.copy(text.ctx, key.sealing if sealing else key.opening) == 1
    if ok and sealing:
        ok = (evp.seal_init(text.ctx, NULL, NULL, NULL, nonce) == 1 and (
            aad.len == 0
            or evp.seal_update(text.ctx, NULL, &written, aad.ptr, <int>aad.len) == 1))
    elif ok:
        ok = (evp.open_init(text.ctx, NULL, NULL, NULL, nonce) == 1 and (
            aad.len == 0
            or evp.open_update(text.ctx, NULL, &written, aad.ptr, <int>aad.len) == 1))
    if not ok:
        text_drop(text)
        return NULL
    return text


cdef int text_more(void* state, uint8_t* out, const uint8_t* data, uint32_t n) noexcept nogil:
    cdef text_t* text = <text_t*>state
    cdef int written = 0
    if text.sealing:
        return 0 if text.evp.seal_update(text.ctx, out, &written, data, <int>n) == 1 else -1
    return 0 if text.evp.open_update(text.ctx, out, &written, data, <int>n) == 1 else -1


cdef int text_end(void* state, uint8_t* tag) noexcept nogil:
    cdef text_t* text = <text_t*>state
    cdef evp_t* evp = &text.evp
    cdef uint8_t[TAG_BYTES] rest    # GCM leaves none
    cdef int written = 0
    if text.sealing:
        return 0 if (evp.seal_final(text.ctx, rest, &written) == 1
                     and evp.ctrl(text.ctx, CTRL_GET_TAG, TAG_BYTES, tag) == 1) else -1
    return 0 if (evp.ctrl(text.ctx, CTRL_SET_TAG, TAG_BYTES, tag) == 1
                 and evp.open_final(text.ctx, rest, &written) == 1) else -1


cdef void text_drop(void* state) noexcept nogil:
    cdef text_t* text = <text_t*>state
    text.evp.free(text.ctx)
    free(text)


cdef int system_fill(void* ctx, uint8_t* out, uint32_t n) noexcept nogil:
    cdef uint32_t done = 0
    cdef ssize_t got
    while done < n:
        got = getrandom(&out[done], n - done, 0)
        if got > 0:
            done += <uint32_t>got
        elif errno != EINTR:
            return -1
    return 0


@cython.final
cdef class SystemNonces(NonceSource):
    """Nonces from getrandom(2)."""

    def __cinit__(self):
        self.fill = system_fill

    def __call__(self, int n):
        """`n` random bytes, for whoever holds the GIL anyway."""
        cdef bytes out = PyBytes_FromStringAndSize(NULL, n)
        if system_fill(NULL, <uint8_t*>PyBytes_AsString(out), n) != 0:
            raise OSError(errno, "getrandom failed")
        return out


@cython.final
cdef class Library:
    """An OpenSSL: the shared library at `path`, or what the library there depends on.

    loaded: take it only if the process has it already. An empty path stands for the program itself.
    Raises OSError when there is no such library, LookupError when a function is missing.
    """

    cdef evp_t evp

    def __cinit__(self, str path not None, *, bint loaded=False):
        cdef bytes name = path.encode()
        cdef int flags = RTLD_NOW | RTLD_LOCAL | (RTLD_NOLOAD if loaded else 0)
        cdef const char* file = PyBytes_AsString(name) if name else NULL
        cdef void* handle = dlopen(file, flags)
        cdef const char* why
        if handle == NULL:
            why = dlerror()
            raise OSError(why.decode("utf-8", "replace") if why != NULL
                          else f"{path} is not loaded")
        self.evp.version = <version_fn>symbol(handle, b"OpenSSL_version")
        self.evp.ciphers[0] = <cipher_fn>symbol(handle, b"EVP_aes_128_gcm")
        self.evp.ciphers[1] = <cipher_fn>symbol(handle, b"EVP_aes_192_gcm")
        self.evp.ciphers[2] = <cipher_fn>symbol(handle, b"EVP_aes_256_gcm")
        self.evp.new = <new_fn>symbol(handle, b"EVP_CIPHER_CTX_new")
        self.evp.free = <free_fn>symbol(handle, b"EVP_CIPHER_CTX_free")
        self.evp.copy = <copy_fn>symbol(handle, b"EVP_CIPHER_CTX_copy")
        self.evp.seal_init = <init_fn>symbol(handle, b"EVP_EncryptInit_ex")
        self.evp.seal_update = <update_fn>symbol(handle, b"EVP_EncryptUpdate")
        self.evp.seal_final = <final_fn>symbol(handle, b"EVP_EncryptFinal_ex")
        self.evp.open_init = <init_fn>symbol(handle, b"EVP_DecryptInit_ex")
        self.evp.open_update = <update_fn>symbol(handle, b"EVP_DecryptUpdate")
        self.evp.open_final = <final_fn>symbol(handle, b"EVP_DecryptFinal_ex")
        self.evp.ctrl = <ctrl_fn>symbol(handle, b"EVP_CIPHER_CTX_ctrl")

    @property
    def version(self):
        """What the library calls itself, like "OpenSSL 3.0.19 27 Jan 2026"."""
        return self.evp.version(TEXT_VERSION).decode("utf-8", "replace")


cdef void* symbol(void* handle, const char* name) except NULL:
    cdef void* found = dlsym(handle, name)
    if found == NULL:
        raise LookupError(f"there is no {name.decode()}")
    return found


@cython.final
cdef class EvpCipher(Cipher):
    """One AES key of 16, 24 or 32 bytes for one core, which uses it on one thread at a time."""

    cdef key_t key

    def __cinit__(self, Library library not None, bytes key not None):
        if len(key) not in (16, 24, 32):
            raise ValueError("key size must be 16, 24 or 32 bytes")
        cdef const void* cipher
        cdef const uint8_t* secret = <const uint8_t*>PyBytes_AsString(key)
        self.key.evp = library.evp
        cipher = library.evp.ciphers[len(key) // 8 - 2]()
        self.key.sealing = library.evp.new()
        self.key.opening = library.evp.new()
        if cipher == NULL or self.key.sealing == NULL or self.key.opening == NULL:
            raise MemoryError()
        if (library.evp.seal_init(self.key.sealing, cipher, NULL, secret, NULL) != 1
                or library.evp.open_init(self.key.opening, cipher, NULL, secret, NULL) != 1):
            raise RuntimeError(f"{library.version} refuses AES-GCM")
        self.aead.seal = evp_seal
        self.aead.open = evp_open
        self.aead.begin = text_begin
        self.aead.more = text_more
        self.aead.end = text_end
        self.aead.drop = text_drop
        self.aead.ctx = &self.key

    def __dealloc__(self):
        if self.key.evp.free != NULL:
            self.key.evp.free(self.key.sealing)
            self.key.evp.free(self.key.opening)

    def answers(self, bytes nonce not None, bytes aad not None, bytes plain not None,
                bytes sealed not None):
        """Whether this plain text seals to that one and opens again, and a changed one does not.

        Not for a cipher that a core uses.
        """
        cdef slice_t extra
        cdef bytes out = PyBytes_FromStringAndSize(NULL, len(sealed))
        cdef uint8_t* room = <uint8_t*>PyBytes_AsString(out)
        cdef const uint8_t* once = <const uint8_t*>PyBytes_AsString(nonce)
        cdef const uint8_t* box = <const uint8_t*>PyBytes_AsString(sealed)
        cdef uint32_t n = <uint32_t>len(sealed)
        extra.ptr = <const uint8_t*>PyBytes_AsString(aad)
        extra.len = <uint32_t>len(aad)
        if len(nonce) != NONCE_BYTES or len(plain) + TAG_BYTES != len(sealed):
            return False
        if evp_seal(&self.key, once, extra, <const uint8_t*>PyBytes_AsString(plain),
                    n - TAG_BYTES, room) != 0 or memcmp(room, box, n) != 0:
            return False
        if (evp_open(&self.key, once, extra, box, n, room) != 0
                or memcmp(room, PyBytes_AsString(plain), n - TAG_BYTES) != 0):
            return False
        extra.len -= 1 if extra.len else 0
        return evp_open(&self.key, once, extra, box, n, room) != 0
