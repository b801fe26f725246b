# cursor.pxi: bounded reading and writing of wire bytes.

cdef struct slice_t:
    const uint8_t* ptr          # NULL: nil
    uint32_t len
