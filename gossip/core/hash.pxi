# hash.pxi: keyed hashing of names: SipHash-1-3. Not a checksum of packets, not a secret.
#
# Names come from the network, so the tables that hold them must not be made slow by whoever picks
# names that collide: the hash is keyed with a number an outsider does not know.

cdef inline uint64_t hash_rotate(uint64_t word, int bits) noexcept nogil:
    return (word << bits) | (word >> (64 - bits))


cdef inline void hash_round(uint64_t* v) noexcept nogil:
    v[0] += v[1]
    v[2] += v[3]
    v[1] = hash_rotate(v[1], 13) ^ v[0]
    v[3] = hash_rotate(v[3], 16) ^ v[2]
    v[0] = hash_rotate(v[0], 32)
    v[2] += v[1]
    v[0] += v[3]
    v[1] = hash_rotate(v[1], 17) ^ v[2]
    v[3] = hash_rotate(v[3], 21) ^ v[0]
    v[2] = hash_rotate(v[2], 32)


cdef inline uint64_t hash_word(const uint8_t* data, size_t at) noexcept nogil:
    """Four bytes, the first one lowest."""
    return (<uint64_t>data[at] | (<uint64_t>data[at + 1] << 8)
            | (<uint64_t>data[at + 2] << 16) | (<uint64_t>data[at + 3] << 24))


cdef inline uint64_t hash_rest(const uint8_t* data, size_t at, size_t size) noexcept nogil:
    """The fewer than eight bytes from `at` on, in the low bytes."""
    cdef uint32_t rest = <uint32_t>(size - at)
    if rest >= 4:
        return hash_word(data, at) | (hash_word(data, size - 4) << (8 * (rest - 4)))
    if rest == 0:
        return 0
    return (<uint64_t>data[at] | (<uint64_t>data[at + (rest >> 1)] << (8 * (rest >> 1)))
            | (<uint64_t>data[size - 1] << (8 * (rest - 1))))


cdef uint64_t hash_bytes(uint64_t seed, const uint8_t* data, size_t size) noexcept nogil:
    """SipHash-1-3 of `size` bytes under the key (seed, seed * odd constant)."""
    cdef uint64_t[4] v
    cdef uint64_t spread = seed * <uint64_t>0x9E3779B97F4A7C15
    cdef uint64_t word
    cdef size_t at = 0
    v[0] = seed ^ <uint64_t>0x736F6D6570736575
    v[1] = spread ^ <uint64_t>0x646F72616E646F6D
    v[2] = seed ^ <uint64_t>0x6C7967656E657261
    v[3] = spread ^ <uint64_t>0x7465646279746573
    while at + 8 <= size:
        memcpy(&word, data + at, 8)
        v[3] ^= word
        hash_round(v)
        v[0] ^= word
        at += 8
    word = hash_rest(data, at, size) | <uint64_t>size << 56
    v[3] ^= word
    hash_round(v)
    v[0] ^= word
    v[2] ^= 0xFF
    hash_round(v)
    hash_round(v)
    hash_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
