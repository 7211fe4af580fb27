# Hash functions, exact lists and URLs: layouts and signatures for posts, windows and screen.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.arena cimport Arena, Bump
from fastpath.text cimport Lane


cdef enum:
    KIND_DOMAIN = 0
    KIND_URL = 1
    KIND_PHRASE = 2  # exempt phrases of a screen, no list
    KIND_LAST = 3  # last labels of the domains that are looked for without a scheme
    KIND_COUNT = 4

    NAME_NO_MEMORY = -1
    NAME_NONE = 0
    NAME_FOUND = 1
    NAME_TOO_MANY = 2  # more than MAX_NAMES places


cdef struct Sip128:
    uint64_t first  # bytes 0..7, little-endian
    uint64_t second


cdef struct SipKey:
    uint64_t k0
    uint64_t k1


cdef struct TextSpan:
    const uint8_t* data
    size_t size


cdef struct UrlView:
    const uint8_t* canonical  # in the arena, or the trimmed original
    uint32_t size
    uint32_t page_size  # of canonical, up to its query; 0 where there is no host
    const uint8_t* host  # inside or beside canonical; size 0 where there is none
    uint32_t host_size
    bint userinfo
    TextSpan target  # the URL that its query carries, decoded; size 0 where there is none


cdef struct NameSearch:  # all zero at first
    size_t at
    uint32_t places


cdef struct HashSlot:
    Sip128 key
    uint32_t first  # index of the first (list, entry) pair
    uint32_t count  # 0: empty slot


cdef struct HashPair:
    uint32_t list
    uint32_t entry


cdef struct HashTable:
    HashSlot* slots
    HashPair* pairs
    uint64_t mask
    uint32_t keys  # 0: no list of this kind


cdef void sip_key(SipKey* key, const uint8_t* bytes) noexcept nogil
cdef Sip128 siphash128(
    const SipKey* key, uint8_t tag, const uint8_t* data, size_t size
) noexcept nogil
cdef uint64_t siphash13(const SipKey* key, uint64_t first, uint64_t second) noexcept nogil
cdef void store_sip(uint8_t* out, Sip128 value) noexcept nogil
cdef void blake2b(
    uint8_t* out, size_t out_size, const uint8_t* key, size_t key_size,
    const uint8_t* data, size_t size,
) noexcept nogil

cdef extern from "blake2b_four.h" nogil:
    ctypedef struct BlakeMessage:
        const uint8_t* data
        size_t size
        uint8_t* out  # 16 bytes

cdef void blake2b_all(const BlakeMessage* messages, size_t count) noexcept nogil

# Read `size` bytes from 2 * size lower-case hex digits.
cdef void hex_bytes(uint8_t* out, const uint8_t* digits, size_t size) noexcept nogil

cdef void prefetch_hash(const HashTable* table, Sip128 key) noexcept nogil
cdef const HashSlot* find_hash(const HashTable* table, Sip128 key) noexcept nogil

# The next http(s) URL at or after *pos; false where there is none. *pos moves past it.
cdef bint next_url(const uint8_t* text, size_t size, size_t* pos, TextSpan* out) noexcept nogil
# 0, or -1 when the arena has no memory.
cdef int canonical_url(
    Bump* bump, const uint8_t* url, size_t size, UrlView* out
) noexcept nogil
# The next host that a folded lane names without a scheme; NAME_*.
cdef int next_name(
    Bump* bump, const Lane* lane, const HashTable* lasts, const SipKey* key, NameSearch* search,
    TextSpan* out,
) noexcept nogil


cdef class ExactLists:
    cdef HashTable[KIND_COUNT] tables  # by KIND_*
    cdef SipKey key
    cdef size_t longest_domain  # bytes of the longest entry of any domain list
    cdef readonly tuple lists
    cdef dict keys_of(self, int kind, Arena arena)
    cdef object build(self, int kind, dict keys)
