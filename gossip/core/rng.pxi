# rng.pxi: the seeded random numbers: SplitMix64. Nothing else in the core draws.
#
# Eight bytes of state, because a simulation holds one for each of its nodes. Never for keys or
# nonces: those come from the operating system (aead.pxi).


cdef inline uint64_t rng_mix(uint64_t word) noexcept nogil:
    word = (word ^ (word >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    word = (word ^ (word >> 27)) * <uint64_t>0x94D049BB133111EB
    return word ^ (word >> 31)


cdef inline void rng_seed(rng_t* rng, uint64_t seed) noexcept nogil:
    """Start the sequence of `seed`; neighbouring seeds start far apart."""
    rng.state = rng_mix(seed + <uint64_t>0x9E3779B97F4A7C15)


cdef inline uint64_t rng_u64(rng_t* rng) noexcept nogil:
    rng.state += <uint64_t>0x9E3779B97F4A7C15
    return rng_mix(rng.state)


cdef inline uint32_t rng_below(rng_t* rng, uint32_t n) noexcept nogil:
    """A number of [0, n), each equally likely; 0 when n is 0."""
    cdef uint64_t product = (rng_u64(rng) >> 32) * n
    cdef uint32_t threshold
    if <uint32_t>product < n:
        # 2^32 is not a multiple of n: draws of the incomplete last multiple are thrown away.
        threshold = (<uint32_t>0 - n) % n
        while <uint32_t>product < threshold:
            product = (rng_u64(rng) >> 32) * n
    return <uint32_t>(product >> 32)
