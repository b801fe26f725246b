# crc.pxi: CRC-32 IEEE, the checksum of protocol §7. It knows no envelope.

# Tables for eight bytes a step: [k][b] is what byte b does k bytes further on.
cdef uint32_t[8][256] CRC_TABLE


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


cdef uint32_t crc32(slice_t s) noexcept nogil:
    cdef cursor_t c = cursor_of(s)
    cdef uint32_t crc = 0xFFFFFFFF, low = 0, high = 0
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
    return ~crc
