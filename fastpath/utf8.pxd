# Read UTF-8 that is known to be valid; posts checks it.
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef inline uint32_t decode(const uint8_t* at, uint32_t* length) noexcept nogil:
    """Read one code point and the number of its bytes."""
    if at[0] < 0x80:
        length[0] = 1
        return at[0]
    if at[0] < 0xE0:
        length[0] = 2
        return (at[0] & 0x1Fu) << 6 | (at[1] & 0x3Fu)
    if at[0] < 0xF0:
        length[0] = 3
        return (at[0] & 0x0Fu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu)
    length[0] = 4
    return (
        (at[0] & 0x07u) << 18 | (at[1] & 0x3Fu) << 12 | (at[2] & 0x3Fu) << 6 | (at[3] & 0x3Fu)
    )


cdef inline bint is_ascii(const uint8_t* text, size_t size) noexcept nogil:
    """Say whether every byte is ASCII; any bytes may be asked about."""
    cdef uint64_t octets, tops = 0
    cdef size_t at = 0
    while size - at >= 8:
        memcpy(&octets, text + at, 8)
        tops |= octets
        at += 8
    while at < size:
        tops |= text[at]
        at += 1
    return not tops & 0x8080808080808080u
