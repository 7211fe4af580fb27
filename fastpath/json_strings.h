/* Strings looked at one after the other, 16 bytes at a time: where one without escapes ends, whether
 * it is ASCII, whether it is of hex digits. SSE2 is part of every x86-64, so there is one level.
 */
#ifndef FASTPATH_JSON_STRINGS_H
#define FASTPATH_JSON_STRINGS_H

#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

/* A bit for each of 16 bytes that is a quote, a backslash or a control character; `high` gets those
   that are no ASCII. */
static inline uint32_t json_stops(const uint8_t *at, uint32_t *high) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)at);
    __m128i stops = _mm_or_si128(
        _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    stops = _mm_or_si128(
        stops, _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes));
    *high = (uint32_t)_mm_movemask_epi8(bytes);
    return (uint32_t)_mm_movemask_epi8(stops);
}

/* Return where the first stop from `at` on stands, `size` if there is none; the document has at
   least 16 bytes. `high` is not 0 if some byte before it is no ASCII. */
static inline size_t json_stop(const uint8_t *data, size_t size, size_t at, uint32_t *high) {
    uint32_t above, stops, any = 0;
    for (; size - at >= 16; at += 16) {
        stops = json_stops(data + at, &above);
        if (stops) {
            *high = any | (above & (stops - 1) & ~stops);
            return at + (size_t)__builtin_ctz(stops);
        }
        any |= above;
    }
    /* The last 16 bytes once more, without those that were seen. */
    size_t seen = at - (size - 16);
    stops = json_stops(data + size - 16, &above) >> seen;
    above = above >> seen;
    *high = any | (stops ? above & (stops - 1) & ~stops : above);
    return stops ? at + (size_t)__builtin_ctz(stops) : size;
}

/* Whether 16 bytes are hex digits; `upper` is not 0 if some are capitals. */
static inline int json_hex16(const uint8_t *at, int *upper) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)at), space = _mm_set1_epi8(0x20);
    __m128i digit = _mm_sub_epi8(bytes, _mm_set1_epi8('0'));
    __m128i letter = _mm_sub_epi8(_mm_or_si128(bytes, space), _mm_set1_epi8('a'));
    __m128i small = _mm_cmpeq_epi8(_mm_and_si128(bytes, space), space);
    digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
    *upper = _mm_movemask_epi8(_mm_andnot_si128(small, letter));
    return _mm_movemask_epi8(_mm_or_si128(digit, letter)) == 0xFFFF;
}

#endif
