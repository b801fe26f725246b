# pack.pxi: Python values in the msgpack dialect of the wire (protocol §2).
#
# For what only Python sends: Serf's tags, filters, coordinates, answers about keys. Messages that
# the core handles itself are written from their tables (maps.pxi).

cdef void put_float(writer_t* w, double value) noexcept:
    cdef uint64_t bits
    memcpy(&bits, &value, sizeof(bits))
    writer_uint(w, 0xCB, 8, bits)


cdef void put_bytes(writer_t* w, bytes value):
    msgpack_put_raw_head(w, <uint32_t>len(value))
    writer_bytes(w, <const uint8_t*>PyBytes_AsString(value), len(value))


cdef int put_value(writer_t* w, object value, int depth) except -1:
    if depth > PACK_DEPTH_MAX:
        raise ValueError(f"nested deeper than {PACK_DEPTH_MAX}")
    if value is None:
        writer_u8(w, 0xC0)
    elif value is True or value is False:
        writer_u8(w, 0xC3 if value else 0xC2)
    elif isinstance(value, bytes):
        put_bytes(w, value)
    elif isinstance(value, str):
        put_bytes(w, (<str>value).encode("utf-8", "surrogateescape"))
    elif isinstance(value, float):
        put_float(w, value)
    elif isinstance(value, int):
        if value < 0:
            msgpack_put_signed(w, value)
        else:
            msgpack_put_unsigned(w, value)
    elif isinstance(value, dict):
        msgpack_put_map(w, <uint32_t>len(<dict>value))
        for key, item in (<dict>value).items():
            put_value(w, key, depth + 1)
            put_value(w, item, depth + 1)
    elif isinstance(value, list | tuple):
        msgpack_put_list(w, <uint32_t>len(value))
        for item in value:
            put_value(w, item, depth + 1)
    else:
        raise TypeError(f"{type(value).__name__} has no form on the wire")
    return 0


def pack(value):
    """A value as the wire has it: text and bytes alike as raw strings, numbers as short as can be,
    floats in eight bytes, the entries of a dictionary in its own order.

    Integers of zero and above take the unsigned form. Raises ValueError for more than
    PACK_BYTES_MAX bytes or too deep a nesting, TypeError for a value without a form.
    """
    cdef writer_t w
    cdef uint8_t* room = <uint8_t*>malloc(PACK_BYTES_MAX)
    if room == NULL:
        raise MemoryError
    try:
        w = writer_of(room, PACK_BYTES_MAX)
        put_value(&w, value, 1)
        if w.full:
            raise ValueError(f"longer than {PACK_BYTES_MAX} bytes")
        return slice_bytes(writer_slice(&w))
    finally:
        free(room)
