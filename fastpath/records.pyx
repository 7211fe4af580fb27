"""Index batches of records in place, and pack and unpack sightings.

A packed sightings record, little-endian:

    0   4  magic "WEIS"
    4   1  version 1
    5   1  0
    6   2  bytes of the topic
    8   4  count of entries
    12  4  CRC-32C (RFC 3720) of everything after byte 48
    16  32 digest of the bundle
    48     topic, UTF-8, then the entries

    entry:
    0   2  bytes of the whole entry
    2   1  type: index in FINGERPRINT_TYPES + 1
    3   1  0
    4   16 fingerprint
    20  16 text digest
    36  8  SimHash
    44  8  origin time, ms
    52  8  account created_at, ms; INT64_MIN where unknown
    60  4  origin partition
    64  8  origin offset
    72  4  revision
    76  2  bytes of the account id
    78  2  bytes of the post id
    80     account id, post id, UTF-8
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MIN
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memchr, memcpy, memset

from fastpath.checksum cimport crc32c
from fastpath.columns import Sighting, SightingRecord
from fastpath.errors import BuildError, CorruptImage
from fastpath.spec import FINGERPRINT_TYPES, SightingBatch

cdef enum:
    MAX_PACKED = 262144  # 256 KiB; broker and producer accept 1 MiB, a record stays far below
    HEADER = 48
    ENTRY = 80

MAX_PACKED_BYTES = MAX_PACKED
HEADER_BYTES = HEADER
ENTRY_BYTES = ENTRY

cdef inline uint16_t load16(const uint8_t* at) noexcept nogil:
    return <uint16_t>(at[0] | (<uint32_t>at[1] << 8))


cdef inline uint32_t load32(const uint8_t* at) noexcept nogil:
    return (at[0] | (<uint32_t>at[1] << 8) | (<uint32_t>at[2] << 16) | (<uint32_t>at[3] << 24))


cdef inline uint64_t load64(const uint8_t* at) noexcept nogil:
    return load32(at) | (<uint64_t>load32(at + 4) << 32)


cdef inline void store16(uint8_t* at, uint16_t value) noexcept nogil:
    at[0] = value & 0xFF
    at[1] = value >> 8


cdef inline void store32(uint8_t* at, uint32_t value) noexcept nogil:
    cdef int i
    for i in range(4):
        at[i] = (value >> (8 * i)) & 0xFF


cdef inline void store64(uint8_t* at, uint64_t value) noexcept nogil:
    cdef int i
    for i in range(8):
        at[i] = (value >> (8 * i)) & 0xFF


cdef void point_at(RecordRef* ref, bytes key, bytes value) noexcept:
    """Point a reference at objects that the view's owner keeps alive."""
    ref.key = NULL
    ref.key_size = -1
    ref.value = NULL
    ref.value_size = -1
    if key is not None:
        ref.key = <const uint8_t*>PyBytes_AS_STRING(key)
        ref.key_size = PyBytes_GET_SIZE(key)
    if value is not None:
        ref.value = <const uint8_t*>PyBytes_AS_STRING(value)
        ref.value_size = PyBytes_GET_SIZE(value)


cdef bint is_blank(const uint8_t* line, size_t size) noexcept nogil:
    cdef size_t i
    for i in range(size):
        if line[i] != 0x20 and line[i] != 0x09 and line[i] != 0x0D:
            return False
    return True


cdef size_t count_feeds(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Count line feeds a vector at a time; CPython looks at one byte after the other."""
    cdef size_t count = 0
    while at < end:
        at = <const uint8_t*>memchr(at, 0x0A, <size_t>(end - at))
        if at == NULL:
            break
        at += 1
        count += 1
    return count


def count_lines(bytes data not None):
    """Return the number of line feeds in a block of NDJSON; called by whoever numbers lines."""
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(data)
    return count_feeds(at, at + PyBytes_GET_SIZE(data))


cdef class BatchView:
    """Hold n records as (key, value, time ms, offset), in place and immutable.

    Made by `from_records`, `from_lines` or `fastpath.batches`; the bytes stay where they are and
    alive for as long as the view. Read by a Screen without the GIL, and by stages one record at a
    time.
    """

    def __cinit__(self):
        self.refs = NULL
        self.count = 0
        self.owns_refs = False

    def __init__(self):
        raise TypeError("use BatchView.from_records or BatchView.from_lines")

    def __dealloc__(self):
        if self.owns_refs:
            free(self.refs)

    @staticmethod
    def from_records(str topic not None, int partition, keys, values, times, offsets):
        """Index records whose keys and values are bytes or None; all four sequences are n long.

        Raises ValueError where the lengths differ.
        """
        cdef list own_keys = list(keys)
        cdef list own_values = list(values)
        cdef Py_ssize_t count = len(own_values)
        if len(own_keys) != count or len(times) != count or len(offsets) != count:
            raise ValueError(
                f"keys, values, times and offsets differ in length: "
                f"{len(own_keys)}, {count}, {len(times)}, {len(offsets)}"
            )
        cdef BatchView view = new_view(topic, partition, count)
        view.owner = (own_keys, own_values)
        cdef Py_ssize_t i
        for i in range(count):
            point_at(&view.refs[i], own_keys[i], own_values[i])
            view.refs[i].time = times[i]
            view.refs[i].offset = offsets[i]
        return view

    @staticmethod
    def from_lines(str topic not None, bytes data not None, long long first_line):
        """Index NDJSON lines: offset = line number (`first_line` is that of the first), time 0.

        Blank lines are numbered and left out; a carriage return before the line feed is not
        part of the value. The key of a line is None.
        """
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(data)
        cdef const uint8_t* end = at + PyBytes_GET_SIZE(data)
        cdef const uint8_t* stop
        cdef Py_ssize_t count = 0
        cdef BatchView view = new_view(topic, 0, <Py_ssize_t>count_feeds(at, end) + 1)
        cdef long long number = first_line
        cdef size_t size
        view.owner = data
        while at < end:
            stop = <const uint8_t*>memchr(at, 0x0A, <size_t>(end - at))
            if stop == NULL:
                stop = end
            size = <size_t>(stop - at)
            if not is_blank(at, size):
                if at[size - 1] == 0x0D:
                    size -= 1
                view.refs[count].key = NULL
                view.refs[count].key_size = -1
                view.refs[count].value = at
                view.refs[count].value_size = <int64_t>size
                view.refs[count].time = 0
                view.refs[count].offset = number
                count += 1
            number += 1
            at = stop + 1
        view.count = count
        return view

    def __len__(self):
        return self.count

    cdef RecordRef* ref(self, Py_ssize_t index) except NULL:
        if index < 0 or index >= self.count:
            raise IndexError(f"record {index} of {self.count}")
        return &self.refs[index]

    def value(self, Py_ssize_t index):
        """Return the value's bytes, or None for a null value."""
        cdef RecordRef* ref = self.ref(index)
        if ref.value_size < 0:
            return None
        return PyBytes_FromStringAndSize(<const char*>ref.value, <Py_ssize_t>ref.value_size)

    def key(self, Py_ssize_t index):
        """Return the key's bytes, or None for a null key."""
        cdef RecordRef* ref = self.ref(index)
        if ref.key_size < 0:
            return None
        return PyBytes_FromStringAndSize(<const char*>ref.key, <Py_ssize_t>ref.key_size)

    def time(self, Py_ssize_t index):
        """Return the record's timestamp in ms; 0 for lines."""
        return self.ref(index).time

    def offset(self, Py_ssize_t index):
        """Return the record's offset, or its line number."""
        return self.ref(index).offset

    def slice(self, Py_ssize_t start, Py_ssize_t stop):
        """Return the records [start, stop) as a view on the same bytes, clipped to its ends."""
        start = min(max(start, 0), self.count)
        stop = min(max(stop, start), self.count)
        cdef BatchView view = BatchView.__new__(BatchView)
        view.topic = self.topic
        view.partition = self.partition
        view.owner = self
        view.refs = self.refs + start
        view.count = stop - start
        return view


cdef BatchView adopt(str topic, int partition, RecordRef* refs, Py_ssize_t count, object owner):
    """Make a view that frees `refs`, and keeps alive what they point into."""
    cdef BatchView view = BatchView.__new__(BatchView)
    view.topic = topic
    view.partition = partition
    view.owner = owner
    view.refs = refs
    view.count = count
    view.owns_refs = True
    return view


cdef BatchView new_view(str topic, int partition, Py_ssize_t count):
    cdef BatchView view = BatchView.__new__(BatchView)
    view.topic = topic
    view.partition = partition
    view.count = count
    view.refs = <RecordRef*>calloc(<size_t>max(count, 1), sizeof(RecordRef))
    if view.refs == NULL:
        raise MemoryError
    view.owns_refs = True
    return view


include "sightings.pxi"
