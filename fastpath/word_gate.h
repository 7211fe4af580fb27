/* Look up the words of a lane by hash: where may a key begin?
 *
 * Two passes over a stretch of text. The first finds the words in the word bits; the second hashes
 * and looks up, and since no word waits for another and nothing is branched on, the memory
 * accesses of many words overlap.
 */
#ifndef FASTPATH_WORD_GATE_H
#define FASTPATH_WORD_GATE_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "isa.h"

enum {
    HASHED_BYTES = 16,   /* of a word; all of them readable wherever a word begins */
    STRETCH_WORDS = 128, /* found before they are looked up; their spans stay in the L1 cache */
};

typedef struct {
    uint32_t start, end;
} WordSpan;

static inline uint64_t gate_load8(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* The first bytes of eight; none where `count` is 0, all from 8 on. */
static inline uint64_t gate_first_scalar(uint64_t bytes, uint32_t count) {
    return count >= 8 ? bytes : bytes & (((uint64_t)1 << 8 * count) - 1);
}

__attribute__((target("bmi2"))) static inline uint64_t gate_first_bmi2(uint64_t bytes,
                                                                       uint32_t count) {
    return _bzhi_u64(bytes, 8 * count); /* takes all 64 bits from 64 to 255 on */
}

/* Multiply and fold, with odd constants. */
#define GATE_HASH(FIRST, at, length)                                                             \
    gate_fold(FIRST(gate_load8(at), length),                                                      \
              FIRST(gate_load8((at) + 8), (length) > 8 ? (length) - 8 : 0))

static inline uint64_t gate_fold(uint64_t low, uint64_t high) {
    uint64_t hashed = (low + high * 0xC2B2AE3D27D4EB4Fu) * 0x9E3779B97F4A7C15u;
    return hashed ^ hashed >> 32;
}

static inline uint32_t gate_hashed_bytes(uint32_t length) {
    return length < HASHED_BYTES ? length : HASHED_BYTES;
}

/* Hash the first 16 bytes of a word. */
static inline uint64_t gate_hash_word(const uint8_t *at, uint32_t length) {
    return GATE_HASH(gate_first_scalar, at, gate_hashed_bytes(length));
}

static inline uint64_t gate_hash_pair(uint64_t first, uint64_t second) {
    return (first << 23 | first >> 41) ^ second;
}

/* The three bits of a hash in its bucket. */
static inline uint64_t gate_bits(uint64_t hashed) {
    return (uint64_t)1 << (hashed & 63) | (uint64_t)1 << (hashed >> 6 & 63)
         | (uint64_t)1 << (hashed >> 12 & 63);
}

static inline uint32_t gate_passes(const uint64_t *buckets, uint32_t shift, uint64_t hashed) {
    return !(gate_bits(hashed) & ~buckets[hashed >> shift]);
}

/* Writes the starts of the words where a key may begin, in order, and returns their number.
 * `found` has room for two more than there are bytes. Text and word bits lie in an arena, so that
 * up to 16 bytes behind them may be read. A start is written in any case and kept by advancing,
 * which is cheaper than a branch. */
#define FIND_WORDS_BODY(FIRST)                                                                   \
    WordSpan spans[STRETCH_WORDS + 32]; /* a block of 64 bytes ends at most 32 words */            \
    uint64_t last = 0, carry = 0;                                                                  \
    uint32_t count = 0, start = 0, last_start = 0, block = 0;                                      \
    while (block <= size) {                                                                        \
        uint32_t words = 0;                                                                        \
        for (; block <= size && words < STRETCH_WORDS; block += 64) {                              \
            uint64_t bits = gate_load8(word + (block >> 3));                                       \
            if (size - block < 64)                                                                 \
                bits &= ((uint64_t)1 << (size - block)) - 1;                                       \
            uint64_t edges = bits ^ (bits << 1 | carry);                                           \
            if (carry && edges) { /* a word that goes on from the block before ends first */       \
                spans[words++] = (WordSpan){start, block + (uint32_t)__builtin_ctzll(edges)};       \
                edges &= edges - 1;                                                                \
            }                                                                                      \
            carry = bits >> 63;                                                                    \
            while (edges) {                                                                        \
                start = block + (uint32_t)__builtin_ctzll(edges);                                  \
                edges &= edges - 1;                                                                \
                if (!edges)                                                                        \
                    break;                                                                         \
                spans[words++] = (WordSpan){start, block + (uint32_t)__builtin_ctzll(edges)};       \
                edges &= edges - 1;                                                                \
            }                                                                                      \
        }                                                                                          \
        for (uint32_t i = 0; i < words; i++) {                                                     \
            const uint8_t *at = data + spans[i].start;                                             \
            uint32_t length = gate_hashed_bytes(spans[i].end - spans[i].start);                    \
            uint64_t hashed = GATE_HASH(FIRST, at, length);                                        \
            if (pairs) {                                                                           \
                found[count] = last_start;                                                         \
                count += gate_passes(buckets, shift, gate_hash_pair(last, hashed));                \
                last = hashed;                                                                     \
                last_start = spans[i].start;                                                       \
            }                                                                                      \
            found[count] = spans[i].start;                                                         \
            count += gate_passes(buckets, shift, hashed);                                          \
        }                                                                                          \
    }                                                                                              \
    return count

#define FIND_WORDS_ARGUMENTS                                                                     \
    const uint64_t *buckets, uint32_t shift, int pairs, const uint8_t *data, const uint8_t *word, \
        uint32_t size, uint32_t *found

static uint32_t gate_words_scalar(FIND_WORDS_ARGUMENTS) {
    FIND_WORDS_BODY(gate_first_scalar);
}

TARGET_AVX2 static uint32_t gate_words_avx2(FIND_WORDS_ARGUMENTS) {
    FIND_WORDS_BODY(gate_first_bmi2);
}

static inline uint32_t gate_words(int level, FIND_WORDS_ARGUMENTS) {
    if (level == ISA_SCALAR)
        return gate_words_scalar(buckets, shift, pairs, data, word, size, found);
    return gate_words_avx2(buckets, shift, pairs, data, word, size, found);
}

#endif
