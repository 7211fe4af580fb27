# Read UTF-8 that is known to be valid; posts checks it.
from libc.stdint cimport uint8_t, uint32_t


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
