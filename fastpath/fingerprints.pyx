"""Keep the sightings of one partition by fingerprint, and find the runs that a rule may hold for.

Nearly every fingerprint is seen once and costs a slot of 16 bytes and its sighting, packed. One
that is seen again becomes a list of sightings; runs of ticks are counted only from the number of
sightings at which a rule's gate could pass. Placement is SipHash-1-3 under a seed that changes no
value; there are 256 small tables by the fingerprint's ninth byte (the first ones chose the
partition), so growth never moves more than a 256th and a slice of the state is one of them.

The twin is fastpath.reference.fingerprints; the rules are in docs/campaigns.md.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT64_MAX, INT64_MIN, UINT32_MAX
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from fastpath.arena cimport slab_alloc, slab_free, slab_release
from fastpath.changelog cimport (
    ENTRY_CORRUPT,
    ENTRY_DEL,
    ENTRY_FOUND,
    ENTRY_SET,
    EntryReader,
    EntryView,
    append_entry,
    free_entries,
    get_varint,
    next_entry,
    put_varint,
    reserve_entry_bytes,
    unzigzag,
    zigzag,
)
from fastpath.checksum cimport crc32c
from fastpath.hashes cimport blake2b, sip_key, siphash13, siphash128
from fastpath.posts cimport is_utf8

import hashlib

from fastpath.columns import Arrival, FoundRun, KeptSighting, Taken
from fastpath.errors import BuildError, CorruptImage
from fastpath.records import unpack_sightings
from fastpath.spec import (
    FINGERPRINT_TYPES,
    MAX_CAMPAIGN_RULES,
    MAX_TIME_MS,
    MIN_TIME_MS,
    TICKS,
)

cdef enum:
    HEADER = 48  # of a packed record; layout in records.pyx
    ENTRY = 80
    FIRST_CAPACITY = 4  # slots of a subtable
    SWEPT = 8  # slots looked at per sighting: a round over all is quicker than they can come
    DUE_SHIFT = 17  # stream time in units of 131 s: 32 bits reach from year 1 to 9999
    LISTED_KEPT = 16  # so many sightings are searched one by one
    AHEAD = 8  # sightings whose slots are fetched before they are needed

    COUNTED = 0  # what count_one returns
    FOUND = 1
    BROKEN = -1

cdef int64_t NO_TIME = INT64_MIN
cdef int64_t FIRST_TIME = MIN_TIME_MS
cdef int64_t LAST_TIME = MAX_TIME_MS

if TICKS != RUN_TICKS or MAX_CAMPAIGN_RULES != MAX_GATES or len(FINGERPRINT_TYPES) != TYPES:
    raise ImportError("fastpath.fingerprints was compiled with other limits than fastpath.spec has")

cdef extern from *:
    """
    typedef unsigned __int128 fastpath_u128;
    """
    ctypedef unsigned long long fastpath_u128
    int __builtin_clzll(unsigned long long value) noexcept nogil
    void __builtin_prefetch(const void* at) noexcept nogil


cdef inline uint16_t load16(const uint8_t* at) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, at, 2)
    return value


cdef inline uint32_t load32(const uint8_t* at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return value


cdef inline int64_t load64(const uint8_t* at) noexcept nogil:
    cdef int64_t value
    memcpy(&value, at, 8)
    return value


cdef inline int64_t floor_divide(int64_t value, int64_t by) noexcept nogil:
    cdef int64_t quotient = value // by
    return quotient - 1 if value % by < 0 else quotient


cdef inline bint same(const Sip128* a, const Sip128* b) noexcept nogil:
    return a.first == b.first and a.second == b.second


cdef inline bint is_full(const void* entry) noexcept nogil:
    return (<const Lone*>entry).seen.state & IS_FULL


cdef inline uint8_t* account_of(const Seen* seen) noexcept nogil:
    return <uint8_t*>seen + sizeof(Seen)


cdef inline uint8_t* post_of(const Seen* seen) noexcept nogil:
    return <uint8_t*>seen + sizeof(Seen) + seen.account_size


cdef inline size_t seen_bytes(const Seen* seen) noexcept nogil:
    return sizeof(Seen) + <size_t>seen.account_size + seen.post_size


cdef inline int64_t placed(int64_t time) noexcept nogil:
    return FIRST_TIME if time < FIRST_TIME else LAST_TIME if time > LAST_TIME else time


include "fingerprint_sketches.pxi"
include "fingerprint_kept.pxi"
include "fingerprint_runs.pxi"
include "fingerprint_gates.pxi"
include "fingerprint_slots.pxi"
include "fingerprint_counting.pxi"
include "fingerprint_arrivals.pxi"
include "fingerprint_state.pxi"
include "fingerprint_restore.pxi"


# --- The table -----------------------------------------------------------------------------------

cdef class FingerprintTable:
    """Hold the fingerprints of one partition of sightings.

    `begin` takes a record of packed sightings, `advance` counts on until one has runs to judge,
    `take` tells that a rule holds for one of these runs. Made and called by the correlate stage,
    one thread at a time; counting runs without the GIL and never raises but for memory.
    """

    cdef Table table
    cdef bytes key
    cdef bytes value  # keeps the record at hand alive
    cdef list topics
    cdef dict topic_index

    def __cinit__(self, spec, bytes placement_seed not None):
        cdef size_t i
        if len(placement_seed) != 16:
            raise BuildError("placement seed bytes", 16, len(placement_seed))
        sip_key(&self.table.placement, <const uint8_t*>PyBytes_AS_STRING(placement_seed))
        self.key = spec.deployment_key
        if len(self.key) > 64:
            raise BuildError("deployment key bytes", 64, len(self.key))
        naming = hashlib.blake2b(b"fingerprints", digest_size=16, key=self.key).digest()
        sip_key(&self.table.naming, <const uint8_t*>PyBytes_AS_STRING(naming))
        self.table.account_key = <const uint8_t*>PyBytes_AS_STRING(self.key)
        self.table.account_key_size = <size_t>len(self.key)
        self.table.lateness_ms = spec.lateness_ms
        self.table.stream_time = NO_TIME
        self.table.next_floor = INT64_MIN
        self.table.max_sightings = spec.max_sightings
        self.table.exact = spec.exact_sightings
        self.topics = []
        self.topic_index = {}
        for i in range(TYPES):
            add_type(&self.table, i, [
                (index, gate) for index, gate in enumerate(spec.gates)
                if FINGERPRINT_TYPES.index(gate.type) == i
            ])

    def __dealloc__(self):
        cdef size_t i, j
        for i in range(SUBTABLES):
            for j in range(self.table.subs[i].capacity):
                if self.table.subs[i].slots[j].entry != NULL:
                    free_entry(&self.table, self.table.subs[i].slots[j].entry)
            free(self.table.subs[i].slots)
        for i in range(TYPES):
            free_type(&self.table.types[i])
        slab_release(&self.table.slab)
        free(self.table.at)
        free(self.table.hash)
        free(self.table.changed)
        free_entries(&self.table.gone)

    @property
    def late(self):
        """Return how many sightings came too late to count."""
        return self.table.late

    @property
    def repeated(self):
        """Return how many sightings were the very same as one that is kept."""
        return self.table.repeated

    @property
    def refused(self):
        """Return how many sightings found the table full."""
        return self.table.refused

    @property
    def sightings(self):
        """Return how many sightings were read."""
        return self.table.sightings

    @property
    def stream_time(self):
        """Return the greatest origin time seen, ms; INT64_MIN before the first."""
        return self.table.stream_time

    @property
    def memory_bytes(self):
        """Return the bytes of slots and sightings; indexes and runs of crowds come on top."""
        cdef size_t i
        cdef uint64_t slots = 0
        for i in range(SUBTABLES):
            slots += self.table.subs[i].capacity
        return slots * sizeof(Slot) + self.table.slab.used

    def __len__(self):
        """Return the fingerprints in memory, those included that are past and not yet freed."""
        return <Py_ssize_t>self.table.entries

    def begin(self, bytes value not None, long long offset):
        """Take a record, whose offset orders what it holds; CorruptImage if it does not unpack."""
        cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(value)
        cdef size_t size = <size_t>PyBytes_GET_SIZE(value)
        cdef int status
        if self.table.recount:
            recount(&self.table)
        self.table.full = NULL
        with nogil:
            status = index_record(&self.table, at, size)
        if status == BROKEN:
            raise MemoryError
        if not status:
            unpack_sightings(value)  # says what is wrong
            raise AssertionError("a record unpacks that the table refuses")
        self.value = value
        self.table.first_arrival = <int64_t>(<uint64_t>offset << 16)
        self.table.topic = self.topic_of(value[HEADER:HEADER + load16(at + 6)])

    cdef uint16_t topic_of(self, bytes name) except? 65535:
        """Number an origin topic; there is one, and another after a reconfiguration."""
        index = self.topic_index.get(name)
        if index is None:
            if len(self.topics) == 65535:
                raise MemoryError("65,535 origin topics in one table")
            index = self.topic_index[name] = len(self.topics)
            self.topics.append(name.decode())
        return index

    def advance(self):
        """Count sightings until one of them has runs to judge; None at the end of the record."""
        cdef int status
        with nogil:
            status = count_on(&self.table)
        if self.table.broken:
            raise MemoryError
        return arrival_of(&self.table, self.topics) if status == FOUND else None

    def take(self, uint32_t index):
        """Mark that a rule holds for a run of the arrival at hand; None if all of it is told.

        `index` counts in Arrival.runs. Raises IndexError where there is no such run.
        """
        if self.table.full == NULL or index >= self.table.found_count:
            raise IndexError(f"run {index} of an arrival with {self.table.found_count}")
        return take_found(&self.table, self.topics, &self.table.found[index])

    def changes(self):
        """Drain what changed since the last call, or since the table was made: packed entries.

        Before the first call nothing is listed, so that a table without a changelog pays nothing
        for it: the first one writes all that there is.
        """
        cdef EntryBuffer out
        cdef Writer w
        cdef bytes deleted
        cdef list names = start_writing(&w, &out, self.topics)
        cdef size_t i
        cdef uint32_t j
        cdef bint whole = True
        try:
            with nogil:
                if self.table.recording:
                    write_changes(&self.table, &w)
                else:
                    for i in range(SUBTABLES):
                        whole = whole and write_slice(&self.table, &w, &self.table.subs[i])
                        for j in range(self.table.subs[i].capacity):
                            if self.table.subs[i].slots[j].entry != NULL:
                                mark_written(&self.table, self.table.subs[i].slots[j].entry)
            self.table.recording = True
            if self.table.gone.broken:
                raise MemoryError
            deleted = PyBytes_FromStringAndSize(
                <const char*>self.table.gone.data, <Py_ssize_t>self.table.gone.size
            )
            self.table.gone.size = 0
            return deleted + written(&w, whole)
        finally:
            end_writing(&w, names)

    def snapshot(self, int slice_):
        """Pack what is live of a slice: the keys whose first byte it is, 0 to 255."""
        cdef EntryBuffer out
        cdef Writer w
        cdef list names = start_writing(&w, &out, self.topics)
        cdef bint whole
        try:
            with nogil:
                whole = write_slice(&self.table, &w, &self.table.subs[slice_ & 0xFF])
            return written(&w, whole)
        finally:
            end_writing(&w, names)

    def restore(self, long long stream_time, bytes entries not None):
        """Apply packed entries of a delta or a slice, whose record had this stream time.

        What is applied here does not come out of `changes`. Raises CorruptImage where an entry is
        malformed; the table is then worthless.
        """
        cdef EntryReader reader
        cdef EntryView entry
        cdef int status
        self.table.recording = True
        self.table.recount = True
        self.table.full = NULL
        move_time(&self.table, placed(stream_time) if stream_time != NO_TIME else NO_TIME)
        reader.at = <const uint8_t*>PyBytes_AS_STRING(entries)
        reader.end = reader.at + PyBytes_GET_SIZE(entries)
        status = next_entry(&reader, &entry)
        while status == ENTRY_FOUND:
            self.restore_one(&entry)
            status = next_entry(&reader, &entry)
        if status == ENTRY_CORRUPT:
            raise CorruptImage("fingerprints: a state entry is cut or malformed")

    cdef int restore_one(self, const EntryView* entry) except -1:
        cdef Reader r
        cdef Sip128 key
        cdef const uint8_t* at
        cdef uint8_t kind, type_
        cdef bint whole = True
        r.at = entry.value
        r.end = entry.value + entry.size
        r.broken = False
        at = get_bytes(&r, 2)
        if at == NULL or at[1] >= TYPES:
            raise CorruptImage(f"fingerprints: a state entry of {entry.size} bytes has no type")
        kind, type_ = at[0], at[1]
        if entry.op == ENTRY_DEL:
            swap_halves(&key, &entry.key)
            forget_marks(&self.table, type_, &key)
            return 0
        at = get_bytes(&r, 16)
        if at == NULL or kind not in (ONE_SIGHTING, MARKS, ONE_SKETCH):
            raise CorruptImage(f"fingerprints: a state entry of kind {kind}")
        memcpy(&key, at, 16)
        if self.table.types[type_].lengths == 0:
            return 0  # no rule in force reads this type
        if kind == ONE_SIGHTING:
            whole = self.restore_seen(&r, type_, &key)
        elif kind == MARKS:
            whole = restore_marks(&self.table, &r, type_, &key)
        else:
            whole = restore_sketch(&self.table, &r, type_, &key)
        if r.broken:
            raise CorruptImage(f"fingerprints: a state entry of kind {kind} is malformed")
        if not whole:
            raise MemoryError
        return 0

    cdef bint restore_seen(self, Reader* r, uint8_t type_, const Sip128* key) except -1:
        cdef Seen head
        cdef uint16_t size
        cdef const uint8_t* topic = get_head(r, &head, &size)
        if r.broken:
            return True
        name = PyBytes_FromStringAndSize(<const char*>topic, size)
        return restore_sighting(&self.table, r, type_, key, self.topic_of(name), &head)

    def clear(self, int slice_):
        """Forget every fingerprint of a slice: a newer snapshot of it follows."""
        cdef Subtable* sub = &self.table.subs[slice_ & 0xFF]
        cdef uint32_t i
        self.table.recount = True
        self.table.full = NULL
        for i in range(sub.capacity):
            if sub.slots[i].entry != NULL:
                free_entry(&self.table, sub.slots[i].entry)
        free(sub.slots)
        self.table.entries -= sub.count
        memset(sub, 0, sizeof(Subtable))
