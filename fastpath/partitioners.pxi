# How producers place a key on a partition: kept per account, because an account's identity does
# not tell its partition, and a state that moves to another number of partitions must know it.

cdef uint32_t murmur2(const uint8_t* data, size_t size) noexcept nogil:
    """Return Murmur2 as Kafka's default partitioner takes it; partition = (hash & 2**31-1) % n.

    Austin Appleby's MurmurHash2 with Kafka's seed (org.apache.kafka.common.utils.Utils).
    """
    cdef uint32_t m = 0x5BD1E995, k
    cdef uint32_t h = <uint32_t>0x9747B28C ^ <uint32_t>size
    cdef size_t left = size
    while left >= 4:
        memcpy(&k, data, 4)
        k *= m
        k ^= k >> 24
        k *= m
        h = h * m ^ k
        data += 4
        left -= 4
    if left >= 3:
        h ^= <uint32_t>data[2] << 16
    if left >= 2:
        h ^= <uint32_t>data[1] << 8
    if left >= 1:
        h = (h ^ data[0]) * m
    h ^= h >> 13
    h *= m
    return h ^ h >> 15


cdef uint32_t[256] CRC32_TABLE


cdef void fill_crc32_table() noexcept nogil:
    cdef uint32_t value
    cdef int byte, _bit
    for byte in range(256):
        value = <uint32_t>byte
        for _bit in range(8):
            value = (value >> 1) ^ (<uint32_t>0xEDB88320 if value & 1 else 0)
        CRC32_TABLE[byte] = value


fill_crc32_table()


cdef uint32_t crc32(const uint8_t* data, size_t size) noexcept nogil:
    """Return CRC-32 (zlib), librdkafka's default partitioner; partition = hash % n."""
    cdef uint32_t value = UINT32_MAX
    cdef size_t i
    for i in range(size):
        value = (value >> 8) ^ CRC32_TABLE[(value ^ data[i]) & 0xFF]
    return ~value
