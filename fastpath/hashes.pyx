"""Hash, look exact values up, and find and canonicalise URLs; all without the GIL once built.

BLAKE2b is RFC 7693. SipHash is Aumasson and Bernstein's, with 128 bits of output for identities
(2-4 rounds, under the deployment key) and 64 for placement (1-3 rounds, under a seed).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy, memmove, memset

from fastpath.arena cimport Arena, bump_alloc, bump_commit, bump_reserve, bump_reset
from fastpath.isa cimport isa_level
from fastpath.text cimport CLASS_WORD, ByteSpan, Lane, code_point_class, fold, trim
from fastpath.utf8 cimport decode

from fastpath.errors import BuildError
from fastpath.spec import MAX_NAMES
from fastpath.url_data.suffixes import is_known, registered_domain
from fastpath.url_data.tracking import NAMES as TRACKING_NAMES, PREFIXES as TRACKING_PREFIXES

cdef extern from "pages.h" nogil:
    void* pages_alloc(size_t count, size_t size)

cdef extern from "blake2b_four.h" nogil:
    void blake2b_four(const BlakeMessage* messages, size_t count)

cdef extern from *:
    void __builtin_prefetch(const void* address) noexcept nogil

cdef enum:
    ISA_SCALAR = 0  # as in isa.h
    LABEL_POINTS = 63  # of a label that is a name
    MAX_ENTRIES = 67108864  # of all lists of one kind; 24 bytes of table and 8 of pair each

cdef int LEVEL = isa_level()

KINDS = ("domain", "url", "phrase", "last label")  # by KIND_*

include "digests.pxi"
include "hosts.pxi"
include "queries.pxi"
include "urls.pxi"


cdef void hex_bytes(uint8_t* out, const uint8_t* digits, size_t size) noexcept nogil:
    """Read bytes from lower-case hex digits, which the caller has checked."""
    cdef size_t i
    for i in range(size):
        out[i] = <uint8_t>(16 * hex_value(digits[2 * i]) + hex_value(digits[2 * i + 1]))


# --- Exact lists ---------------------------------------------------------------------------------

cdef void prefetch_hash(const HashTable* table, Sip128 key) noexcept nogil:
    """Send for the slot where a key is looked for first."""
    if table.keys != 0:
        __builtin_prefetch(&table.slots[key.first & table.mask])


cdef const HashSlot* find_hash(const HashTable* table, Sip128 key) noexcept nogil:
    """Return the slot of a key, or NULL; at most half of the slots are taken."""
    cdef uint64_t at
    cdef const HashSlot* slot
    if table.keys == 0:
        return NULL
    at = key.first & table.mask
    while True:
        slot = &table.slots[at]
        if slot.count == 0:
            return NULL
        if slot.key.first == key.first and slot.key.second == key.second:
            return slot
        at = (at + 1) & table.mask


include "names.pxi"


cdef class ExactLists:
    """Own the tables of a screen's lists of domains and URLs; immutable once built.

    Keys are identities under `identity_key` (16 bytes). Raises BuildError above MAX_ENTRIES.
    """

    def __cinit__(self, lists, bytes identity_key not None):
        cdef int kind
        if len(identity_key) != 16:
            raise BuildError("identity key bytes", 16, len(identity_key))
        sip_key(&self.key, <const uint8_t*>PyBytes_AS_STRING(identity_key))
        self.lists = tuple(lists)
        arena = Arena()
        for kind in range(2):
            keys = self.keys_of(kind, arena)
            self.build(kind, keys)
            if kind == KIND_DOMAIN:
                lasts = {key.rpartition(b".")[2] for key in keys if is_known(key.decode())}
                self.build(KIND_LAST, {last: [(0, 0)] for last in lasts})

    def __dealloc__(self):
        cdef int kind
        for kind in range(KIND_COUNT):
            free(self.tables[kind].slots)
            free(self.tables[kind].pairs)

    cdef dict keys_of(self, int kind, Arena arena):
        """Return {key bytes: [(list, entry), ...]} of a kind; the first of equal entries stands."""
        cdef dict keys = {}
        cdef bytes key
        for place, held in enumerate(self.lists):
            if held.kind != KINDS[kind]:
                continue
            seen = set()
            for number, entry in enumerate(held.entries):
                key = entry_key(kind, entry.encode(), arena)
                if key and key not in seen:
                    seen.add(key)
                    keys.setdefault(key, []).append((place, number))
                    if kind == KIND_DOMAIN and <size_t>len(key) > self.longest_domain:
                        self.longest_domain = len(key)
        return keys

    cdef object build(self, int kind, dict keys):
        cdef HashTable* table = &self.tables[kind]
        cdef uint64_t capacity = 16, at
        cdef uint32_t pair = 0
        cdef bytes key
        cdef Sip128 identity
        total = sum(map(len, keys.values()))
        if total > MAX_ENTRIES:
            raise BuildError(f"{KINDS[kind]} entries", MAX_ENTRIES, total)
        if not keys:
            return
        while capacity < 2 * <uint64_t>len(keys):
            capacity *= 2
        table.slots = <HashSlot*>pages_alloc(capacity, sizeof(HashSlot))
        table.pairs = <HashPair*>calloc(<size_t>total, sizeof(HashPair))
        if table.slots == NULL or table.pairs == NULL:
            raise MemoryError
        memset(table.slots, 0, capacity * sizeof(HashSlot))
        table.mask = capacity - 1
        table.keys = <uint32_t>len(keys)
        for key, places in keys.items():
            identity = siphash128(
                &self.key, <uint8_t>(0x10 + kind), <const uint8_t*>PyBytes_AS_STRING(key),
                <size_t>PyBytes_GET_SIZE(key),
            )
            at = identity.first & table.mask
            while table.slots[at].count != 0:
                at = (at + 1) & table.mask
            table.slots[at].key = identity
            table.slots[at].first = pair
            table.slots[at].count = <uint32_t>len(places)
            for place, number in places:
                table.pairs[pair].list = place
                table.pairs[pair].entry = number
                pair += 1


cdef bytes entry_key(int kind, bytes entry, Arena arena):
    """Return the bytes under which a list's entry is found, b"" where there are none."""
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(entry)
    cdef ByteSpan span = trim(at, <size_t>PyBytes_GET_SIZE(entry))
    cdef TextSpan host
    cdef UrlView url
    bump_reset(&arena.bump, 1 << 20)
    if kind == KIND_URL:
        if canonical_url(&arena.bump, at, <size_t>PyBytes_GET_SIZE(entry), &url) != 0:
            raise MemoryError
        return PyBytes_FromStringAndSize(<const char*>url.canonical, url.size)
    if kind == KIND_DOMAIN:
        if canonical_host(&arena.bump, at + span.start, span.end - span.start, &host) != 0:
            raise MemoryError
        name = PyBytes_FromStringAndSize(<const char*>host.data, <Py_ssize_t>host.size)
        return name.removesuffix(b".") if registered_domain(name.decode()) else b""
    return entry[span.start:span.end].lower()


# --- For tests -----------------------------------------------------------------------------------

cdef bytes bytes_of(const uint8_t* data, size_t size):
    return PyBytes_FromStringAndSize(<const char*>data, <Py_ssize_t>size)


def blake2b_of(bytes data not None, int digest_size, bytes key=b""):
    """Return BLAKE2b of some bytes."""
    cdef uint8_t[64] out
    if not 1 <= digest_size <= 64 or len(key) > 64:
        raise ValueError("digests hold 1 to 64 bytes, keys at most 64")
    blake2b(
        out, <size_t>digest_size, <const uint8_t*>PyBytes_AS_STRING(key),
        <size_t>PyBytes_GET_SIZE(key), <const uint8_t*>PyBytes_AS_STRING(data),
        <size_t>PyBytes_GET_SIZE(data),
    )
    return PyBytes_FromStringAndSize(<const char*>out, digest_size)


def blake2b_of_all(messages):
    """Return BLAKE2b-128 of each of some messages, hashed as the screen hashes texts."""
    cdef list held = list(messages)
    cdef size_t count = <size_t>len(held), i
    cdef BlakeMessage* due = <BlakeMessage*>calloc(count + 1, sizeof(BlakeMessage))
    cdef bytes outs = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(16 * count))
    cdef bytes data
    if due == NULL:
        raise MemoryError
    try:
        for i in range(count):
            data = held[i]
            due[i].data = <const uint8_t*>PyBytes_AS_STRING(data)
            due[i].size = <size_t>PyBytes_GET_SIZE(data)
            due[i].out = <uint8_t*>PyBytes_AS_STRING(outs) + 16 * i
        with nogil:
            blake2b_all(due, count)
    finally:
        free(due)
    return [outs[16 * i : 16 * i + 16] for i in range(count)]


def siphash128_of(bytes key not None, bytes data not None):
    """Return SipHash-2-4-128 of at least one byte: the first is the tag."""
    cdef SipKey sip
    cdef uint8_t[16] out
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(data)
    if len(key) != 16 or len(data) < 1:
        raise ValueError("a key of 16 bytes and at least the tag byte")
    sip_key(&sip, <const uint8_t*>PyBytes_AS_STRING(key))
    store_sip(out, siphash128(&sip, at[0], at + 1, <size_t>PyBytes_GET_SIZE(data) - 1))
    return PyBytes_FromStringAndSize(<const char*>out, 16)


def urls_in(bytes text not None):
    """Return the URLs found in UTF-8 text."""
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(text)
    cdef size_t pos = 0
    cdef TextSpan span
    found = []
    while next_url(at, <size_t>PyBytes_GET_SIZE(text), &pos, &span):
        found.append(bytes_of(span.data, span.size))
    return found


def canonical_url_of(bytes url not None):
    """Return (canonical form, host, form up to the query, carried URL, whether it names a user)."""
    cdef UrlView view
    cdef Arena arena = Arena()
    if canonical_url(
        &arena.bump, <const uint8_t*>PyBytes_AS_STRING(url), <size_t>PyBytes_GET_SIZE(url), &view
    ) != 0:
        raise MemoryError
    return (
        bytes_of(view.canonical, view.size),
        bytes_of(view.host, view.host_size),
        bytes_of(view.canonical, view.page_size),
        bytes_of(view.target.data, view.target.size),
        bool(view.userinfo),
    )


def names_in(bytes text not None, ExactLists lists not None):
    """Return the hosts that a text names without a scheme, and whether there are too many."""
    cdef Arena arena = Arena()
    cdef Lane lane
    cdef NameSearch search
    cdef TextSpan host
    cdef int found
    names = []
    memset(&search, 0, sizeof(NameSearch))
    if fold(
        &arena.bump, <const uint8_t*>PyBytes_AS_STRING(text), <size_t>PyBytes_GET_SIZE(text), &lane
    ) != 0:
        raise MemoryError
    while True:
        found = next_name(
            &arena.bump, &lane, &lists.tables[KIND_LAST], &lists.key, &search, &host
        )
        if found == NAME_NO_MEMORY:
            raise MemoryError
        if found != NAME_FOUND:
            return names, found == NAME_TOO_MANY
        names.append(bytes_of(host.data, host.size))
