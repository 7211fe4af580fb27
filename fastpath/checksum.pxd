# CRC-32C for records and images; code in checksum.pyx.
from libc.stdint cimport uint8_t, uint32_t

# Continue a CRC-32C (RFC 3720); start with 0.
cdef uint32_t crc32c(uint32_t crc, const uint8_t* data, size_t size) noexcept nogil
