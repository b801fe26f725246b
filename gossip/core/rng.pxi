# rng.pxi: the seeded random numbers.
