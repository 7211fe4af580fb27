/* The folded lane of a text that is plain ASCII: 32 bytes at a time, lower case and word bits.
 *
 * Nearly all text of most streams goes this way. What is no ASCII, or holds U+0000, is left to the
 * fold by code points, which gives the same for what both can do.
 */
#ifndef FASTPATH_ASCII_LANE_H
#define FASTPATH_ASCII_LANE_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "isa.h"

enum { ASCII_BLOCK = 32 };

/* A block into `out`; its word bits. `plain` loses its bits where a byte is 0 or no ASCII. */

static inline uint32_t ascii_block_scalar(const uint8_t *block, uint8_t *out, uint32_t *plain) {
    uint32_t word = 0;
    for (int i = 0; i < ASCII_BLOCK; i++) {
        uint8_t c = block[i], lower = (uint8_t)(c - 'A') < 26 ? c | 0x20 : c;
        uint32_t in_word = (uint8_t)(lower - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '_';
        if ((uint8_t)(c - 1) >= 0x7F)
            *plain &= ~(1u << i);
        word |= in_word << i;
        out[i] = lower;
    }
    return word;
}

/* Bytes above `low` and below `high`; signed, so never one beyond ASCII. */
#define ASCII_BETWEEN(bytes, low, high) \
    _mm256_and_si256(_mm256_cmpgt_epi8(bytes, _mm256_set1_epi8(low)), \
                     _mm256_cmpgt_epi8(_mm256_set1_epi8(high), bytes))

TARGET_AVX2 static inline uint32_t ascii_block_avx2(const uint8_t *block, uint8_t *out,
                                                    uint32_t *plain) {
    __m256i bytes = _mm256_loadu_si256((const __m256i *)block);
    __m256i upper = ASCII_BETWEEN(bytes, 'A' - 1, 'Z' + 1);
    __m256i lower = _mm256_or_si256(bytes, _mm256_and_si256(upper, _mm256_set1_epi8(0x20)));
    __m256i word = _mm256_or_si256(
        _mm256_or_si256(ASCII_BETWEEN(lower, 'a' - 1, 'z' + 1),
                        ASCII_BETWEEN(bytes, '0' - 1, '9' + 1)),
        _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('_')));
    *plain &= (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(bytes, _mm256_setzero_si256()));
    _mm256_storeu_si256((__m256i *)out, lower);
    return (uint32_t)_mm256_movemask_epi8(word);
}

/* The text is read up to its end alone; `out` and `word` are written in whole blocks, and one word
 * of zeros follows. What is left behind the last whole block is read with the bytes before it, as
 * the last block of the text; a text shorter than that is copied. 0 where the text is not plain. */
#define ASCII_LANE_BODY(BLOCK)                                            \
    uint8_t tail[ASCII_BLOCK] = {0};                                       \
    uint32_t bits, plain = ~(uint32_t)0;                                   \
    size_t at = 0;                                                         \
    for (; size - at >= ASCII_BLOCK; at += ASCII_BLOCK) {                  \
        bits = BLOCK(text + at, out + at, &plain);                         \
        memcpy(word + at / 8, &bits, sizeof bits);                         \
        if (plain != ~(uint32_t)0)                                         \
            return 0;                                                      \
    }                                                                      \
    if (at < size) {                                                       \
        if (at) {                                                          \
            size_t last = size - ASCII_BLOCK;                              \
            bits = BLOCK(text + last, out + last, &plain) >> (at - last);  \
        } else {                                                           \
            memcpy(tail, text, size);                                      \
            bits = BLOCK(tail, out, &plain);                               \
            plain |= ~(uint32_t)0 << size;                                 \
        }                                                                  \
        memcpy(word + at / 8, &bits, sizeof bits);                         \
        at += ASCII_BLOCK;                                                 \
    }                                                                      \
    memset(word + at / 8, 0, sizeof bits);                                 \
    return plain == ~(uint32_t)0

static int ascii_lane_scalar(const uint8_t *text, size_t size, uint8_t *out, uint8_t *word) {
    ASCII_LANE_BODY(ascii_block_scalar);
}

TARGET_AVX2 static int ascii_lane_avx2(const uint8_t *text, size_t size, uint8_t *out,
                                       uint8_t *word) {
    ASCII_LANE_BODY(ascii_block_avx2);
}

/* Bytes that the lane of a text takes, and those up to its word bits. */
static inline size_t ascii_lane_word_at(size_t size) {
    return (size + ASCII_BLOCK - 1) / ASCII_BLOCK * ASCII_BLOCK;
}

static inline size_t ascii_lane_bytes(size_t size) {
    return ascii_lane_word_at(size) + ascii_lane_word_at(size) / 8 + 4;
}

/* Write the lane to `out` and its word bits behind it; 0 where the text is not plain. */
static inline int ascii_lane(int level, const uint8_t *text, size_t size, uint8_t *out) {
    uint8_t *word = out + ascii_lane_word_at(size);
    if (level == ISA_SCALAR)
        return ascii_lane_scalar(text, size, out, word);
    return ascii_lane_avx2(text, size, out, word);
}

#endif
