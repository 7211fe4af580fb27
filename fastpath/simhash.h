/* SimHash of grams: one vector add per gram, beside the scalar version of the same lines. */
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

TARGET_AVX2 static uint64_t simhash_avx2(const uint32_t *points, uint32_t grams) {
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i low = _mm256_setr_epi64x(
        0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i high = _mm256_add_epi8(low, _mm256_set1_epi8(4));
    uint32_t ones[64] = {0};
    uint8_t counted[64];
    uint64_t out = 0;
    for (uint32_t g = 0; g < grams;) {
        __m256i a = _mm256_setzero_si256(), b = a;
        uint32_t stop = grams - g > 255 ? g + 255 : grams;
        for (; g < stop; g++) {
            __m256i hash = _mm256_set1_epi64x((long long)gram_hash(points + g));
            __m256i first = _mm256_and_si256(_mm256_shuffle_epi8(hash, low), bit);
            __m256i second = _mm256_and_si256(_mm256_shuffle_epi8(hash, high), bit);
            a = _mm256_sub_epi8(a, _mm256_cmpeq_epi8(first, bit));
            b = _mm256_sub_epi8(b, _mm256_cmpeq_epi8(second, bit));
        }
        _mm256_storeu_si256((__m256i *)counted, a);
        _mm256_storeu_si256((__m256i *)(counted + 32), b);
        for (int i = 0; i < 64; i++)
            ones[i] += counted[i];
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
