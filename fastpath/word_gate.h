/* Look up the words of a lane by hash: where may a key begin?
 *
 * Words shorter than any that a key is known by are never met: runs of word bits lose them by
 * shifts, a block at a time. The others cost one bit each, and one for the word with the one before
 * it, from a table so sparse that hardly any is set; what finds one is looked up again in a second
 * table. No word waits for another, so the memory accesses of many overlap. Of a word that both let
 * through the line is sent for that says what it means.
 */
#ifndef FASTPATH_WORD_GATE_H
#define FASTPATH_WORD_GATE_H

#include <stdint.h>
#include <string.h>

#include "isa.h"

enum {
    HASHED_BYTES = 16, /* of a word; all of them readable wherever a word begins */
    GATE_BLOCK = 48,   /* bytes whose words are met; 16 more are read, so that these are whole */
    BLOCK_WORDS = GATE_BLOCK / 2,
    GATE_LINE = 64,    /* bytes of a cache line, and of a word with what it reports */
    MOST_LEAST = 8,    /* no longer words are told from shorter ones: three shifts */
};

/* Where a key may begin, as long as one bit says so. */
typedef struct {
    uint64_t hashed, last;
    uint32_t start, last_start;
} MetWord;

static inline uint64_t gate_load8(const uint8_t *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* The first bytes of sixteen by how many are kept; loads cost less than telling lengths apart. */
#define KEPT(n) ((n) >= 8 ? ~(uint64_t)0 : ((uint64_t)1 << 8 * ((n) & 7)) - 1)
#define KEPT_OF(n) {KEPT(n), (n) > 8 ? KEPT((n)-8) : 0}
static const uint64_t gate_kept[HASHED_BYTES + 1][2] = {
    KEPT_OF(0),  KEPT_OF(1),  KEPT_OF(2),  KEPT_OF(3),  KEPT_OF(4),  KEPT_OF(5),
    KEPT_OF(6),  KEPT_OF(7),  KEPT_OF(8),  KEPT_OF(9),  KEPT_OF(10), KEPT_OF(11),
    KEPT_OF(12), KEPT_OF(13), KEPT_OF(14), KEPT_OF(15), KEPT_OF(16),
};

/* The first bytes of a word, zero behind its end. */
typedef struct {
    uint64_t low, high;
} WordBytes;

/* Keep the first `length` bytes of sixteen, at most all. */
static inline WordBytes gate_load_word(const uint8_t *at, uint32_t length) {
    WordBytes word = {gate_load8(at) & gate_kept[length][0],
                      gate_load8(at + 8) & gate_kept[length][1]};
    return word;
}

/* The upper bits are well mixed. */
static inline uint64_t gate_hash_bytes(WordBytes word) {
    return (word.low + word.high * 0xC2B2AE3D27D4EB4Fu) * 0x9E3779B97F4A7C15u;
}

static inline uint64_t gate_hash_word(const uint8_t *at, uint32_t length) {
    return gate_hash_bytes(gate_load_word(at, length));
}

/* Of a word behind a state of the automaton; behind state 1, the root, its own. */
static inline uint64_t gate_hash_behind(uint32_t state, WordBytes word) {
    return gate_hash_bytes(word) + (state - 1) * 0xD6E8FEB86659FD93u;
}

static inline uint64_t gate_hash_pair(uint64_t first, uint64_t second) {
    return first * 3 + second;
}

/* The bit of a hash in its bucket of the first table, and its three in that of the second. */
static inline uint64_t gate_bit(uint64_t hashed) {
    return (uint64_t)1 << (hashed >> 32 & 63);
}

static inline uint64_t gate_bits(uint64_t hashed) {
    hashed = (hashed ^ hashed >> 32) * 0x9E3779B97F4A7C15u;
    return (uint64_t)1 << (hashed >> 58) | (uint64_t)1 << (hashed >> 52 & 63)
         | (uint64_t)1 << (hashed >> 46 & 63);
}

/* Which of so many cache lines a hash is looked up in first. */
static inline uint64_t gate_line(uint64_t hashed, uint32_t lines) {
    return (hashed >> 32) * lines >> 32;
}

/* Send for that line: the word is asked for after the whole lane went through here. */
static inline void gate_send_for(const void *lines, uint32_t count, uint64_t hashed) {
    __builtin_prefetch((const void *)((uintptr_t)lines + gate_line(hashed, count) * GATE_LINE));
}

#define GATE_ARGUMENTS                                                                           \
    const uint64_t *sparse, const uint64_t *buckets, uint32_t shift, uint32_t least,              \
        const void *lines, uint32_t line_count, const uint8_t *data, const uint8_t *word,         \
        uint32_t size, uint32_t *found
#define GATE_PASSED                                                                              \
    sparse, buckets, shift, least, lines, line_count, data, word, size, found

/* Writes the starts of the words where a key may begin, in order, and returns their number.
 * `found` has room for two more than there are bytes. Text and word bits lie in an arena, so that
 * up to 16 bytes behind them may be read. What may not be kept is written all the same and kept by
 * advancing, which is cheaper than a branch. */
static inline __attribute__((always_inline)) uint32_t gate_words_at(GATE_ARGUMENTS) {
    MetWord met[BLOCK_WORDS];
    uint64_t last = 0, before = 0;
    uint32_t count = 0, last_start = 0;
    uint32_t once = least > 1, twice = least > 3 ? 2 : least > 2, rest = least - 1 - once - twice;
    for (uint32_t block = 0; block < size; block += GATE_BLOCK) {
        uint64_t bits = gate_load8(word + (block >> 3));
        bits &= size - block < 64 ? ((uint64_t)1 << (size - block)) - 1 : ~(uint64_t)0;
        uint64_t ends = ~bits, long_enough = bits;
        long_enough &= long_enough >> once;
        long_enough &= long_enough >> twice;
        long_enough &= long_enough >> rest;
        uint64_t starts = long_enough & ~(bits << 1 | before) & (((uint64_t)1 << GATE_BLOCK) - 1);
        before = bits >> (GATE_BLOCK - 1) & 1;
        uint32_t met_count = 0;
        for (; starts; starts &= starts - 1) {
            uint32_t at = (uint32_t)__builtin_ctzll(starts);
            uint32_t length =
                (uint32_t)__builtin_ctzll(ends >> at | (uint64_t)1 << HASHED_BYTES);
            uint64_t hashed = gate_hash_word(data + block + at, length);
            uint64_t pair = gate_hash_pair(last, hashed);
            met[met_count] = (MetWord){hashed, last, block + at, last_start};
            met_count += (sparse[hashed >> shift] >> (hashed >> 32 & 63)
                          | sparse[pair >> shift] >> (pair >> 32 & 63)) & 1;
            last = hashed;
            last_start = block + at;
        }
        for (uint32_t i = 0; i < met_count; i++) {
            uint64_t pair = gate_hash_pair(met[i].last, met[i].hashed);
            gate_send_for(lines, line_count, met[i].last);
            gate_send_for(lines, line_count, met[i].hashed);
            found[count] = met[i].last_start;
            count += !(gate_bits(pair) & ~buckets[pair >> shift]);
            found[count] = met[i].start;
            count += !(gate_bits(met[i].hashed) & ~buckets[met[i].hashed >> shift]);
        }
    }
    return count;
}

static uint32_t gate_words_scalar(GATE_ARGUMENTS) {
    return gate_words_at(GATE_PASSED);
}

/* With the bit instructions that came with AVX2. */
TARGET_AVX2 static uint32_t gate_words_avx2(GATE_ARGUMENTS) {
    return gate_words_at(GATE_PASSED);
}

static inline uint32_t gate_words(int level, GATE_ARGUMENTS) {
    if (level == ISA_SCALAR)
        return gate_words_scalar(GATE_PASSED);
    return gate_words_avx2(GATE_PASSED);
}

#endif
