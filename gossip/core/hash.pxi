# hash.pxi: keyed hashing of names.
