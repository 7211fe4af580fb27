"""Hold lists of up to 50 million digests: read from files, found by a keyed table, all in C.

A digest is compared as a whole, so a hit is exact. Where it is looked for first is SipHash-1-3
of its first 16 bytes under a key of the deployment, so that nobody outside can crowd a table;
open addressing, linear probing, at most seven slots of ten taken.
"""

from array import array
from collections.abc import Sequence

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

from fastpath.hashes cimport sip_key, siphash13

from fastpath.errors import BuildError

cdef extern from "pages.h" nogil:
    void* pages_alloc(size_t count, size_t size)

cdef extern from *:
    void __builtin_prefetch(const void* address) nogil

MAX_DIGESTS = 67_108_864  # of one list: at most 32 + 8 / 0.35 bytes each, below 4 GiB

cdef enum:
    AHEAD = 16  # probes on their way
    LONGEST_RUN = 4096  # slots one probe may read; an even table of 50 million reads some 200


cdef uint64_t placement(const DigestTable* table, const uint8_t* digest) noexcept nogil:
    """Hash the first 16 bytes of a digest."""
    cdef uint64_t[2] words
    memcpy(words, digest, 16)
    return siphash13(&table.key, words[0], words[1])


cdef void prefetch_digest(const DigestTable* table, uint64_t placed) noexcept nogil:
    __builtin_prefetch(table.slots + (placed & table.mask))


cdef int64_t find_digest(
    const DigestTable* table, const uint8_t* digest, uint64_t placed
) noexcept nogil:
    """Return the entry that equals a digest, or -1; some slots are always empty."""
    cdef uint64_t at = placed & table.mask, slot
    cdef uint64_t tag = placed & <uint64_t>0xFFFFFFFF00000000
    cdef uint32_t entry
    while True:
        slot = table.slots[at]
        if slot == 0:
            return -1
        if (slot & <uint64_t>0xFFFFFFFF00000000) == tag:
            entry = <uint32_t>slot - 1
            if memcmp(
                table.digests + <size_t>entry * table.width, digest, table.width
            ) == 0:
                return entry
        at = (at + 1) & table.mask


cdef int build_table(DigestTable* table) noexcept nogil:
    """Place every entry, of equal ones the first; 0, or -1 without memory."""
    cdef uint64_t capacity = 16, at, placed, run
    cdef uint64_t[AHEAD] coming
    cdef uint32_t entry, following
    while 7 * capacity < 10 * <uint64_t>table.count + 10:
        capacity *= 2
    table.mask = capacity - 1
    table.slots = <uint64_t*>pages_alloc(capacity, 8)
    if table.slots == NULL:
        return -1
    memset(table.slots, 0, capacity * 8)
    for following in range(table.count + AHEAD):
        if following >= AHEAD:
            entry = following - AHEAD
            placed = coming[entry & (AHEAD - 1)]
            if find_digest(table, table.digests + <size_t>entry * table.width, placed) < 0:
                at = placed & table.mask
                run = 1
                while table.slots[at] != 0:
                    at = (at + 1) & table.mask
                    run += 1
                table.slots[at] = (placed & <uint64_t>0xFFFFFFFF00000000) | (entry + 1)
                if run > table.longest_run:
                    table.longest_run = <uint32_t>run
        if following < table.count:
            placed = placement(table, table.digests + <size_t>following * table.width)
            coming[following & (AHEAD - 1)] = placed
            prefetch_digest(table, placed)
    return 0


cdef void find_all(
    const DigestTable* table, const uint8_t* queries, Py_ssize_t count, int64_t* entries
) noexcept nogil:
    """Look digests up, each after its slot was sent for."""
    cdef uint64_t[AHEAD] coming
    cdef Py_ssize_t i
    for i in range(count + AHEAD):
        if i >= AHEAD:
            entries[i - AHEAD] = find_digest(
                table, queries + (i - AHEAD) * table.width, coming[i & (AHEAD - 1)]
            )
        if i < count:
            coming[i & (AHEAD - 1)] = placement(table, queries + i * table.width)
            prefetch_digest(table, coming[i & (AHEAD - 1)])


cdef class Digests:
    """Hold digests of 16 or 32 bytes one after another; as a sequence, lower-case hex digits."""

    def __dealloc__(self):
        free(self.data)

    def __len__(self):
        return self.count

    def __getitem__(self, place):
        if isinstance(place, slice):
            return tuple([self[i] for i in range(*place.indices(self.count))])
        if not -self.count <= place < self.count:
            raise IndexError(place)
        return self.raw(place if place >= 0 else place + self.count).hex()

    cdef bytes raw(self, Py_ssize_t place):
        return PyBytes_FromStringAndSize(
            <const char*>self.data + place * self.width, self.width
        )

    def __eq__(self, other):
        if isinstance(other, Digests):
            return self.same(other)
        return NotImplemented

    cdef bint same(self, Digests other):
        return self.count == other.count and self.width == other.width and (
            memcmp(self.data, other.data, <size_t>(self.count * self.width)) == 0
        )

    def __hash__(self):
        return hash((self.count, self.width, self.raw(0) if self.count else b""))


Sequence.register(Digests)


cdef Digests room_for(size_t count, size_t width):
    cdef Digests out = Digests.__new__(Digests)
    if count > <size_t>MAX_DIGESTS:
        raise BuildError("digests of a list", MAX_DIGESTS, count)
    out.width = <Py_ssize_t>width
    out.data = <uint8_t*>pages_alloc(count + 1, width)
    if out.data == NULL:
        raise MemoryError
    return out


def pack_digests(entries, Py_ssize_t width):
    """Return entries of hex digits as Digests; those that are packed already stay as they are."""
    if isinstance(entries, Digests):
        return entries
    cdef bytes data = bytes.fromhex("".join(entries))
    cdef Digests out = room_for(<size_t>len(entries), <size_t>width)
    if len(data) != len(entries) * width:
        raise BuildError("bytes of a digest", width, len(data) / max(1, len(entries)))
    memcpy(out.data, PyBytes_AS_STRING(data), <size_t>len(data))
    out.count = len(entries)
    return out


cdef inline int hex_digit(uint8_t c) noexcept nogil:
    if 0x30 <= c <= 0x39:
        return c - 0x30
    c |= 0x20
    return c - 0x57 if 0x61 <= c <= 0x66 else -1


cdef inline bint is_blank(uint8_t c) noexcept nogil:
    return c == 0x20 or c == 0x09 or c == 0x0D


cdef bint read_digest(
    const uint8_t* field, size_t size, size_t width, uint8_t* out
) noexcept nogil:
    """Read one field of hex digits with blanks around it; false where it is anything else."""
    cdef size_t i
    cdef int high, low
    while size > 0 and is_blank(field[0]):
        field += 1
        size -= 1
    while size > 0 and is_blank(field[size - 1]):
        size -= 1
    if size != 2 * width:
        return False
    for i in range(width):
        high = hex_digit(field[2 * i])
        low = hex_digit(field[2 * i + 1])
        if high < 0 or low < 0:
            return False
        out[i] = <uint8_t>(16 * high + low)
    return True


cdef struct Parsed:
    size_t digests
    size_t line  # 1-based line that could not be read, 0: all could


cdef Parsed parse(
    const uint8_t* content, size_t size, size_t width, int column, uint8_t* out, size_t room
) noexcept nogil:
    """Read lines of one digest each, or its field of lines with commas."""
    cdef Parsed parsed
    cdef size_t at = 0, end, first, last
    cdef int field
    parsed.digests = 0
    parsed.line = 0
    cdef size_t line = 0
    while at < size:
        line += 1
        end = at
        while end < size and content[end] != 0x0A:
            end += 1
        first = at
        at = end + 1
        while first < end and is_blank(content[first]):
            first += 1
        if first == end or content[first] == 0x23:
            continue
        last = end
        if column >= 0:
            field = 0
            while field < column and first < end:
                if content[first] == 0x2C:
                    field += 1
                first += 1
            last = first
            while last < end and content[last] != 0x2C:
                last += 1
        if parsed.digests == room or not read_digest(
            content + first, last - first, width, out + parsed.digests * width
        ):
            parsed.line = line
            return parsed
        parsed.digests += 1
    return parsed


def read_digests(const uint8_t[::1] content not None, Py_ssize_t width, int column=-1, start=0):
    """Read a list file of hex digests without a Python object for each.

    One digest to a line, or the field `column` (0-based) of lines with commas and no quotes;
    blank lines and those that begin with # do not count. `start` is where the lines begin.
    Returns Digests, or (1-based line from `start`, digests before it) for the first line that is
    anything else. Raises BuildError above MAX_DIGESTS. Releases the GIL.
    """
    cdef size_t size = <size_t>content.shape[0], begin = start, room
    cdef Parsed parsed
    cdef Digests out
    if begin >= size:
        return room_for(0, <size_t>width)
    room = (size - begin) // (2 * <size_t>width) + 1
    out = room_for(min(room, <size_t>MAX_DIGESTS), <size_t>width)
    with nogil:
        parsed = parse(
            &content[begin], size - begin, <size_t>width, column, out.data, room
        )
    if parsed.line:
        return parsed.line, parsed.digests
    out.count = <Py_ssize_t>parsed.digests
    return out


cdef class DigestSet:
    """Find digests among those of a list; immutable once built, which releases the GIL.

    `identity_key` (16 bytes) keys the placement and changes no result. Of equal entries the
    first is found. Raises BuildError.
    """

    def __cinit__(self, Digests digests not None, bytes identity_key not None):
        cdef int failed
        if len(identity_key) != 16:
            raise BuildError("identity key bytes", 16, len(identity_key))
        sip_key(&self.table.key, <const uint8_t*>PyBytes_AS_STRING(identity_key))
        self.digests = digests
        self.table.digests = digests.data
        self.table.width = <uint32_t>digests.width
        self.table.count = <uint32_t>digests.count
        with nogil:
            failed = build_table(&self.table)
        if failed != 0:
            raise MemoryError
        if self.table.longest_run > LONGEST_RUN:
            raise BuildError("longest run of a digest table", LONGEST_RUN, self.longest_run)

    def __dealloc__(self):
        free(self.table.slots)

    def __len__(self):
        return self.digests.count

    def find(self, Digests queries not None):
        """Return for each digest its entry, or -1, as array("q"); releases the GIL."""
        if queries.width != self.digests.width:
            raise ValueError("digests of another kind than the list holds")
        found = array("q", bytes(8 * queries.count))
        cdef int64_t[::1] entries = found
        if queries.count > 0:
            with nogil:
                find_all(&self.table, queries.data, queries.count, &entries[0])
        return found

    @property
    def longest_run(self):
        """Return the slots of the longest probe."""
        return self.table.longest_run

    @property
    def memory_bytes(self):
        """Return the bytes of the table and its digests."""
        return 8 * (self.table.mask + 1) + self.digests.count * self.digests.width


def without_repeats(Digests digests not None, bytes identity_key not None):
    """Return the digests without those that repeat earlier ones, in their order."""
    cdef DigestSet held = DigestSet(digests, identity_key)
    cdef Digests out = room_for(<size_t>digests.count, <size_t>digests.width)
    cdef Py_ssize_t i, n = 0
    cdef const uint8_t* digest
    with nogil:
        for i in range(digests.count):
            digest = digests.data + i * digests.width
            if find_digest(&held.table, digest, placement(&held.table, digest)) == i:
                memcpy(out.data + n * digests.width, digest, <size_t>digests.width)
                n += 1
    out.count = n
    return out
