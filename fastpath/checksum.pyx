"""Compute CRC-32C (RFC 3720), by the processor's instruction where it has one.

`FASTPATH_ISA=scalar` forces the table version, which gives the same result on any processor.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from fastpath.isa cimport ISA_SCALAR, isa_level


cdef extern from "crc32c.h" nogil:
    ctypedef struct crc32c_shifts:
        pass
    crc32c_shifts crc32c_make_shifts()
    bint crc32c_has_hardware()
    uint32_t crc32c_hardware(
        uint32_t crc, const uint8_t* data, size_t size, const crc32c_shifts* shifts
    )


cdef uint32_t[8][256] TABLE
cdef crc32c_shifts SHIFTS = crc32c_make_shifts()
cdef bint use_hardware = isa_level() != ISA_SCALAR and crc32c_has_hardware()

HARDWARE = bool(use_hardware)


cdef void fill_table() noexcept nogil:
    """Fill the eight tables of slicing-by-8 for the reflected polynomial 0x82F63B78."""
    cdef uint32_t value
    cdef int byte, _bit, slice_
    for byte in range(256):
        value = <uint32_t>byte
        for _bit in range(8):
            value = (value >> 1) ^ (<uint32_t>0x82F63B78 if value & 1 else 0)
        TABLE[0][byte] = value
    for slice_ in range(1, 8):
        for byte in range(256):
            value = TABLE[slice_ - 1][byte]
            TABLE[slice_][byte] = (value >> 8) ^ TABLE[0][value & 0xFF]


fill_table()


cdef inline uint32_t load32(const uint8_t* at) noexcept nogil:
    return (at[0] | (<uint32_t>at[1] << 8) | (<uint32_t>at[2] << 16) | (<uint32_t>at[3] << 24))


cdef uint32_t crc32c_scalar(uint32_t crc, const uint8_t* data, size_t size) noexcept nogil:
    """Continue a CRC-32C eight bytes at a time (slicing-by-8)."""
    cdef uint32_t low, high
    crc = ~crc
    while size >= 8:
        low = crc ^ load32(data)
        high = load32(data + 4)
        crc = (
            TABLE[7][low & 0xFF]
            ^ TABLE[6][(low >> 8) & 0xFF]
            ^ TABLE[5][(low >> 16) & 0xFF]
            ^ TABLE[4][low >> 24]
            ^ TABLE[3][high & 0xFF]
            ^ TABLE[2][(high >> 8) & 0xFF]
            ^ TABLE[1][(high >> 16) & 0xFF]
            ^ TABLE[0][high >> 24]
        )
        data += 8
        size -= 8
    while size > 0:
        crc = (crc >> 8) ^ TABLE[0][(crc ^ data[0]) & 0xFF]
        data += 1
        size -= 1
    return ~crc


cdef uint32_t crc32c(uint32_t crc, const uint8_t* data, size_t size) noexcept nogil:
    if use_hardware:
        return crc32c_hardware(crc, data, size, &SHIFTS)
    return crc32c_scalar(crc, data, size)


def crc32c_of(bytes data not None, *, bint scalar=False):
    """Return the CRC-32C of some bytes; for tests against another implementation."""
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(data)
    cdef size_t size = <size_t>PyBytes_GET_SIZE(data)
    return crc32c_scalar(0, at, size) if scalar else crc32c(0, at, size)
