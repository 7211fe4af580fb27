/* SimHash of grams: with AVX-512 one vector add per gram, with AVX2 counters bit by bit, beside the
   scalar version of the same lines. */
#ifndef FASTPATH_SIMHASH_H
#define FASTPATH_SIMHASH_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "isa.h"

/* Fixed: a SimHash is compared across bundles and years. Odd, from the digits of pi, top bit set,
   so that neither factor below can be zero. */
static const uint64_t GRAM_FIRST = 0xa4093822299f31d1u;
static const uint64_t GRAM_LAST = 0xc0ac29b7c97c50ddu;
static const uint64_t GRAM_MIX = 0x9216d5d98979fb1bu;

static inline uint64_t gram_fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

/* Hash four code points of 21 bits each. */
static inline uint64_t gram_hash(const uint32_t *p) {
    uint64_t first = (uint64_t)p[0] | (uint64_t)p[1] << 21 | (uint64_t)p[2] << 42;
    return gram_fold(gram_fold(first ^ GRAM_FIRST, p[3] ^ GRAM_LAST), GRAM_MIX);
}

/* Bit i is set where more than half of the grams have it. */
static uint64_t simhash_scalar(const uint32_t *points, uint32_t grams) {
    uint32_t ones[64] = {0};
    uint64_t hash, out = 0;
    for (uint32_t g = 0; g < grams; g++) {
        hash = gram_hash(points + g);
        for (int i = 0; i < 64; i++)
            ones[i] += (uint32_t)(hash >> i) & 1;
    }
    for (int i = 0; i < 64; i++)
        out |= (uint64_t)(ones[i] > grams / 2) << i;
    return out;
}

/* Four times 64 counters, bit by bit: bit i of plane k is bit k of counter i. Vectors are added to
   them as to numbers on paper, all counters at once, and carries go into the plane above. */
enum { GRAM_PLANES = 6, GRAM_BLOCK = 240 /* grams, 60 in each of four: below 2^6, in eights */ };

#define GRAM_ADD(high, low, a, b, c)                                                         \
    do {                                                                                     \
        __m256i either = _mm256_xor_si256(a, b);                                             \
        high = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(either, c));         \
        low = _mm256_xor_si256(either, c);                                                   \
    } while (0)

/* Add `count` hashes, which zeros follow up to the next multiple of 32, to planes of zeros. */
TARGET_AVX2 static void
simhash_planes(const uint64_t *hashes, uint32_t count, __m256i planes[GRAM_PLANES]) {
    __m256i ones = _mm256_setzero_si256(), twos = ones, fours = ones;
    __m256i eights = ones, sixteens = ones, more = ones;
    for (uint32_t at = 0; at < count; at += 32) {
        const __m256i *v = (const __m256i *)(hashes + at);
        __m256i two_a, two_b, four_a, four_b, eight;
        GRAM_ADD(two_a, ones, ones, _mm256_load_si256(v), _mm256_load_si256(v + 1));
        GRAM_ADD(two_b, ones, ones, _mm256_load_si256(v + 2), _mm256_load_si256(v + 3));
        GRAM_ADD(four_a, twos, twos, two_a, two_b);
        GRAM_ADD(two_a, ones, ones, _mm256_load_si256(v + 4), _mm256_load_si256(v + 5));
        GRAM_ADD(two_b, ones, ones, _mm256_load_si256(v + 6), _mm256_load_si256(v + 7));
        GRAM_ADD(four_b, twos, twos, two_a, two_b);
        GRAM_ADD(eight, fours, fours, four_a, four_b);
        __m256i sixteen = _mm256_and_si256(eights, eight);
        eights = _mm256_xor_si256(eights, eight);
        more = _mm256_xor_si256(more, _mm256_and_si256(sixteens, sixteen));
        sixteens = _mm256_xor_si256(sixteens, sixteen);
    }
    planes[0] = ones, planes[1] = twos, planes[2] = fours;
    planes[3] = eights, planes[4] = sixteens, planes[5] = more;
}

/* Add two numbers of `size` planes; the sum has one more. */
static inline void
simhash_sum(const uint64_t *a, const uint64_t *b, uint32_t size, uint64_t *out) {
    uint64_t carry = 0;
    for (uint32_t i = 0; i < size; i++) {
        uint64_t either = a[i] ^ b[i];
        out[i] = either ^ carry;
        carry = (a[i] & b[i]) | (either & carry);
    }
    out[size] = carry;
}

/* Count up to GRAM_BLOCK grams by bit, in planes. */
TARGET_AVX2 static inline void
simhash_count(const uint32_t *points, uint32_t grams, uint64_t sum[GRAM_PLANES + 2]) {
    _Alignas(32) uint64_t hashes[GRAM_BLOCK + 32];
    __m256i planes[GRAM_PLANES];
    uint64_t part[4][GRAM_PLANES], half[2][GRAM_PLANES + 1];
    for (uint32_t g = 0; g < grams; g++)
        hashes[g] = gram_hash(points + g);
    memset(hashes + grams, 0, 32 * sizeof(uint64_t));
    simhash_planes(hashes, grams, planes);
    for (int i = 0; i < GRAM_PLANES; i++) {
        part[0][i] = (uint64_t)_mm256_extract_epi64(planes[i], 0);
        part[1][i] = (uint64_t)_mm256_extract_epi64(planes[i], 1);
        part[2][i] = (uint64_t)_mm256_extract_epi64(planes[i], 2);
        part[3][i] = (uint64_t)_mm256_extract_epi64(planes[i], 3);
    }
    simhash_sum(part[0], part[1], GRAM_PLANES, half[0]);
    simhash_sum(part[2], part[3], GRAM_PLANES, half[1]);
    simhash_sum(half[0], half[1], GRAM_PLANES + 1, sum);
}

TARGET_AVX2 static uint64_t simhash_avx2(const uint32_t *points, uint32_t grams) {
    uint64_t sum[GRAM_PLANES + 2], out = 0, equal = UINT64_MAX;
    uint32_t ones[64] = {0};
    if (grams <= GRAM_BLOCK) {
        simhash_count(points, grams, sum);
        for (int k = GRAM_PLANES + 1; k >= 0; k--) { /* compare with half of the grams */
            uint64_t due = (grams / 2) >> k & 1 ? UINT64_MAX : 0;
            out |= equal & sum[k] & ~due;
            equal &= ~(sum[k] ^ due);
        }
        return out;
    }
    for (uint32_t g = 0; g < grams; g += GRAM_BLOCK) {
        simhash_count(points + g, grams - g < GRAM_BLOCK ? grams - g : GRAM_BLOCK, sum);
        for (int k = 0; k < GRAM_PLANES + 2; k++)
            for (int i = 0; i < 64; i++)
                ones[i] += ((uint32_t)(sum[k] >> i) & 1) << k;
    }
    for (int i = 0; i < 64; i++)
        out |= (uint64_t)(ones[i] > grams / 2) << i;
    return out;
}

TARGET_AVX512 static uint64_t simhash_avx512(const uint32_t *points, uint32_t grams) {
    const __m512i one = _mm512_set1_epi8(1);
    __m512i count = _mm512_setzero_si512();
    uint32_t ones[64] = {0};
    uint8_t counted[64];
    uint64_t out = 0;
    if (grams <= 255) {
        for (uint32_t g = 0; g < grams; g++)
            count = _mm512_mask_add_epi8(count, gram_hash(points + g), count, one);
        return _mm512_cmpgt_epu8_mask(count, _mm512_set1_epi8((char)(grams / 2)));
    }
    for (uint32_t g = 0; g < grams;) {
        uint32_t stop = grams - g > 255 ? g + 255 : grams;
        for (count = _mm512_setzero_si512(); g < stop; g++)
            count = _mm512_mask_add_epi8(count, gram_hash(points + g), count, one);
        _mm512_storeu_si512(counted, count);
        for (int i = 0; i < 64; i++)
            ones[i] += counted[i];
    }
    for (int i = 0; i < 64; i++)
        out |= (uint64_t)(ones[i] > grams / 2) << i;
    return out;
}

static inline uint64_t simhash_grams(int isa, const uint32_t *points, uint32_t grams) {
    if (isa == ISA_AVX512)
        return simhash_avx512(points, grams);
    return isa == ISA_AVX2 ? simhash_avx2(points, grams) : simhash_scalar(points, grams);
}

#endif
