/* Find the strings of a JSON document, 64 bytes at a time, and check what holds for all of them.
 *
 * One pass gives the positions of the unescaped quotes and the places of the escapes; it refuses
 * bad escapes, half surrogate pairs, control characters inside strings and strings that do not
 * end. The grammar between strings is the reader's. After Langdale and Lemire, "Parsing Gigabytes
 * of JSON per Second" (2019), with parity in place of the carry-less product, since what depends
 * on it, control characters, is rare. UTF-8 after Keiser and Lemire, "Validating UTF-8 In Less
 * Than One Instruction Per Byte" (2020).
 */
#ifndef FASTPATH_JSON_INDEX_H
#define FASTPATH_JSON_INDEX_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "isa.h"

typedef struct {
    uint32_t *quotes;   /* positions, room for size + 128 */
    uint64_t *escapes;  /* bit i: an escape begins at byte i; whole words, set only if any_escape */
    size_t count;       /* of quotes, even */
    int any_escape;
} JsonIndex;

enum { INDEX_OK = 0, INDEX_BAD = 1 };

typedef struct {
    uint64_t quote, backslash, control;
    uint64_t high; /* not 0: some byte is no ASCII */
} JsonMasks;

static inline int json_hex(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of four hex digits, -1 where they are none. */
static inline int json_hex4(const uint8_t *at, size_t left) {
    if (left < 4)
        return -1;
    int a = json_hex(at[0]), b = json_hex(at[1]), c = json_hex(at[2]), d = json_hex(at[3]);
    if ((a | b | c | d) < 0)
        return -1;
    return a << 12 | b << 8 | c << 4 | d;
}

/* Check the escape at `at`; `low` is where the second half of a surrogate pair stands already. */
static inline int json_escape_ok(const uint8_t *data, size_t size, size_t at, size_t *low) {
    if (size - at < 2)
        return 0;
    switch (data[at + 1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return 1;
    case 'u':
        break;
    default:
        return 0;
    }
    int unit = json_hex4(data + at + 2, size - at - 2);
    if (unit < 0)
        return 0;
    if (unit < 0xD800 || unit > 0xDFFF)
        return 1;
    if (unit >= 0xDC00)
        return at == *low;
    if (size - at < 12 || data[at + 6] != '\\' || data[at + 7] != 'u')
        return 0;
    int second = json_hex4(data + at + 8, size - at - 8);
    *low = at + 6;
    return second >= 0xDC00 && second <= 0xDFFF;
}

static inline uint64_t json_inside(uint64_t quote, uint64_t carry) {
    for (int shift = 1; shift < 64; shift <<= 1)
        quote ^= quote << shift;
    return quote ^ carry;
}

/* --- Masks of one block, per level; `left` bytes are there, spaces stand for the rest ------------ */

static inline const uint8_t *json_block(const uint8_t *at, size_t left, uint8_t *last) {
    if (left >= 64)
        return at;
    memset(last, ' ', 64);
    memcpy(last, at, left);
    return last;
}

/* A bit for each of eight bytes that is zero. */
static inline uint64_t json_zeros(uint64_t word) {
    const uint64_t low = 0x7F7F7F7F7F7F7F7FULL;
    uint64_t zeros = ~(((word & low) + low) | word | low);
    return (zeros >> 7) * 0x0102040810204080ULL >> 56;
}

static inline JsonMasks json_masks_scalar(const uint8_t *at, size_t left) {
    const uint64_t ones = 0x0101010101010101ULL;
    uint8_t last[64];
    JsonMasks m = {0, 0, 0, 0};
    at = json_block(at, left, last);
    for (int i = 0; i < 64; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, 8);
        m.quote |= json_zeros(word ^ ones * '"') << i;
        m.backslash |= json_zeros(word ^ ones * '\\') << i;
        m.control |= json_zeros(word & ones * 0xE0) << i;
        m.high |= word & ones * 0x80; /* whether, not where */
    }
    return m;
}

TARGET_AVX2 static inline uint64_t json_pair(__m256i low, __m256i high) {
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

TARGET_AVX2 static inline JsonMasks json_masks_avx2(const uint8_t *at, size_t left) {
    uint8_t last[64];
    at = json_block(at, left, last);
    __m256i a = _mm256_loadu_si256((const __m256i *)at);
    __m256i b = _mm256_loadu_si256((const __m256i *)(at + 32));
    __m256i quote = _mm256_set1_epi8('"'), backslash = _mm256_set1_epi8('\\');
    __m256i top = _mm256_set1_epi8(0x1F);
    JsonMasks m = {
        json_pair(_mm256_cmpeq_epi8(a, quote), _mm256_cmpeq_epi8(b, quote)),
        json_pair(_mm256_cmpeq_epi8(a, backslash), _mm256_cmpeq_epi8(b, backslash)),
        json_pair(_mm256_cmpeq_epi8(_mm256_max_epu8(a, top), top),
                  _mm256_cmpeq_epi8(_mm256_max_epu8(b, top), top)),
        json_pair(a, b),
    };
    return m;
}

TARGET_AVX512 static inline JsonMasks json_masks_avx512(const uint8_t *at, size_t left) {
    __mmask64 there = left < 64 ? ((__mmask64)1 << left) - 1 : ~(__mmask64)0;
    __m512i a = _mm512_mask_loadu_epi8(_mm512_set1_epi8(' '), there, (const void *)at);
    JsonMasks m = {
        _mm512_cmpeq_epi8_mask(a, _mm512_set1_epi8('"')),
        _mm512_cmpeq_epi8_mask(a, _mm512_set1_epi8('\\')),
        _mm512_cmplt_epu8_mask(a, _mm512_set1_epi8(0x20)),
        _mm512_movepi8_mask(a),
    };
    return m;
}

/* --- Positions of the bits of one block, per level; each may write past what it returns --------- */

static inline uint32_t *json_flat_scalar(uint64_t bits, size_t at, uint32_t *out) {
    for (; bits; bits &= bits - 1)
        *out++ = (uint32_t)(at + (size_t)__builtin_ctzll(bits));
    return out;
}

/* Eight at a time whether they are there or not: a loop that ends early is often mispredicted. */
TARGET_AVX2 static inline uint32_t *json_flat_avx2(uint64_t bits, size_t at, uint32_t *out) {
    uint32_t *end = out + __builtin_popcountll(bits);
    do {
        for (int i = 0; i < 8; i++) {
            out[i] = (uint32_t)(at + _tzcnt_u64(bits));
            bits = _blsr_u64(bits);
        }
        out += 8;
    } while (out < end);
    return end;
}

TARGET_AVX512 static inline uint32_t *json_flat_avx512(uint64_t bits, size_t at, uint32_t *out) {
    const __m512i count = _mm512_set_epi8(
        63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41,
        40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18,
        17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    uint32_t *end = out + __builtin_popcountll(bits);
    __m512i packed = _mm512_maskz_compress_epi8(bits, count);
    __m512i base = _mm512_set1_epi32((int)at);
    for (;;) {
        __m512i wide = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(packed));
        _mm512_storeu_si512((void *)out, _mm512_add_epi32(wide, base));
        out += 16;
        if (__builtin_expect(out >= end, 1))
            return end;
        packed = _mm512_shuffle_i64x2(packed, packed, 0x39); /* the next 16 bytes */
    }
}

/* --- UTF-8 (The Unicode Standard, table 3-7) --------------------------------------------------- */

static int json_utf8_scalar(const uint8_t *at, size_t size) {
    const uint8_t *end = at + size;
    while (at < end) {
        uint8_t c = *at++;
        if (c < 0x80)
            continue;
        int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
        uint8_t low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
        uint8_t high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
        if (c < 0xC2 || c > 0xF4 || end - at < more || at[0] < low || at[0] > high)
            return 0;
        if ((more > 1 && (at[1] & 0xC0) != 0x80) || (more > 2 && (at[2] & 0xC0) != 0x80))
            return 0;
        at += more;
    }
    return 1;
}

/* Each bit names one mistake of two neighbouring bytes; it is made if all three tables say so. */
enum {
    U_SHORT = 1,       /* a lead byte without its continuation */
    U_LONG = 2,        /* a continuation without a lead byte */
    U_OVERLONG3 = 4,   /* E0 80-9F */
    U_LARGE = 8,       /* F4 90 and above */
    U_SURROGATE = 16,  /* ED A0-BF */
    U_OVERLONG2 = 32,  /* C0, C1 */
    U_OVERLONG4 = 64,  /* F0 80-8F; F5 and above with 1000 in the next */
    U_TWO = 128,       /* two continuations: right only inside 3 and 4 bytes */
};
#define U_ANY (U_SHORT | U_LONG | U_TWO)

TARGET_AVX2 static inline __m256i json_table(const int8_t *table) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
}

/* The bytes `back` before those of `now`. */
#define JSON_BEFORE(now, last, back) \
    _mm256_alignr_epi8(now, _mm256_permute2x128_si256(last, now, 0x21), 16 - (back))

TARGET_AVX2 static inline __m256i json_utf8_errors(__m256i now, __m256i last) {
    static const int8_t first_high[16] = {
        U_LONG, U_LONG, U_LONG, U_LONG, U_LONG, U_LONG, U_LONG, U_LONG,
        (int8_t)U_TWO, (int8_t)U_TWO, (int8_t)U_TWO, (int8_t)U_TWO,
        U_SHORT | U_OVERLONG2, U_SHORT, U_SHORT | U_OVERLONG3 | U_SURROGATE,
        U_SHORT | U_LARGE | U_OVERLONG4,
    };
    static const int8_t first_low[16] = {
        (int8_t)(U_ANY | U_OVERLONG3 | U_OVERLONG2 | U_OVERLONG4), (int8_t)(U_ANY | U_OVERLONG2),
        (int8_t)U_ANY, (int8_t)U_ANY, (int8_t)(U_ANY | U_LARGE),
        (int8_t)(U_ANY | U_LARGE | U_OVERLONG4), (int8_t)(U_ANY | U_LARGE | U_OVERLONG4),
        (int8_t)(U_ANY | U_LARGE | U_OVERLONG4), (int8_t)(U_ANY | U_LARGE | U_OVERLONG4),
        (int8_t)(U_ANY | U_LARGE | U_OVERLONG4), (int8_t)(U_ANY | U_LARGE | U_OVERLONG4),
        (int8_t)(U_ANY | U_LARGE | U_OVERLONG4), (int8_t)(U_ANY | U_LARGE | U_OVERLONG4),
        (int8_t)(U_ANY | U_LARGE | U_OVERLONG4 | U_SURROGATE),
        (int8_t)(U_ANY | U_LARGE | U_OVERLONG4), (int8_t)(U_ANY | U_LARGE | U_OVERLONG4),
    };
    static const int8_t second_high[16] = {
        U_SHORT, U_SHORT, U_SHORT, U_SHORT, U_SHORT, U_SHORT, U_SHORT, U_SHORT,
        (int8_t)(U_LONG | U_OVERLONG2 | U_TWO | U_OVERLONG3 | U_OVERLONG4),
        (int8_t)(U_LONG | U_OVERLONG2 | U_TWO | U_OVERLONG3 | U_LARGE),
        (int8_t)(U_LONG | U_OVERLONG2 | U_TWO | U_SURROGATE | U_LARGE),
        (int8_t)(U_LONG | U_OVERLONG2 | U_TWO | U_SURROGATE | U_LARGE),
        U_SHORT, U_SHORT, U_SHORT, U_SHORT,
    };
    __m256i nibble = _mm256_set1_epi8(0x0F);
    __m256i before = JSON_BEFORE(now, last, 1);
    __m256i wrong = _mm256_and_si256(
        _mm256_and_si256(
            _mm256_shuffle_epi8(json_table(first_high),
                                _mm256_and_si256(_mm256_srli_epi16(before, 4), nibble)),
            _mm256_shuffle_epi8(json_table(first_low), _mm256_and_si256(before, nibble))),
        _mm256_shuffle_epi8(json_table(second_high),
                            _mm256_and_si256(_mm256_srli_epi16(now, 4), nibble)));
    /* A third or fourth byte is due exactly where the bytes 2 and 3 before say so. */
    __m256i third = _mm256_subs_epu8(JSON_BEFORE(now, last, 2), _mm256_set1_epi8(0xE0 - 0x80));
    __m256i fourth = _mm256_subs_epu8(JSON_BEFORE(now, last, 3), _mm256_set1_epi8(0xF0 - 0x80));
    __m256i due = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
    return _mm256_xor_si256(due, wrong);
}

TARGET_AVX2 static int json_utf8_avx2(const uint8_t *data, size_t size) {
    __m256i last = _mm256_setzero_si256(), errors = last;
    uint8_t tail[64] = {0}; /* ends in zeros, so that a sequence that is cut short is one */
    size_t at = 0;
    for (; size - at >= 32; at += 32) {
        __m256i now = _mm256_loadu_si256((const __m256i *)(data + at));
        errors = _mm256_or_si256(errors, json_utf8_errors(now, last));
        last = now;
    }
    memcpy(tail, data + at, size - at);
    __m256i now = _mm256_loadu_si256((const __m256i *)tail);
    errors = _mm256_or_si256(errors, json_utf8_errors(now, last));
    errors = _mm256_or_si256(errors, json_utf8_errors(_mm256_setzero_si256(), now));
    return _mm256_testz_si256(errors, errors);
}

static inline int json_utf8(int level, const uint8_t *data, size_t size) {
    return level == ISA_SCALAR ? json_utf8_scalar(data, size) : json_utf8_avx2(data, size);
}

/* --- The pass ---------------------------------------------------------------------------------- */

/* One body for all levels: MASKS, FLAT and UTF8 are functions of the level. */
#define JSON_INDEX_BODY(MASKS, FLAT, UTF8)                                                       \
    uint64_t inside = 0, high = 0, carry = 0;                                                     \
    size_t low = (size_t)-1;                                                                      \
    uint32_t *out = index->quotes;                                                                \
    index->any_escape = 0;                                                                        \
    for (size_t at = 0; at < size; at += 64) {                                                    \
        JsonMasks m = MASKS(data + at, size - at);                                                \
        uint64_t quote = m.quote, begins = 0;                                                     \
        high |= m.high;                                                                           \
        if (m.backslash | carry) {                                                                \
            uint64_t escaped = carry, left = m.backslash & ~carry;                                \
            carry = 0;                                                                            \
            while (left) {                                                                        \
                uint64_t bit = left & (0 - left);                                                 \
                if (!json_escape_ok(data, size, at + (size_t)__builtin_ctzll(bit), &low))         \
                    return INDEX_BAD;                                                             \
                begins |= bit;                                                                    \
                escaped |= bit << 1;                                                              \
                carry = bit >> 63;                                                                \
                left &= ~(bit | bit << 1);                                                        \
            }                                                                                     \
            quote &= ~escaped;                                                                    \
            if (begins && !index->any_escape) {                                                   \
                index->any_escape = 1;                                                            \
                memset(index->escapes, 0, at / 8);                                                \
            }                                                                                     \
        }                                                                                         \
        if (index->any_escape)                                                                    \
            index->escapes[at / 64] = begins;                                                     \
        if (m.control && (m.control & json_inside(quote, inside)))                                \
            return INDEX_BAD;                                                                     \
        inside ^= 0 - ((uint64_t)__builtin_popcountll(quote) & 1);                                \
        out = FLAT(quote, at, out);                                                               \
    }                                                                                             \
    index->count = (size_t)(out - index->quotes);                                                 \
    out[0] = out[1] = UINT32_MAX; /* no position: the reader compares before it takes */          \
    return inside || (high && !UTF8(data, size)) ? INDEX_BAD : INDEX_OK

static int json_index_scalar(const uint8_t *data, size_t size, JsonIndex *index) {
    JSON_INDEX_BODY(json_masks_scalar, json_flat_scalar, json_utf8_scalar);
}

TARGET_AVX2 static int json_index_avx2(const uint8_t *data, size_t size, JsonIndex *index) {
    JSON_INDEX_BODY(json_masks_avx2, json_flat_avx2, json_utf8_avx2);
}

TARGET_AVX512 static int json_index_avx512(const uint8_t *data, size_t size, JsonIndex *index) {
    JSON_INDEX_BODY(json_masks_avx512, json_flat_avx512, json_utf8_avx2);
}

static inline int json_index(int level, const uint8_t *data, size_t size, JsonIndex *index) {
    if (level == ISA_AVX512)
        return json_index_avx512(data, size, index);
    if (level == ISA_AVX2)
        return json_index_avx2(data, size, index);
    return json_index_scalar(data, size, index);
}

#endif
