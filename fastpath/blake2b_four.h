/* BLAKE2b-128 without a key (RFC 7693) of many messages, four side by side: each vector holds the
   same word of four states. A state whose message ends takes up the next one. */
#ifndef FASTPATH_BLAKE2B_FOUR_H
#define FASTPATH_BLAKE2B_FOUR_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "isa.h"

enum { BLAKE_BLOCK = 128, BLAKE_ROUNDS = 12, BLAKE_FOUR = 4, BLAKE_OUT = 16 };

typedef struct {
    const uint8_t *data;
    size_t size;
    uint8_t *out; /* 16 bytes */
} BlakeMessage;

static const uint64_t blake_start[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};
/* The parameter block in the first word: 16 bytes out, no key, one message without a tree. */
static const uint64_t BLAKE_PARAMETERS = 0x01010000u ^ BLAKE_OUT;

static const uint8_t blake_sigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

/* Four states by word, and what each hashes. */
typedef struct {
    uint64_t h[8][BLAKE_FOUR];
    uint64_t counted[BLAKE_FOUR];
    uint64_t last[BLAKE_FOUR]; /* all bits in the last block of a message */
    const uint8_t *block[BLAKE_FOUR];
    uint8_t padded[BLAKE_FOUR][BLAKE_BLOCK]; /* last blocks */
    const BlakeMessage *message[BLAKE_FOUR]; /* NULL: the state idles */
} BlakeStates;

#define BLAKE_ROTATE_63(x) _mm256_or_si256(_mm256_srli_epi64(x, 63), _mm256_add_epi64(x, x))
#define BLAKE_MIX(a, b, c, d, x, y)                                                          \
    do {                                                                                     \
        a = _mm256_add_epi64(_mm256_add_epi64(a, b), words[x]);                              \
        d = _mm256_shuffle_epi32(_mm256_xor_si256(d, a), 0xb1);                              \
        c = _mm256_add_epi64(c, d);                                                          \
        b = _mm256_shuffle_epi8(_mm256_xor_si256(b, c), by_24);                              \
        a = _mm256_add_epi64(_mm256_add_epi64(a, b), words[y]);                              \
        d = _mm256_shuffle_epi8(_mm256_xor_si256(d, a), by_16);                              \
        c = _mm256_add_epi64(c, d);                                                          \
        b = _mm256_xor_si256(b, c);                                                          \
        b = BLAKE_ROTATE_63(b);                                                              \
    } while (0)

/* Let words[i] hold word i of four blocks. */
TARGET_AVX2 static inline void
blake_words(const uint8_t *const block[BLAKE_FOUR], __m256i words[16]) {
    for (int i = 0; i < 16; i += 4) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(block[0] + 8 * i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(block[1] + 8 * i));
        __m256i c = _mm256_loadu_si256((const __m256i *)(block[2] + 8 * i));
        __m256i d = _mm256_loadu_si256((const __m256i *)(block[3] + 8 * i));
        __m256i ab_even = _mm256_unpacklo_epi64(a, b), ab_odd = _mm256_unpackhi_epi64(a, b);
        __m256i cd_even = _mm256_unpacklo_epi64(c, d), cd_odd = _mm256_unpackhi_epi64(c, d);
        words[i] = _mm256_permute2x128_si256(ab_even, cd_even, 0x20);
        words[i + 1] = _mm256_permute2x128_si256(ab_odd, cd_odd, 0x20);
        words[i + 2] = _mm256_permute2x128_si256(ab_even, cd_even, 0x31);
        words[i + 3] = _mm256_permute2x128_si256(ab_odd, cd_odd, 0x31);
    }
}

TARGET_AVX2 static inline void blake_compress(BlakeStates *s) {
    const __m256i by_16 = _mm256_setr_epi8(
        2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9,
        2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9);
    const __m256i by_24 = _mm256_setr_epi8(
        3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10,
        3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10);
    __m256i words[16], v[16];
    blake_words(s->block, words);
    for (int i = 0; i < 8; i++) {
        v[i] = _mm256_loadu_si256((const __m256i *)s->h[i]);
        v[i + 8] = _mm256_set1_epi64x((long long)blake_start[i]);
    }
    v[12] = _mm256_xor_si256(v[12], _mm256_loadu_si256((const __m256i *)s->counted));
    v[14] = _mm256_xor_si256(v[14], _mm256_loadu_si256((const __m256i *)s->last));
    for (int i = 0; i < BLAKE_ROUNDS; i++) {
        const uint8_t *at = blake_sigma[i % 10];
        BLAKE_MIX(v[0], v[4], v[8], v[12], at[0], at[1]);
        BLAKE_MIX(v[1], v[5], v[9], v[13], at[2], at[3]);
        BLAKE_MIX(v[2], v[6], v[10], v[14], at[4], at[5]);
        BLAKE_MIX(v[3], v[7], v[11], v[15], at[6], at[7]);
        BLAKE_MIX(v[0], v[5], v[10], v[15], at[8], at[9]);
        BLAKE_MIX(v[1], v[6], v[11], v[12], at[10], at[11]);
        BLAKE_MIX(v[2], v[7], v[8], v[13], at[12], at[13]);
        BLAKE_MIX(v[3], v[4], v[9], v[14], at[14], at[15]);
    }
    for (int i = 0; i < 8; i++) {
        __m256i h = _mm256_loadu_si256((const __m256i *)s->h[i]);
        h = _mm256_xor_si256(h, _mm256_xor_si256(v[i], v[i + 8]));
        _mm256_storeu_si256((__m256i *)s->h[i], h);
    }
}

/* Point state i at the next block of its message. */
static inline void blake_next_block(BlakeStates *s, int i) {
    size_t left = s->message[i]->size - s->counted[i];
    const uint8_t *at = s->message[i]->data + s->counted[i];
    s->block[i] = at;
    if (left > BLAKE_BLOCK) {
        s->counted[i] += BLAKE_BLOCK;
        return;
    }
    if (left < BLAKE_BLOCK) {
        memset(s->padded[i], 0, BLAKE_BLOCK);
        if (left > 0)
            memcpy(s->padded[i], at, left);
        s->block[i] = s->padded[i];
    }
    s->counted[i] += left;
    s->last[i] = UINT64_MAX;
}

static inline void blake_take(BlakeStates *s, int i, const BlakeMessage *message) {
    s->message[i] = message;
    s->counted[i] = 0;
    s->last[i] = 0;
    for (int word = 0; word < 8; word++)
        s->h[word][i] = blake_start[word];
    s->h[0][i] ^= BLAKE_PARAMETERS;
    blake_next_block(s, i);
}

static inline void blake2b_four(const BlakeMessage *messages, size_t count) {
    BlakeStates s;
    size_t taken = 0, done = 0;
    memset(&s, 0, sizeof s);
    for (int i = 0; i < BLAKE_FOUR; i++) {
        s.block[i] = s.padded[i];
        if (taken < count)
            blake_take(&s, i, &messages[taken++]);
    }
    while (done < count) {
        blake_compress(&s);
        for (int i = 0; i < BLAKE_FOUR; i++) {
            if (s.message[i] == NULL)
                continue;
            if (!s.last[i]) {
                blake_next_block(&s, i);
                continue;
            }
            memcpy(s.message[i]->out, &s.h[0][i], 8);
            memcpy(s.message[i]->out + 8, &s.h[1][i], 8);
            done++;
            s.message[i] = NULL;
            s.block[i] = s.padded[i]; /* idle, it is compressed all the same */
            if (taken < count)
                blake_take(&s, i, &messages[taken++]);
        }
    }
}

#endif
