# crc.pxi: CRC-32 IEEE, the checksum of protocol §7. It knows no envelope.
#
# Long runs are folded sixteen bytes at a time where the processor multiplies without carries: that
# leaves sixteen bytes of the same checksum. Those, and everything elsewhere, go through tables.

cdef extern from *:
    """
    #if defined(__x86_64__)
    #include <wmmintrin.h>
    #define GOSSIP_FOLDS __attribute__((target("pclmul")))

    static int gossip_can_fold(void)
    {
        __builtin_cpu_init();
        return __builtin_cpu_supports("pclmul") != 0;
    }

    /* x moved by as far as `by` says, onto `next`: its halves times x^(d+32), x^(d-32) mod P. */
    GOSSIP_FOLDS static inline __m128i gossip_fold(__m128i x, __m128i by, __m128i next)
    {
        __m128i low = _mm_clmulepi64_si128(x, by, 0x00);
        __m128i high = _mm_clmulepi64_si128(x, by, 0x11);
        return _mm_xor_si128(_mm_xor_si128(low, high), next);
    }

    /* Folds so many blocks of 16 bytes, at least four, begun with `crc`, into one. */
    GOSSIP_FOLDS static void gossip_crc_fold(const void *data, size_t blocks, uint32_t crc,
                                             void *rest)
    {
        const __m128i by512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
        const __m128i by128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
        const __m128i *at = (const __m128i *)data, *end = at + blocks;
        __m128i a = _mm_xor_si128(_mm_loadu_si128(at), _mm_cvtsi32_si128((int)crc));
        __m128i b = _mm_loadu_si128(at + 1), c = _mm_loadu_si128(at + 2);
        __m128i d = _mm_loadu_si128(at + 3);
        for (at += 4; end - at >= 4; at += 4) {
            a = gossip_fold(a, by512, _mm_loadu_si128(at));
            b = gossip_fold(b, by512, _mm_loadu_si128(at + 1));
            c = gossip_fold(c, by512, _mm_loadu_si128(at + 2));
            d = gossip_fold(d, by512, _mm_loadu_si128(at + 3));
        }
        a = gossip_fold(gossip_fold(gossip_fold(a, by128, b), by128, c), by128, d);
        for (; at != end; at++)
            a = gossip_fold(a, by128, _mm_loadu_si128(at));
        _mm_storeu_si128((__m128i *)rest, a);
    }
    #else
    static int gossip_can_fold(void) { return 0; }
    static void gossip_crc_fold(const void *data, size_t blocks, uint32_t crc, void *rest)
    {
        (void)data, (void)blocks, (void)crc, (void)rest;
    }
    #endif
    """
    bint gossip_can_fold() noexcept
    void gossip_crc_fold(const void* data, size_t blocks, uint32_t crc, void* rest) noexcept nogil

cdef enum:
    CRC_BLOCK = 16
    CRC_FOLDED_MIN = 4 * CRC_BLOCK

# Tables for eight bytes a step: [k][b] is what byte b does k bytes further on.
cdef uint32_t[8][256] CRC_TABLE
cdef bint CRC_FOLDS = gossip_can_fold()


cdef void define_crc() noexcept:
    cdef uint32_t i, k, crc
    for i in range(256):
        crc = i
        for k in range(8):
            crc = (crc >> 1) ^ (<uint32_t>0xEDB88320 if crc & 1 else 0)
        CRC_TABLE[0][i] = crc
    for k in range(1, 8):
        for i in range(256):
            crc = CRC_TABLE[k - 1][i]
            CRC_TABLE[k][i] = (crc >> 8) ^ CRC_TABLE[0][crc & 0xFF]


define_crc()


cdef inline uint32_t crc_on(uint32_t crc, slice_t s) noexcept nogil:
    """Takes a checksum further, over the bytes that follow."""
    cdef cursor_t c = cursor_of(s)
    cdef uint32_t low = 0, high = 0
    cdef const uint8_t* at
    cdef uint8_t byte = 0
    while cursor_left(&c) >= 8:
        at = cursor_take(&c, 8)
        memcpy(&low, at, 4)
        memcpy(&high, &at[4], 4)
        low ^= crc
        crc = (CRC_TABLE[7][low & 0xFF] ^ CRC_TABLE[6][(low >> 8) & 0xFF]
               ^ CRC_TABLE[5][(low >> 16) & 0xFF] ^ CRC_TABLE[4][low >> 24]
               ^ CRC_TABLE[3][high & 0xFF] ^ CRC_TABLE[2][(high >> 8) & 0xFF]
               ^ CRC_TABLE[1][(high >> 16) & 0xFF] ^ CRC_TABLE[0][high >> 24])
    while cursor_u8(&c, &byte):
        crc = (crc >> 8) ^ CRC_TABLE[0][(crc ^ byte) & 0xFF]
    return crc


cdef uint32_t crc32(slice_t s) noexcept nogil:
    cdef uint8_t[CRC_BLOCK] rest
    cdef uint32_t crc = 0xFFFFFFFF
    if CRC_FOLDS and s.len >= CRC_FOLDED_MIN:
        gossip_crc_fold(s.ptr, s.len // CRC_BLOCK, crc, rest)
        crc = crc_on(0, slice_of(rest, CRC_BLOCK))
        s = slice_tail(s, s.len % CRC_BLOCK)
    return ~crc_on(crc, s)
