"""Hash, look exact values up, and find and canonicalise URLs; all without the GIL once built.

BLAKE2b is RFC 7693. SipHash is Aumasson and Bernstein's, with 128 bits of output for identities
(2-4 rounds, under the deployment key) and 64 for placement (1-3 rounds, under a seed).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcpy, memset

from fastpath.arena cimport Arena, bump_alloc, bump_commit, bump_reserve, bump_reset
from fastpath.text cimport ByteSpan, Lane, fold, trim

from fastpath.errors import BuildError

cdef enum:
    MAX_ENTRIES = 67108864  # of all lists of one kind; 24 bytes of table and 8 of pair each

KINDS = ("sha256", "md5", "domain", "url", "phrase")  # by KIND_*

# --- SipHash -------------------------------------------------------------------------------------

cdef inline uint64_t rotate_left(uint64_t value, int bits) noexcept nogil:
    return (value << bits) | (value >> (64 - bits))


cdef inline uint64_t rotate_right(uint64_t value, int bits) noexcept nogil:
    return (value >> bits) | (value << (64 - bits))


cdef inline uint64_t load64(const uint8_t* at) noexcept nogil:
    # Little-endian hosts only: setup builds for x86-64 and aarch64.
    cdef uint64_t value
    memcpy(&value, at, 8)
    return value


cdef inline uint64_t load_tail(const uint8_t* at, size_t size) noexcept nogil:
    """Load fewer than eight bytes, little-endian."""
    cdef uint64_t value = 0
    cdef size_t i
    for i in range(size):
        value |= <uint64_t>at[i] << (8 * i)
    return value


cdef struct SipState:
    uint64_t v0
    uint64_t v1
    uint64_t v2
    uint64_t v3


cdef inline void sip_round(SipState* s) noexcept nogil:
    s.v0 += s.v1
    s.v1 = rotate_left(s.v1, 13) ^ s.v0
    s.v0 = rotate_left(s.v0, 32)
    s.v2 += s.v3
    s.v3 = rotate_left(s.v3, 16) ^ s.v2
    s.v0 += s.v3
    s.v3 = rotate_left(s.v3, 21) ^ s.v0
    s.v2 += s.v1
    s.v1 = rotate_left(s.v1, 17) ^ s.v2
    s.v2 = rotate_left(s.v2, 32)


cdef inline void sip_block(SipState* s, uint64_t block) noexcept nogil:
    s.v3 ^= block
    sip_round(s)
    sip_round(s)
    s.v0 ^= block


cdef inline void sip_start(SipState* s, const SipKey* key) noexcept nogil:
    s.v0 = key.k0 ^ <uint64_t>0x736F6D6570736575
    s.v1 = key.k1 ^ <uint64_t>0x646F72616E646F6D
    s.v2 = key.k0 ^ <uint64_t>0x6C7967656E657261
    s.v3 = key.k1 ^ <uint64_t>0x7465646279746573


cdef Sip128 sip_finish(SipState* s) noexcept nogil:
    cdef Sip128 out
    cdef int _i
    s.v2 ^= 0xEE
    for _i in range(4):
        sip_round(s)
    out.first = s.v0 ^ s.v1 ^ s.v2 ^ s.v3
    s.v1 ^= 0xDD
    for _i in range(4):
        sip_round(s)
    out.second = s.v0 ^ s.v1 ^ s.v2 ^ s.v3
    return out


cdef void sip_key(SipKey* key, const uint8_t* bytes) noexcept nogil:
    key.k0 = load64(bytes)
    key.k1 = load64(bytes + 8)


cdef Sip128 siphash128(
    const SipKey* key, uint8_t tag, const uint8_t* data, size_t size
) noexcept nogil:
    """Return SipHash-2-4 with 128 bits of the tag byte followed by the data."""
    cdef SipState s
    cdef uint64_t last = (<uint64_t>((size + 1) & 0xFF)) << 56
    sip_start(&s, key)
    s.v1 ^= 0xEE
    if size < 7:
        sip_block(&s, last | tag | (load_tail(data, size) << 8))
        return sip_finish(&s)
    sip_block(&s, tag | (load_tail(data, 7) << 8))
    data += 7
    size -= 7
    while size >= 8:
        sip_block(&s, load64(data))
        data += 8
        size -= 8
    sip_block(&s, last | load_tail(data, size))
    return sip_finish(&s)


cdef uint64_t siphash13(const SipKey* key, uint64_t first, uint64_t second) noexcept nogil:
    """Return SipHash-1-3 of sixteen bytes: where an identity is placed in a table."""
    cdef SipState s
    sip_start(&s, key)
    s.v3 ^= first
    sip_round(&s)
    s.v0 ^= first
    s.v3 ^= second
    sip_round(&s)
    s.v0 ^= second
    s.v3 ^= <uint64_t>16 << 56
    sip_round(&s)
    s.v0 ^= <uint64_t>16 << 56
    s.v2 ^= 0xFF
    sip_round(&s)
    sip_round(&s)
    sip_round(&s)
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3


cdef void store_sip(uint8_t* out, Sip128 value) noexcept nogil:
    memcpy(out, &value.first, 8)
    memcpy(out + 8, &value.second, 8)


# --- BLAKE2b -------------------------------------------------------------------------------------

cdef uint64_t[8] BLAKE_IV = [
    0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
    0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
]
cdef uint8_t[192] SIGMA = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
    11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4,
    7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8,
    9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13,
    2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9,
    12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11,
    13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10,
    6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5,
    10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0,
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
]


cdef inline void mix(
    uint64_t* v, int a, int b, int c, int d, uint64_t x, uint64_t y
) noexcept nogil:
    v[a] = v[a] + v[b] + x
    v[d] = rotate_right(v[d] ^ v[a], 32)
    v[c] = v[c] + v[d]
    v[b] = rotate_right(v[b] ^ v[c], 24)
    v[a] = v[a] + v[b] + y
    v[d] = rotate_right(v[d] ^ v[a], 16)
    v[c] = v[c] + v[d]
    v[b] = rotate_right(v[b] ^ v[c], 63)


cdef void compress(
    uint64_t* h, const uint8_t* block, uint64_t counted, bint last
) noexcept nogil:
    cdef uint64_t[16] v
    cdef uint64_t[16] m
    cdef const uint8_t* s
    cdef int i
    memcpy(m, block, 128)
    for i in range(8):
        v[i] = h[i]
        v[i + 8] = BLAKE_IV[i]
    v[12] ^= counted
    if last:
        v[14] = ~v[14]
    for i in range(12):
        s = SIGMA + 16 * i
        mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]])
        mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]])
        mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]])
        mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]])
        mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]])
        mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]])
        mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]])
        mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]])
    for i in range(8):
        h[i] ^= v[i] ^ v[i + 8]


cdef void blake2b(
    uint8_t* out, size_t out_size, const uint8_t* key, size_t key_size,
    const uint8_t* data, size_t size,
) noexcept nogil:
    """Write `out_size` (1 to 64) bytes of BLAKE2b under a key of 0 to 64 bytes (RFC 7693)."""
    cdef uint64_t[8] h
    cdef uint8_t[128] block
    cdef uint64_t counted = 0
    memcpy(h, BLAKE_IV, 64)
    h[0] ^= <uint64_t>0x01010000 ^ (key_size << 8) ^ out_size
    if key_size > 0:
        memset(block, 0, 128)
        memcpy(block, key, key_size)
        counted = 128
        compress(h, block, counted, size == 0)
    while size > 128:
        counted += 128
        compress(h, data, counted, False)
        data += 128
        size -= 128
    if size > 0 or key_size == 0:
        memset(block, 0, 128)
        if size > 0:
            memcpy(block, data, size)
        compress(h, block, counted + size, True)
    memcpy(out, h, out_size)


# --- URLs ----------------------------------------------------------------------------------------

cdef inline size_t terminator(const uint8_t* at, size_t left) noexcept nogil:
    """Return the bytes of the white space, quote or angle bracket that ends a URL here, or 0."""
    cdef uint8_t c = at[0]
    cdef uint8_t second, third
    if c < 0x80:
        if c == 0x20 or (c >= 0x09 and c <= 0x0D):
            return 1
        return 1 if c == 0x22 or c == 0x27 or c == 0x60 or c == 0x3C or c == 0x3E else 0
    if left < 2:
        return 0
    second = at[1]
    if c == 0xC2:
        return 2 if second == 0x85 or second == 0xA0 or second == 0xAB or second == 0xBB else 0
    if left < 3:
        return 0
    third = at[2]
    if c == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0
    if c == 0xE3:
        return 3 if second == 0x80 and third == 0x80 else 0
    if c != 0xE2:
        return 0
    if second == 0x81:
        return 3 if third == 0x9F else 0
    if second != 0x80:
        return 0
    if third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF:
        return 3
    return 3 if third == 0x98 or third == 0x99 or third == 0x9C or third == 0x9D else 0


cdef inline bint is_trailing(uint8_t c) noexcept nogil:
    """Say whether a byte is one of . , ; : ! ? ) ] } ' and the double quote."""
    return (
        c == 0x2E or c == 0x2C or c == 0x3B or c == 0x3A or c == 0x21 or c == 0x3F
        or c == 0x29 or c == 0x5D or c == 0x7D or c == 0x27 or c == 0x22
    )


cdef inline bint equals_lower(const uint8_t* at, const char* lower, size_t size) noexcept nogil:
    """Compare letters with lower-case ASCII, ignoring case."""
    cdef size_t i
    for i in range(size):
        if (at[i] | 0x20) != <uint8_t>lower[i]:
            return False
    return True


cdef bint next_url(const uint8_t* text, size_t size, size_t* pos, TextSpan* out) noexcept nogil:
    """Find the next http or https URL at or after *pos, trailing punctuation left out."""
    cdef size_t at = pos[0], start, body, end
    cdef const uint8_t* colon
    while at < size:
        colon = <const uint8_t*>memchr(text + at, 0x3A, size - at)
        if colon == NULL:
            break
        at = <size_t>(colon - text)
        body = at + 3
        if body > size or text[at + 1] != 0x2F or text[at + 2] != 0x2F:
            at += 1
            continue
        if at >= pos[0] + 4 and equals_lower(text + at - 4, b"http", 4):
            start = at - 4
        elif at >= pos[0] + 5 and equals_lower(text + at - 5, b"https", 5):
            start = at - 5
        else:
            at += 1
            continue
        end = body
        while end < size and terminator(text + end, size - end) == 0:
            end += 1
        pos[0] = end
        at = end
        while end > body and is_trailing(text[end - 1]):
            end -= 1
        if end > body:
            out.data = text + start
            out.size = end - start
            return True
    pos[0] = size
    return False


cdef inline int hex_value(uint8_t c) noexcept nogil:
    if c >= 0x30 and c <= 0x39:
        return c - 0x30
    if c >= 0x41 and c <= 0x46:
        return c - 0x37
    if c >= 0x61 and c <= 0x66:
        return c - 0x57
    return -1


cdef inline bint is_unreserved(uint8_t c) noexcept nogil:
    """Say whether RFC 3986 calls a byte unreserved: a letter, a digit, - . _ ~."""
    return (
        (c >= 0x61 and c <= 0x7A) or (c >= 0x41 and c <= 0x5A) or (c >= 0x30 and c <= 0x39)
        or c == 0x2D or c == 0x2E or c == 0x5F or c == 0x7E
    )


cdef size_t normal_escapes(
    uint8_t* out, const uint8_t* data, size_t size, bint slashes
) noexcept nogil:
    """Decode escapes of unreserved bytes, upper-case the others; a backslash may become a slash."""
    cdef size_t i = 0, n = 0
    cdef int high, low
    cdef uint8_t c
    while i < size:
        c = data[i]
        if c == 0x25 and size - i >= 3:
            high = hex_value(data[i + 1])
            low = hex_value(data[i + 2])
            if high >= 0 and low >= 0:
                c = <uint8_t>(16 * high + low)
                if is_unreserved(c):
                    out[n] = c
                    n += 1
                else:
                    out[n] = 0x25
                    out[n + 1] = <uint8_t>(high + (0x30 if high < 10 else 0x37))
                    out[n + 2] = <uint8_t>(low + (0x30 if low < 10 else 0x37))
                    n += 3
                i += 3
                continue
        out[n] = 0x2F if slashes and c == 0x5C else c
        n += 1
        i += 1
    return n


cdef size_t without_dots(uint8_t* path, size_t size) noexcept nogil:
    """Remove dot segments in place from a path that begins with a slash (RFC 3986, 5.2.4)."""
    cdef size_t read = 0, write = 0, end
    while read < size:  # path[read] is a slash
        end = read + 1
        while end < size and path[end] != 0x2F:
            end += 1
        if end - read == 2 and path[read + 1] == 0x2E:
            if end == size:
                path[write] = 0x2F
                write += 1
        elif end - read == 3 and path[read + 1] == 0x2E and path[read + 2] == 0x2E:
            while write > 0:
                write -= 1
                if path[write] == 0x2F:
                    break
            if end == size:
                path[write] = 0x2F
                write += 1
        else:
            while read < end:
                path[write] = path[read]
                write += 1
                read += 1
        read = end
    return write


cdef int canonical_host(
    Bump* bump, const uint8_t* host, size_t size, TextSpan* out
) noexcept nogil:
    """Decode escapes and lower-case a host; fold it where it is not ASCII. 0, or -1: no memory."""
    cdef uint8_t* copy = <uint8_t*>bump_alloc(bump, size + 1)
    cdef Lane lane
    cdef bint ascii = True
    cdef size_t i, n
    if copy == NULL:
        return -1
    n = normal_escapes(copy, host, size, False)
    for i in range(n):
        if copy[i] >= 0x80:
            ascii = False
    out.data = copy
    out.size = n
    if ascii:
        for i in range(n):
            if copy[i] >= 0x41 and copy[i] <= 0x5A:
                copy[i] |= 0x20
        return 0
    if fold(bump, copy, n, &lane) != 0:
        return -1
    out.data = lane.data
    out.size = lane.size
    return 0


cdef size_t split_port(const uint8_t* authority, size_t size, TextSpan* port) noexcept nogil:
    """Return the bytes of the host; a port that is not all digits belongs to it."""
    cdef size_t at = size
    port.data = NULL
    port.size = 0
    while at > 0 and authority[at - 1] >= 0x30 and authority[at - 1] <= 0x39:
        at -= 1
    if at == 0 or authority[at - 1] != 0x3A:
        return size
    port.data = authority + at
    port.size = size - at
    while port.size > 1 and port.data[0] == 0x30:
        port.data += 1
        port.size -= 1
    return at - 1


cdef int canonical_url(Bump* bump, const uint8_t* url, size_t size, UrlView* out) noexcept nogil:
    """Write the canonical form of a URL; see fastpath/reference/hashes.py for the rules."""
    cdef ByteSpan span = trim(url, size)
    cdef const uint8_t* at = url + span.start
    cdef const uint8_t* hash_mark
    cdef size_t left = span.end - span.start, hierarchy, authority, i, n
    cdef TextSpan host, port
    cdef bint secure
    cdef uint8_t* buffer
    out.canonical = at
    out.size = <uint32_t>left
    out.host = at
    out.host_size = 0
    if left >= 7 and equals_lower(at, b"http", 4) and at[4] == 0x3A:
        secure = False
        i = 5
    elif left >= 8 and equals_lower(at, b"https", 5) and at[5] == 0x3A:
        secure = True
        i = 6
    else:
        return 0
    if at[i] != 0x2F or at[i + 1] != 0x2F:
        return 0
    at += i + 2
    left -= i + 2
    hash_mark = <const uint8_t*>memchr(at, 0x23, left) if left > 0 else NULL
    if hash_mark != NULL:
        left = <size_t>(hash_mark - at)
    hierarchy = 0
    while hierarchy < left and at[hierarchy] != 0x3F:
        hierarchy += 1
    authority = 0
    while authority < hierarchy and at[authority] != 0x2F and at[authority] != 0x5C:
        authority += 1
    i = authority
    while i > 0 and at[i - 1] != 0x40:
        i -= 1
    n = split_port(at + i, authority - i, &port)
    if canonical_host(bump, at + i, n, &host) != 0:
        return -1
    if host.size == 0:
        return 0
    if port.size == (3 if secure else 2) and (
        (secure and port.data[0] == 0x34 and port.data[1] == 0x34 and port.data[2] == 0x33)
        or (not secure and port.data[0] == 0x38 and port.data[1] == 0x30)
    ):
        port.size = 0
    buffer = <uint8_t*>bump_reserve(bump, 16 + host.size + port.size + left)
    if buffer == NULL:
        return -1
    memcpy(buffer, b"https://", 8)
    n = 8
    if not secure:
        memcpy(buffer, b"http://", 7)
        n = 7
    memcpy(buffer + n, host.data, host.size)
    out.host = buffer + n
    out.host_size = <uint32_t>host.size
    n += host.size
    if port.size > 0:
        buffer[n] = 0x3A
        memcpy(buffer + n + 1, port.data, port.size)
        n += 1 + port.size
    if hierarchy == authority:
        buffer[n] = 0x2F
        n += 1
    else:
        i = normal_escapes(buffer + n, at + authority, hierarchy - authority, True)
        n += without_dots(buffer + n, i)
    if hierarchy < left:
        n += normal_escapes(buffer + n, at + hierarchy, left - hierarchy, False)
    bump_commit(bump, n)
    out.canonical = buffer
    out.size = <uint32_t>n
    return 0


# --- Exact lists ---------------------------------------------------------------------------------

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


cdef class ExactLists:
    """Own the tables of all exact lists of a screen, one per kind; immutable once built.

    Keys are identities under `identity_key` (16 bytes). Raises BuildError above MAX_ENTRIES.
    """

    def __cinit__(self, lists, bytes identity_key not None):
        cdef int kind
        if len(identity_key) != 16:
            raise BuildError("identity key bytes", 16, len(identity_key))
        sip_key(&self.key, <const uint8_t*>PyBytes_AS_STRING(identity_key))
        self.lists = tuple(lists)
        arena = Arena()
        for kind in range(4):
            self.build(kind, self.keys_of(kind, arena))

    def __dealloc__(self):
        cdef int kind
        for kind in range(5):
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
        table.slots = <HashSlot*>calloc(capacity, sizeof(HashSlot))
        table.pairs = <HashPair*>calloc(<size_t>total, sizeof(HashPair))
        if table.slots == NULL or table.pairs == NULL:
            raise MemoryError
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
        return PyBytes_FromStringAndSize(
            <const char*>host.data, <Py_ssize_t>host.size
        ).removesuffix(b".")
    return entry[span.start:span.end].lower()


# --- For tests -----------------------------------------------------------------------------------

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
        found.append(PyBytes_FromStringAndSize(<const char*>span.data, <Py_ssize_t>span.size))
    return found


def canonical_url_of(bytes url not None):
    """Return (canonical form, host) of a UTF-8 URL."""
    cdef UrlView view
    cdef Arena arena = Arena()
    if canonical_url(
        &arena.bump, <const uint8_t*>PyBytes_AS_STRING(url), <size_t>PyBytes_GET_SIZE(url), &view
    ) != 0:
        raise MemoryError
    return (
        PyBytes_FromStringAndSize(<const char*>view.canonical, view.size),
        PyBytes_FromStringAndSize(<const char*>view.host, view.host_size),
    )
