# SipHash and BLAKE2b. Included by hashes.pyx.

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


cdef inline uint64_t load_seven(const uint8_t* at) noexcept nogil:
    """Load seven bytes, little-endian, in two parts that share one."""
    cdef uint32_t low, high
    memcpy(&low, at, 4)
    memcpy(&high, at + 3, 4)
    return low | (<uint64_t>high << 24)


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
    sip_block(&s, tag | (load_seven(data) << 8))
    data += 7
    size -= 7
    while size >= 8:
        sip_block(&s, load64(data))
        data += 8
        size -= 8
    if size > 0:  # at least seven bytes stand before the rest: the last eight hold it
        last |= load64(data + size - 8) >> (64 - 8 * size)
    sip_block(&s, last)
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


cdef void blake2b_all(const BlakeMessage* messages, size_t count) noexcept nogil:
    """Write 16 bytes of BLAKE2b of each message."""
    cdef size_t i
    if LEVEL != ISA_SCALAR:
        blake2b_four(messages, count)
        return
    for i in range(count):
        blake2b(messages[i].out, 16, NULL, 0, messages[i].data, messages[i].size)
