"""Pack and unpack state entries: what changes in a stage's table, one entry per key.

An entry, little-endian:

    0   16  key: the identity under the deployment key, equal in every process
    16  1-5 varint (LEB128): bytes of the value << 1 | 1 where the key was deleted
            value: the whole state of the key after the change (an after-image); of a deleted
            key whatever its table needs to find it, usually nothing

Entries stand back to back; the records that carry them are those of worker/state/changelog.py.
A key's slice, the unit of snapshots, is its first byte.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport SIZE_MAX
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from fastpath.errors import CorruptImage
from fastpath.spec import Entry

cdef enum:
    KEY_BYTES = 16
    HEAD = 21  # bytes of a key and the longest varint
    LARGEST = 134217728  # 2**27: a value's size << 1 fits the 5-byte varint with room to spare

MAX_VALUE_BYTES = LARGEST
SLICES = 256


cdef uint8_t* reserve_entry_bytes(EntryBuffer* buffer, size_t size) noexcept nogil:
    """Return room for `size` bytes behind what is written, or NULL when out of memory."""
    cdef size_t capacity = buffer.capacity
    cdef void* grown
    if buffer.broken:
        return NULL
    if size > capacity - buffer.size:
        if size > SIZE_MAX // 4 or capacity > SIZE_MAX // 4:
            buffer.broken = True
            return NULL
        capacity = 2 * capacity + size + 4096
        grown = realloc(buffer.data, capacity)
        if grown == NULL:
            buffer.broken = True
            return NULL
        buffer.data = <uint8_t*>grown
        buffer.capacity = capacity
    return buffer.data + buffer.size


cdef bint append_entry(
    EntryBuffer* buffer, const Sip128* key, int op, const uint8_t* value, uint32_t size
) noexcept nogil:
    """Append one entry; false (and broken) when out of memory or the value is too large."""
    cdef uint8_t* at
    if size > LARGEST:
        buffer.broken = True
        return False
    at = reserve_entry_bytes(buffer, HEAD + <size_t>size)
    if at == NULL:
        return False
    memcpy(at, key, KEY_BYTES)
    at = put_varint(at + KEY_BYTES, (<uint64_t>size << 1) | <uint64_t>(op == ENTRY_DEL))
    if size > 0:
        memcpy(at, value, size)
    buffer.size = <size_t>(at + size - buffer.data)
    return True


cdef void free_entries(EntryBuffer* buffer) noexcept nogil:
    """Give the memory back; the buffer is empty and usable again."""
    free(buffer.data)
    buffer.data = NULL
    buffer.size = 0
    buffer.capacity = 0
    buffer.broken = False


cdef int next_entry(EntryReader* reader, EntryView* entry) noexcept nogil:
    """Step to the next entry; after ENTRY_CORRUPT the reader stands where it stood."""
    cdef const uint8_t* at = reader.at
    cdef uint64_t packed
    if at == reader.end:
        return ENTRY_END
    if reader.end - at < KEY_BYTES:
        return ENTRY_CORRUPT
    memcpy(&entry.key, at, KEY_BYTES)
    at = get_varint(at + KEY_BYTES, reader.end, &packed)
    if at == NULL or (packed >> 1) > LARGEST or (packed >> 1) > <uint64_t>(reader.end - at):
        return ENTRY_CORRUPT
    entry.op = ENTRY_DEL if packed & 1 else ENTRY_SET
    entry.value = at
    entry.size = <uint32_t>(packed >> 1)
    reader.at = at + entry.size
    return ENTRY_FOUND


cdef void read_from(EntryReader* reader, bytes packed):
    reader.at = <const uint8_t*>PyBytes_AS_STRING(packed)
    reader.end = reader.at + PyBytes_GET_SIZE(packed)


cdef object corrupt(EntryReader* reader, bytes packed):
    place = reader.at - <const uint8_t*>PyBytes_AS_STRING(packed)
    return CorruptImage(f"entry at byte {place} of {len(packed)} is cut or malformed")


def pack(entries):
    """Pack entries in order; ValueError for a key that has not 16 bytes or a value too large."""
    cdef EntryBuffer buffer
    cdef bytes key, value
    buffer.data = NULL
    buffer.size = buffer.capacity = 0
    buffer.broken = False
    try:
        for key, value, deleted in entries:
            if len(key) != KEY_BYTES or len(value) > LARGEST:
                raise ValueError(f"a key of {len(key)} bytes, a value of {len(value)}")
            if not append_entry(
                &buffer,
                <const Sip128*>PyBytes_AS_STRING(key),
                ENTRY_DEL if deleted else ENTRY_SET,
                <const uint8_t*>PyBytes_AS_STRING(value),
                <uint32_t>PyBytes_GET_SIZE(value),
            ):
                raise MemoryError
        return PyBytes_FromStringAndSize(<const char*>buffer.data, <Py_ssize_t>buffer.size)
    finally:
        free_entries(&buffer)


def unpack(bytes packed not None):
    """Return the entries in order; CorruptImage where one is cut or malformed."""
    cdef EntryReader reader
    cdef EntryView entry
    cdef int found
    cdef list entries = []
    read_from(&reader, packed)
    while True:
        found = next_entry(&reader, &entry)
        if found != ENTRY_FOUND:
            break
        entries.append(
            Entry(
                PyBytes_FromStringAndSize(<const char*>&entry.key, KEY_BYTES),
                PyBytes_FromStringAndSize(<const char*>entry.value, entry.size),
                entry.op == ENTRY_DEL,
            )
        )
    if found == ENTRY_CORRUPT:
        raise corrupt(&reader, packed)
    return entries


def split(bytes packed not None, size_t limit):
    """Cut packed entries between entries into pieces of at most `limit` bytes, at least one.

    A single entry that is larger than `limit` makes a piece of its own: the caller, who knows
    what it may not exceed, refuses that. CorruptImage where an entry is cut or malformed.
    """
    cdef EntryReader reader
    cdef EntryView entry
    cdef const uint8_t* start
    cdef const uint8_t* before
    cdef int found
    cdef list pieces = []
    read_from(&reader, packed)
    if <size_t>len(packed) <= limit:
        with nogil:
            found = next_entry(&reader, &entry)
            while found == ENTRY_FOUND:
                found = next_entry(&reader, &entry)
        if found == ENTRY_CORRUPT:
            raise corrupt(&reader, packed)
        return [packed]
    start = reader.at
    while True:
        before = reader.at
        found = next_entry(&reader, &entry)
        if found != ENTRY_FOUND:
            break
        if <size_t>(reader.at - start) > limit and before > start:
            pieces.append(PyBytes_FromStringAndSize(<const char*>start, before - start))
            start = before
    if found == ENTRY_CORRUPT:
        raise corrupt(&reader, packed)
    pieces.append(PyBytes_FromStringAndSize(<const char*>start, reader.end - start))
    return pieces
