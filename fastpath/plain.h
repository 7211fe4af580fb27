/* ASCII of a folded lane that needs no thought, since nothing begins there that a placeholder
   could stand for. Where the walk stops, the general code looks what it is. Lanes lie in an arena:
   up to 16 bytes behind them may be read. */
#ifndef FASTPATH_PLAIN_H
#define FASTPATH_PLAIN_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "isa.h"

/* The walk stops at a byte whose low bits meet the high bits of the byte behind it. */
enum {
    STOPS = 1,          /* digits, @, control characters, whatever is outside ASCII */
    STOPS_BEFORE_T = 2, /* h, as of http */
    STOPS_BEFORE_W = 4, /* w, as of www. */
    STOPS_BEFORE_SPACE = 8,
    BEHIND = 0x10, /* the same four bits of the byte behind */
    BEHIND_T = 0x20,
    BEHIND_W = 0x40,
    BEHIND_SPACE = 0x80, /* or a byte outside ASCII, which may begin white space */

    PLAIN_OTHER = STOPS | BEHIND | BEHIND_SPACE,

    PLAIN_ROOM = 8, /* letters or code points that a vector may write behind the last one */
};

static const uint8_t plain_bits[256] = {
    [0 ... 31] = PLAIN_OTHER,
    [' '] = STOPS_BEFORE_SPACE | BEHIND | BEHIND_SPACE,
    ['!' ... '/'] = BEHIND,
    ['0' ... '9'] = STOPS | BEHIND,
    [':' ... '?'] = BEHIND,
    ['@'] = STOPS | BEHIND,
    ['A' ... 'g'] = BEHIND,
    ['h'] = STOPS_BEFORE_T | BEHIND,
    ['i' ... 's'] = BEHIND,
    ['t'] = BEHIND | BEHIND_T,
    ['u' ... 'v'] = BEHIND,
    ['w'] = STOPS_BEFORE_W | BEHIND | BEHIND_W,
    ['x' ... '~'] = BEHIND,
    [127 ... 255] = PLAIN_OTHER,
};

static const uint8_t plain_letters[256] = {['A' ... 'Z'] = 1, ['a' ... 'z'] = 1};

/* Return where the walk from `at` stops: at the last byte at the latest. */
static inline uint32_t plain_end_scalar(const uint8_t *data, uint32_t size, uint32_t at) {
    while (at + 1 < size && !(plain_bits[data[at]] & (plain_bits[data[at + 1]] >> 4)))
        at++;
    return at;
}

/* Where of 16 bytes and those behind each the walk stops; signed, so that what is outside ASCII is
   below every sign. */
TARGET_AVX2 static inline uint32_t plain_stops_avx2(const uint8_t *at) {
    __m128i here = _mm_loadu_si128((const __m128i *)at);
    __m128i behind = _mm_loadu_si128((const __m128i *)(at + 1));
    __m128i digit = _mm_sub_epi8(here, _mm_set1_epi8('0'));
    __m128i stops = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    __m128i spaces = _mm_or_si128(
        _mm_cmpgt_epi8(_mm_set1_epi8(' ' + 1), behind), _mm_cmpeq_epi8(behind, _mm_set1_epi8(127)));
    stops = _mm_or_si128(stops, _mm_cmpeq_epi8(here, _mm_set1_epi8('@')));
    stops = _mm_or_si128(stops, _mm_cmpeq_epi8(here, _mm_set1_epi8(127)));
    stops = _mm_or_si128(stops, _mm_cmpgt_epi8(_mm_set1_epi8(' '), here));
#define PLAIN_PAIR(first, second) \
    stops = _mm_or_si128(stops, _mm_and_si128(_mm_cmpeq_epi8(here, _mm_set1_epi8(first)), second))
    PLAIN_PAIR('h', _mm_cmpeq_epi8(behind, _mm_set1_epi8('t')));
    PLAIN_PAIR('w', _mm_cmpeq_epi8(behind, _mm_set1_epi8('w')));
    PLAIN_PAIR(' ', spaces);
#undef PLAIN_PAIR
    return (uint32_t)_mm_movemask_epi8(stops);
}

TARGET_AVX2 static uint32_t plain_end_avx2(const uint8_t *data, uint32_t size, uint32_t at) {
    for (; at + 1 < size; at += 16) {
        uint32_t stops = plain_stops_avx2(data + at);
        if (stops) {
            at += (uint32_t)__builtin_ctz(stops);
            break;
        }
    }
    return at + 1 < size ? at : size - 1;
}

static inline uint32_t plain_end(int isa, const uint8_t *data, uint32_t size, uint32_t at) {
    return isa == ISA_SCALAR ? plain_end_scalar(data, size, at) : plain_end_avx2(data, size, at);
}

static inline uint32_t
plain_letters_scalar(const uint8_t *data, uint32_t at, uint32_t end, uint8_t *out) {
    uint32_t n = 0;
    for (; at < end; at++) {
        out[n] = data[at];
        n += plain_letters[data[at]];
    }
    return n;
}

TARGET_AVX2 static uint32_t
plain_letters_avx2(const uint8_t *data, uint32_t at, uint32_t end, uint8_t *out) {
    uint32_t n = 0;
    for (; at < end; at += 8) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(data + at));
        __m128i place = _mm_sub_epi8(
            _mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
        __m128i letters = _mm_cmpeq_epi8(_mm_min_epu8(place, _mm_set1_epi8(25)), place);
        uint32_t bits = 8 * (end - at < 8 ? end - at : 8);
        uint64_t kept = _bzhi_u64((uint64_t)_mm_cvtsi128_si64(letters), bits);
        uint64_t packed = _pext_u64((uint64_t)_mm_cvtsi128_si64(bytes), kept);
        memcpy(out + n, &packed, 8);
        n += (uint32_t)__builtin_popcountll(kept) / 8;
    }
    return n;
}

/* Copy the letters of data[at..end), which is ASCII; return how many. */
static inline uint32_t
plain_letters_of(int isa, const uint8_t *data, uint32_t at, uint32_t end, uint8_t *out) {
    return isa == ISA_SCALAR ? plain_letters_scalar(data, at, end, out)
                             : plain_letters_avx2(data, at, end, out);
}

TARGET_AVX2 static void
plain_points_avx2(const uint8_t *data, uint32_t at, uint32_t end, uint32_t *out) {
    for (; at < end; at += 8, out += 8) {
        __m128i bytes = _mm_loadl_epi64((const __m128i *)(data + at));
        _mm256_storeu_si256((__m256i *)out, _mm256_cvtepu8_epi32(bytes));
    }
}

/* Widen data[at..end), which is ASCII, to code points. */
static inline void
plain_points(int isa, const uint8_t *data, uint32_t at, uint32_t end, uint32_t *out) {
    if (isa != ISA_SCALAR) {
        plain_points_avx2(data, at, end, out);
        return;
    }
    for (; at < end; at++)
        *out++ = data[at];
}

#endif
