# Packed state entries: writer, reader and signatures for every table that has a changelog.
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastpath.hashes cimport Sip128

cdef enum:
    ENTRY_SET = 0
    ENTRY_DEL = 1

    ENTRY_END = 0  # what next_entry returns
    ENTRY_FOUND = 1
    ENTRY_CORRUPT = -1


cdef struct EntryBuffer:  # zero-initialised; release with free_entries
    uint8_t* data
    size_t size
    size_t capacity
    bint broken  # memory ran out: the content is incomplete and must not be used


cdef struct EntryReader:
    const uint8_t* at
    const uint8_t* end


cdef struct EntryView:  # points into the reader's bytes
    Sip128 key
    int op
    const uint8_t* value
    uint32_t size


# Make room for `size` more bytes behind `buffer.size`; NULL (and broken) when out of memory.
cdef uint8_t* reserve_entry_bytes(EntryBuffer* buffer, size_t size) noexcept nogil

# Append one whole entry; `size` must be at most 2**27 bytes.
cdef bint append_entry(
    EntryBuffer* buffer, const Sip128* key, int op, const uint8_t* value, uint32_t size
) noexcept nogil

cdef void free_entries(EntryBuffer* buffer) noexcept nogil

# Step to the next entry: ENTRY_FOUND, ENTRY_END or ENTRY_CORRUPT. Never reads past `end`.
cdef int next_entry(EntryReader* reader, EntryView* entry) noexcept nogil


cdef inline uint8_t* put_varint(uint8_t* at, uint64_t value) noexcept nogil:
    """Write a LEB128 varint (at most 10 bytes) and return the first byte after it."""
    while value >= 0x80:
        at[0] = <uint8_t>(value | 0x80)
        at += 1
        value >>= 7
    at[0] = <uint8_t>value
    return at + 1


cdef inline const uint8_t* get_varint(
    const uint8_t* at, const uint8_t* end, uint64_t* value
) noexcept nogil:
    """Read a LEB128 varint of at most 64 bits; NULL where it is cut, longer or not minimal."""
    cdef int shift = 0
    cdef uint8_t byte
    value[0] = 0
    while at < end and shift < 64:
        byte = at[0]
        at += 1
        if shift == 63 and byte > 1:
            return NULL
        value[0] |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            return at if byte != 0 or shift == 0 else NULL
        shift += 7
    return NULL


cdef inline uint64_t zigzag(long long value) noexcept nogil:
    """Fold the sign into bit 0, so that small negative numbers stay small."""
    return (<uint64_t>value << 1) ^ (<uint64_t>0 - (<uint64_t>value >> 63))


cdef inline long long unzigzag(uint64_t value) noexcept nogil:
    return <long long>((value >> 1) ^ (<uint64_t>0 - (value & 1)))
