"""Screen batches of posts: read, fold, match, look up, count, gate and pack, without the GIL.

`fastpath.reference.screen` is the same in plain Python and defines every result. A batch is cut
into chunks that fit the cache; nothing that is handed back depends on where a chunk or batch
ends. Per chunk: all records are read without the GIL, what the strict reader leaves goes through
slow_path with it, then everything else runs without it, and only flagged records become rows.
"""

from array import array

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stddef cimport size_t
from libc.stdint cimport INT64_MIN, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, qsort, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from fastpath.arena cimport Arena, Bump, bump_alloc, bump_reset
from fastpath.evasion cimport Evasions, measure_evasion
from fastpath.exact cimport (
    Digests, DigestSet, DigestTable, find_digest, placement, prefetch_digest,
)
from fastpath.hashes cimport (
    KIND_DOMAIN, KIND_LAST, KIND_PHRASE, KIND_URL, NAME_FOUND, NAME_NO_MEMORY, NAME_TOO_MANY,
    BlakeMessage, ExactLists, HashSlot, HashTable, NameSearch, Sip128, SipKey, TextSpan, UrlView,
    blake2b, blake2b_all, canonical_url, find_hash, hex_bytes, next_name, next_url,
    prefetch_hash, sip_key, siphash128, store_sip,
)
from fastpath.keywords cimport (
    Keywords, MatchRow, PostMatches, PostText, Scanner, make_lanes, scan,
)
from fastpath.near cimport (
    NearHit, NearHits, NearTable, PdqIndex, SimHashIndex, find_pdqs, find_simhashes, free_hits,
)
from fastpath.posts cimport (
    OP_DELETE, POST_MEDIA, POST_URLS, READ_NO_MEMORY, READ_OK, READ_SIZE, READ_SYNTAX,
    SLOW_CAUSE_COUNT, MediumDigests, Post, PostReader, ScoreNames, Text,
)
from fastpath.records cimport BatchView, PackedEntry, RecordRef, SightingPacker
from fastpath.rows cimport Row
from fastpath.simhash cimport simhash_lane
from fastpath.text cimport (
    LANE_FOLDED, ByteSpan, Lane, Normalised, count_code_points, normalise, trim,
)
from fastpath.windows cimport (
    SEEN_DISTINCT_FULL, SEEN_LATE, SEEN_TABLE_FULL, AccountWindows, WindowPost, WindowRow,
    WindowTable, count_post, fetch_row, fetch_slot, fetch_values, tag_account,
)

from fastpath.checks import check_spec, counter_names
from fastpath.columns import Columns
from fastpath.exact import pack_digests
from fastpath.distances import SIMHASH_ENTRY, is_simhash
from fastpath.errors import BuildError
from fastpath.field_maps import load_field_map
from fastpath.readers import facts_read
from fastpath.rfc3339 import MAX_TIME_MS
from fastpath.simhash import simhash_of
from fastpath.slow_path import Rejected, canonicalize
from fastpath.spec import (
    CLOCK_SKEW_MS,
    FINGERPRINT_TYPES,
    FLAGS,
    LANES,
    MAX_HITS,
    MAX_RECORD_BYTES,
    MAX_WRAPS,
    NO_DISTANCE,
    REJECT_REASONS,
    HashHit,
    Match,
    Status,
)
from fastpath.text import fold_text, trim_text

include "gates.pxi"

cdef enum:
    CHUNK_RECORDS = 256  # their posts and lanes stay in the second-level cache
    CHUNK_BYTES = 1048576  # of values; bounds the arena under the largest records
    KEEP_BYTES = 8388608  # of the arena between chunks
    RECORD_BYTES = 262144  # MAX_RECORD_BYTES
    SKEW = 300000  # CLOCK_SKEW_MS
    FARTHEST = 1000  # NO_DISTANCE

    COUNT_RECORDS = 0  # places in counter_names
    COUNT_OF_POSTS = 1
    COUNT_DELETES = 2
    COUNT_REJECTS = 3
    COUNT_SLOW = 4
    COUNT_FLAGGED = 5
    COUNT_SIGHTINGS = 6
    COUNT_LATE = 7
    COUNT_FIXED = 8
    COUNT_SLOW_CAUSES = 16  # after the reject reasons; a cause is at its code less one

cdef int64_t MAX_TIME = 253402300799999

if (MAX_TIME_MS, CLOCK_SKEW_MS, MAX_RECORD_BYTES, NO_DISTANCE, len(REJECT_REASONS)) != (
    MAX_TIME, SKEW, RECORD_BYTES, FARTHEST, COUNT_SLOW_CAUSES - COUNT_FIXED
):
    raise ImportError("fastpath.screen was compiled with other limits than fastpath.spec has")


include "screen_found.pxi"
include "near_lists.pxi"


cdef class ScreenState:
    """Hold what a screen remembers of one input partition; made by `Screen.new_state`.

    `windows` has the changelog: changes, snapshot, restore, clear.
    """

    @property
    def stream_time(self):
        """Return the greatest origin time of an accepted create or edit, ms; None before it."""
        return self.windows.stream_time

    @property
    def accounts(self):
        """Return the number of accounts held, retired ones included until they are freed."""
        return self.windows.accounts

    @property
    def memory_bytes(self):
        """Return the bytes of the windows and all that belongs to them."""
        return self.windows.memory_bytes


cdef class Screen:
    """Match, count and gate posts by one specification, a batch at a time.

    Built by a stage when a bundle is loaded; raises BuildError. `step` is called by the one
    thread that owns the screen; it does not block, releases the GIL, and raises nothing but
    MemoryError.
    """

    cdef readonly object spec
    cdef object field_map
    cdef PostReader reader  # by the field map
    cdef PostReader canonical_reader
    cdef Keywords keywords
    cdef Scanner scanner
    cdef ExactLists lists
    cdef NearLists near
    cdef DigestLists digests
    cdef uint32_t hash_lists
    cdef GateProgram gates
    cdef SightingPacker packer
    cdef Arena arena
    cdef SipKey key
    cdef bint by_content  # origin time is created_at
    cdef bint check_key
    cdef bint every_account  # what is found out about every post: fastpath.readers
    cdef bint every_target
    cdef bint every_link
    cdef bint every_url
    cdef bint every_digest
    cdef bint every_simhash
    cdef bint every_length
    cdef bint every_evasion
    cdef bint[5] packs  # by fingerprint type
    cdef uint32_t keyword_lists
    cdef uint32_t all_lists
    cdef size_t window_count
    cdef size_t gate_words
    cdef tuple keyword_names  # what rows name, by list
    cdef tuple keyword_patterns
    cdef tuple hash_names
    cdef tuple hash_entries
    cdef uint64_t* counts  # by counter_names
    cdef uint8_t* outcomes
    cdef uint8_t* stack
    cdef Post* posts  # CHUNK_RECORDS
    cdef Found* found
    cdef PostText* texts
    cdef PostMatches* matches
    cdef BlakeMessage* messages  # folded texts
    cdef HashHit_* hits  # of the post at hand
    cdef size_t hit_room
    cdef size_t hit_count

    def __cinit__(self, spec):
        cdef uint8_t[16] identity
        cdef bytes deployment_key
        check_spec(spec)
        self.spec = spec
        self.field_map = load_field_map(spec.preset, spec.field_map)
        self.reader = PostReader(self.field_map)
        self.canonical_reader = PostReader()
        self.keywords = Keywords(spec.keyword_lists)
        self.scanner = Scanner(self.keywords)
        deployment_key = spec.deployment_key
        blake2b(
            identity, 16, <const uint8_t*>PyBytes_AS_STRING(deployment_key),
            <size_t>PyBytes_GET_SIZE(deployment_key), <const uint8_t*>b"weir identity", 13,
        )
        sip_key(&self.key, identity)
        self.lists = ExactLists(
            spec.hash_lists, PyBytes_FromStringAndSize(<const char*>identity, 16)
        )
        self.near = NearLists(spec.hash_lists)
        self.digests = DigestLists(
            spec.hash_lists, PyBytes_FromStringAndSize(<const char*>identity, 16)
        )
        self.hash_lists = <uint32_t>len(spec.hash_lists)
        phrases = [trim_text(fold_text(phrase)).encode() for phrase in spec.exempt_phrases]
        self.lists.build(KIND_PHRASE, {phrase: [(0, 0)] for phrase in phrases if phrase})
        self.gates = GateProgram(spec)
        self.packer = SightingPacker(spec.topic, spec.bundle_digest, spec.sighting_partitions)
        self.arena = Arena()
        self.by_content = spec.time_source == "created_at"
        self.check_key = spec.check_key
        read = facts_read(spec)
        self.every_account = read.account
        self.every_target = read.targets
        self.every_link = read.links
        self.every_url = read.urls
        self.every_digest = read.digest
        self.every_simhash = read.simhash
        self.every_length = read.length
        self.every_evasion = read.evasion
        for place, kind in enumerate(FINGERPRINT_TYPES):
            self.packs[place] = kind in spec.fingerprints
        self.keyword_lists = <uint32_t>len(spec.keyword_lists)
        self.all_lists = <uint32_t>(len(spec.keyword_lists) + len(spec.hash_lists))
        self.window_count = <size_t>len(spec.windows)
        self.gate_words = (<size_t>self.gates.gate_count + 63) // 64
        self.keyword_names = tuple([held.name for held in spec.keyword_lists])
        self.keyword_patterns = tuple([tuple(held.patterns) for held in spec.keyword_lists])
        self.hash_names = tuple([held.name for held in spec.hash_lists])
        self.hash_entries = tuple([held.entries for held in spec.hash_lists])
        self.allocate(<size_t>len(counter_names(spec)))

    cdef object allocate(self, size_t counters):
        self.counts = <uint64_t*>calloc(counters, sizeof(uint64_t))
        self.outcomes = <uint8_t*>calloc(self.gates.atom_count + 1, 1)
        self.stack = <uint8_t*>calloc(self.gates.longest + 1, 1)
        self.posts = <Post*>calloc(CHUNK_RECORDS, sizeof(Post))
        self.found = <Found*>calloc(CHUNK_RECORDS, sizeof(Found))
        self.texts = <PostText*>calloc(CHUNK_RECORDS, sizeof(PostText))
        self.matches = <PostMatches*>calloc(CHUNK_RECORDS, sizeof(PostMatches))
        self.messages = <BlakeMessage*>calloc(CHUNK_RECORDS, sizeof(BlakeMessage))
        if (
            self.counts == NULL or self.outcomes == NULL or self.stack == NULL
            or self.posts == NULL or self.found == NULL or self.texts == NULL
            or self.matches == NULL or self.messages == NULL
        ):
            raise MemoryError

    def __dealloc__(self):
        free(self.counts)
        free(self.outcomes)
        free(self.stack)
        free(self.posts)
        free(self.found)
        free(self.texts)
        free(self.matches)
        free(self.messages)
        free(self.hits)

    def new_state(self, int partition, bytes placement_seed=b"\0" * 16):
        """Return the empty state of an input partition; the seed (16 bytes) changes no value."""
        cdef ScreenState state = ScreenState.__new__(ScreenState)
        state.partition = partition
        state.specs = tuple(self.spec.windows)
        state.windows = AccountWindows(
            state.specs, self.spec.max_window_keys, partition, placement_seed
        )
        return state

    def counters(self):
        """Return the monotonic counters by name; see `fastpath.checks.counter_names`."""
        cdef size_t i
        return {name: self.counts[i] for i, name in enumerate(counter_names(self.spec))}

    def step(self, BatchView view not None, ScreenState state not None):
        """Screen the records of a view in order and return Columns; never raises on data.

        Raises ValueError for a state made by a screen with other windows, and MemoryError.
        """
        cdef Py_ssize_t start = 0, stop
        cdef size_t size
        if state.specs != tuple(self.spec.windows):
            raise ValueError("the state was made for other windows than this screen's")
        columns = Columns(view.count)
        while start < view.count:
            stop = start
            size = 0
            while stop < view.count and stop - start < CHUNK_RECORDS and size < CHUNK_BYTES:
                if view.refs[stop].value_size > 0:
                    size += <size_t>view.refs[stop].value_size
                stop += 1
            self.chunk(view, start, <size_t>(stop - start), state.windows, columns.rows)
            start = stop
        columns.sightings = self.packer.take()
        self.counts[COUNT_RECORDS] += <uint64_t>view.count
        return columns

    cdef object chunk(
        self, BatchView view, Py_ssize_t start, size_t count, AccountWindows windows, list rows
    ):
        cdef const RecordRef* refs = view.refs + start
        cdef int failed
        cdef dict slow = {}
        bump_reset(&self.arena.bump, KEEP_BYTES)
        with nogil:
            failed = read_strictly(self, refs, count)
        if failed != READ_OK:
            raise MemoryError
        read_slow(self, refs, count, slow)
        with nogil:
            failed = self.screen(refs, count, <uint32_t>view.partition, windows)
        if failed != READ_OK:
            raise MemoryError
        add_rows(self, refs, start, count, slow, rows)

    cdef int screen(
        self, const RecordRef* refs, size_t count, uint32_t partition, AccountWindows windows
    ) noexcept nogil:
        """Screen what was read, in record order; READ_OK or READ_NO_MEMORY."""
        cdef size_t i, texts = 0
        cdef Found* found
        for i in range(count):
            accept(self, &refs[i], &self.posts[i], &self.found[i])
            if self.found[i].status == STATUS_POST:
                self.found[i].place = <uint32_t>texts
                if self.every_account:
                    self.found[i].account = siphash128(
                        &self.key, 0, self.posts[i].account.data, self.posts[i].account.size
                    )
                    self.found[i].tag = tag_account(&windows.table, &self.found[i].account)
                if make_lanes(
                    &self.arena.bump, &self.keywords.table, self.posts[i].text.data,
                    self.posts[i].text.size, &self.texts[texts],
                ) != 0:
                    return READ_NO_MEMORY
                self.found[i].folded = &self.texts[texts].lanes[LANE_FOLDED]
                self.found[i].simhash = 0
                if self.every_simhash and simhash_lane(
                    &self.arena.bump, self.found[i].folded, &self.found[i].simhash
                ) != 0:
                    return READ_NO_MEMORY
                self.messages[texts].data = self.found[i].folded.data
                self.messages[texts].size = self.found[i].folded.size
                self.messages[texts].out = self.found[i].digest
                texts += 1
        if self.every_digest:
            blake2b_all(self.messages, texts)
        if scan(
            &self.keywords.table, &self.scanner.state, &self.arena.bump, self.texts, texts,
            self.matches,
        ) != 0:
            return READ_NO_MEMORY
        if (
            self.digests.look_up(&self.arena.bump, self.posts, self.found, count) != READ_OK
            or self.near.look_up(&self.arena.bump, self.posts, self.found, count) != READ_OK
        ):
            return READ_NO_MEMORY
        for i in range(min(count, <size_t>SLOTS_AHEAD) if self.every_account else 0):
            if self.found[i].status == STATUS_POST:
                fetch_slot(&windows.table, &self.found[i].account, self.found[i].tag)
        for i in range(count):
            if self.every_account:
                fetch_ahead(&windows.table, self.found, i, count)
            found = &self.found[i]
            if found.status != STATUS_POST:
                continue
            if self.screen_post(&self.posts[i], found, windows) != READ_OK:
                return READ_NO_MEMORY
            if not pack_post(self, &self.posts[i], found, partition, refs[i].offset):
                return READ_NO_MEMORY
            count_outcome(self, found)
        return READ_OK

    cdef int screen_post(self, Post* post, Found* found, AccountWindows windows) noexcept nogil:
        """Look up, count and gate one accepted create or edit."""
        cdef Bump* bump = &self.arena.bump
        cdef const PostMatches* matches = &self.matches[found.place]
        cdef uint32_t i
        found.lists = <uint64_t*>bump_alloc(bump, (self.all_lists + 1) * sizeof(uint64_t))
        found.windows = <uint64_t*>bump_alloc(
            bump, (windows.table.specified + 1) * sizeof(uint64_t)
        )
        found.distances = <uint64_t*>bump_alloc(bump, (self.hash_lists + 1) * sizeof(uint64_t))
        if found.lists == NULL or found.windows == NULL or found.distances == NULL:
            return READ_NO_MEMORY
        memset(found.lists, 0, self.all_lists * sizeof(uint64_t))
        for i in range(self.hash_lists):
            found.distances[i] = FARTHEST
        self.hit_count = 0
        if post.media_count > POST_MEDIA:
            found.flags |= FLAG_MEDIA_TRUNCATED
        if read_urls(self, post, found) != READ_OK or read_names(self, found) != READ_OK:
            return READ_NO_MEMORY
        if keep_hits(self, found) != READ_OK:
            return READ_NO_MEMORY
        for i in range(matches.count):
            found.lists[matches.rows[i].list] += matches.rows[i].count
        if matches.truncated or found.folded.truncated:
            found.flags |= FLAG_MATCHES_TRUNCATED
        if found.folded.marks_dropped > 0:
            found.flags |= FLAG_MARKS_DROPPED
        if not self.by_content and post.created_at != INT64_MIN and (
            post.created_at - found.time > SKEW or found.time - post.created_at > SKEW
        ):
            found.flags |= FLAG_CLOCK_SKEW
        count_windows(self, post, found, windows)
        if windows.table.broken:
            return READ_NO_MEMORY
        return gate_post(self, post, found)


include "screen_reading.pxi"
include "screen_urls.pxi"
include "screen_judging.pxi"
include "screen_packing.pxi"
include "screen_rows.pxi"
