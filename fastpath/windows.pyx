"""Count per account over origin time, exactly: the windows of one input partition.

An account owns one row: a header and a 24-byte slot per window, side by side, so that one keyed
probe finds all of them. Placement is SipHash-1-3 under a seed that changes no value. The index
holds 8 bytes per account in open addressing, one table per slice, at most seven tenths full;
rows never move. A heap by the time of retirement frees rows a few at a time.

What changes leaves as after-images (`changes`), packed here; nothing is ever rolled back.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT32_MAX
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from fastpath.changelog cimport (
    ENTRY_CORRUPT, ENTRY_DEL, ENTRY_FOUND, ENTRY_SET, EntryReader, EntryView, append_entry,
    free_entries, get_varint, next_entry, put_varint, reserve_entry_bytes, unzigzag, zigzag,
)
from fastpath.hashes cimport sip_key, siphash13

from fastpath.changelog import SLICES
from fastpath.checks import MAX_OVER_MS
from fastpath.errors import BuildError, CorruptImage
from fastpath.rfc3339 import MAX_TIME_MS
from fastpath.spec import MAX_DISTINCT, MIN_OVER_MS, RETIRE_MS, TICKS

cdef extern from "pages.h" nogil:
    void* pages_alloc(size_t count, size_t size)

cdef extern from *:
    void __builtin_prefetch(const void* address) noexcept nogil

cdef enum:
    RETIRE = 3600000  # RETIRE_MS: ms past 8 ticks after which a window reads as absent
    RETIRED_PER_POST = 2  # rows looked at per post: faster than new accounts can come
    SHORTEST = 8000  # MIN_OVER_MS
    AHEAD = 4  # rows fetched ahead while changes are packed
    LINE = 64  # bytes of a cache line

cdef int64_t NEVER = -1  # before every tick and time
cdef int64_t LONGEST = MAX_OVER_MS
cdef int64_t LAST_TIME = MAX_TIME_MS

if (MAX_DISTINCT, RETIRE_MS, TICKS, MIN_OVER_MS, SLICES) != (
    WINDOW_DISTINCT, RETIRE, WINDOW_TICKS, SHORTEST, WINDOW_SLICES
):
    raise ImportError("fastpath.windows was compiled with other limits than fastpath.spec has")

COUNTS = ("posts", "links", "distinct_targets", "repeated_texts")  # by COUNT_*


cdef inline bint same(const Sip128* a, const Sip128* b) noexcept nogil:
    return a.first == b.first and a.second == b.second


cdef inline uint32_t place_tag(const WindowTable* table, const Sip128* account) noexcept nogil:
    return <uint32_t>siphash13(&table.placement, account.first, account.second)


cdef inline int64_t retires_at(const WindowKind* kind, const WindowSlot* slot) noexcept nogil:
    """Return the stream time from which a window that has counted reads as absent."""
    return (slot.newest + WINDOW_TICKS) * kind.tick_ms + RETIRE


cdef int64_t account_retires_at(const WindowTable* table, WindowRow* row) noexcept nogil:
    cdef int64_t latest = INT64_MIN, at
    cdef const WindowSlot* slots = slots_of(row)
    cdef const FrozenWindows* frozen
    cdef size_t i
    for i in range(table.windows):
        if slots[i].newest != NEVER:
            at = retires_at(&table.kinds[i], &slots[i])
            latest = at if at > latest else latest
    if row.frozen != 0:
        frozen = &table.frozen[row.frozen - 1]
        for i in range(frozen.count):
            at = retires_at(&frozen.windows[i].kind, &frozen.windows[i].slot)
            latest = at if at > latest else latest
    return latest


include "window_values.pxi"
include "window_ring.pxi"
include "window_counting.pxi"
include "window_rows.pxi"
include "window_images.pxi"
include "window_restore.pxi"
include "partitioners.pxi"


def partitioners_of(bytes key not None):
    """Return (murmur2, crc32): how the usual partitioners place a record's key, both u32."""
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(key)
    return murmur2(data, <size_t>len(key)), crc32(data, <size_t>len(key))


cdef object as_bytes(EntryBuffer* buffer):
    """Hand over what is packed and empty the buffer."""
    if buffer.broken:
        free_entries(buffer)
        raise MemoryError
    packed = PyBytes_FromStringAndSize(<const char*>buffer.data, <Py_ssize_t>buffer.size)
    free_entries(buffer)
    return packed


cdef class AccountWindows:
    """Own the account windows of one input partition, and its stream time.

    Made by `Screen.new_state`; a screen counts in it without the GIL. Times are ms from 0 to
    the year 9999. A window is named by what it counts and its length: one that a restored image
    has and this table lacks is kept as it is until it retires.
    """

    def __cinit__(self, windows, uint64_t max_keys, int partition, bytes placement_seed not None):
        cdef size_t i
        kinds = list(dict.fromkeys((window.count, window.over_ms) for window in windows))
        if len(placement_seed) != 16:
            raise BuildError("placement seed bytes", 16, len(placement_seed))
        sip_key(&self.table.placement, <const uint8_t*>PyBytes_AS_STRING(placement_seed))
        self.partition = partition
        self.table.windows = <size_t>len(kinds)
        self.table.specified = <size_t>len(windows)
        self.table.row_bytes = sizeof(WindowRow) + self.table.windows * sizeof(WindowSlot)
        self.table.max_keys = max_keys
        self.table.stream_time = INT64_MIN
        self.table.kinds = <WindowKind*>calloc(self.table.windows + 1, sizeof(WindowKind))
        self.table.places = <size_t*>calloc(self.table.specified + 1, sizeof(size_t))
        if self.table.kinds == NULL or self.table.places == NULL:
            raise MemoryError
        for i, (count, over_ms) in enumerate(kinds):
            self.table.kinds[i].count_of = COUNTS.index(count)
            self.table.kinds[i].tick_ms = over_ms // TICKS
            self.table.kinds[i].code = code_of(&self.table.kinds[i])
        for i, window in enumerate(windows):
            self.table.places[i] = kinds.index((window.count, window.over_ms))

    def __dealloc__(self):
        cdef WindowTable* table = &self.table
        cdef int slice_
        cdef uint32_t i
        for i in range(table.rows):
            if row_at(table, i).taken:
                clear_row(table, row_at(table, i))
        for slice_ in range(WINDOW_SLICES):
            free(table.parts[slice_].slots)
        free_pages(table)
        free(table.heap)
        free(table.heap_places)
        free(table.frozen)
        free(table.changed)
        free(table.kinds)
        free(table.places)
        free_entries(&table.deleted)

    @property
    def stream_time(self):
        """Return the greatest origin time of a counted record in ms; None before the first."""
        return None if self.table.stream_time == INT64_MIN else self.table.stream_time

    @property
    def accounts(self):
        """Return the number of accounts held, retired ones included until they are freed."""
        return self.table.held

    @property
    def memory_bytes(self):
        """Return the bytes of rows, index, retirement heap and what lies outside rows."""
        cdef uint64_t total = self.table.page_count * PAGE_ROWS * self.table.row_bytes
        cdef int i
        total += self.table.heap_capacity * (sizeof(Retirement) + sizeof(uint32_t))
        for i in range(WINDOW_SLICES):
            if self.table.parts[i].slots != NULL:
                total += (self.table.parts[i].mask + 1) * sizeof(IndexSlot)
        return total + self.table.outside_bytes

    def changes(self):
        """Return the entries of what changed since the last call, deletes first."""
        cdef WindowTable* table = &self.table
        cdef EntryBuffer out = table.deleted
        cdef WindowRow* row
        cdef size_t i
        memset(&table.deleted, 0, sizeof(EntryBuffer))
        with nogil:
            for i in range(table.changed_count):
                if i + AHEAD < table.changed_count:
                    __builtin_prefetch(row_at(table, table.changed[i + AHEAD]))
                row = row_at(table, table.changed[i])
                if row.changed:  # not freed since
                    row.changed = False
                    put_row(table, &out, row)
            table.changed_count = 0
        return as_bytes(&out)

    def snapshot(self, uint8_t slice_):
        """Return the entries of a slice's accounts that have not retired, by key."""
        cdef EntryBuffer out
        memset(&out, 0, sizeof(out))
        with nogil:
            if not put_part(&self.table, &self.table.parts[slice_], &out):
                out.broken = True
        return as_bytes(&out)

    def restore(self, long long stream_time, bytes entries not None):
        """Apply entries; nothing of it comes out of `changes`. CorruptImage: worthless now."""
        cdef EntryReader reader
        cdef const uint8_t* malformed
        if stream_time > LAST_TIME:
            raise CorruptImage(f"stream time {stream_time} is past the year 9999")
        if stream_time > self.table.stream_time:
            self.table.stream_time = stream_time
        reader.at = <const uint8_t*>PyBytes_AS_STRING(entries)
        reader.end = reader.at + PyBytes_GET_SIZE(entries)
        with nogil:
            malformed = apply_entries(&self.table, &reader)
        if self.table.broken:
            raise MemoryError
        if malformed != NULL:
            place = malformed - <const uint8_t*>PyBytes_AS_STRING(entries)
            raise CorruptImage(f"window entry before byte {place} of {len(entries)} is malformed")

    def clear(self, uint8_t slice_):
        """Forget every account of a slice; nothing of it comes out of `changes`."""
        with nogil:
            clear_part(&self.table, &self.table.parts[slice_])

    def count(
        self, bytes account not None, bytes name not None, long long time, uint32_t links, targets,
        digest,
    ):
        """Count one record by hand and return (values, late, distinct_full, table_full).

        For tests against the twin. `account` has 16 bytes, `name` is the account's id, each of
        the targets, and the digest, 8 bytes; digest is None for an empty text.
        """
        cdef WindowPost post
        cdef uint64_t[64] values
        cdef bytes value
        cdef int seen
        if len(account) != 16 or len(targets) > 2 or self.table.specified > 64:
            raise ValueError("an account has 16 bytes, a record at most two targets")
        if not 0 <= time <= LAST_TIME:
            raise ValueError(f"time {time} is not from 1970 to 9999")
        memset(&post, 0, sizeof(post))
        memcpy(&post.account, PyBytes_AS_STRING(account), 16)
        post.tag = tag_account(&self.table, &post.account)
        post.id = <const uint8_t*>PyBytes_AS_STRING(name)
        post.id_size = <size_t>PyBytes_GET_SIZE(name)
        post.time = time
        post.links = links
        for value in targets:
            memcpy(&post.target[post.targets], PyBytes_AS_STRING(value), 8)
            post.targets += 1
        if digest is not None:
            value = digest
            post.has_text = True
            memcpy(&post.digest, PyBytes_AS_STRING(value), 8)
        seen = count_post(&self.table, &post, values)
        if self.table.broken:
            raise MemoryError
        return (
            tuple([values[i] for i in range(self.table.specified)]),
            bool(seen & SEEN_LATE),
            bool(seen & SEEN_DISTINCT_FULL),
            bool(seen & SEEN_TABLE_FULL),
        )
