/* Hamming distances to a run of hashes: VPOPCNT, POPCNT, and the scalar version of the same. */
#ifndef FASTPATH_HAMMING_H
#define FASTPATH_HAMMING_H

#include <immintrin.h>
#include <stdint.h>

#include "isa.h"

#define TARGET_VPOPCNT \
    __attribute__((target("popcnt,bmi,avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq,avx512bitalg")))

/* The level of the kernels here: AVX-512 that cannot count bits is no better than AVX2. */
static inline int hamming_level(int isa) {
    __builtin_cpu_init();
    if (isa == ISA_AVX512
        && !(__builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bitalg")))
        return ISA_AVX2;
    return isa;
}

/* --- Whole hashes of 64-bit words. ------------------------------------------------------------ */

static uint32_t distance_scalar(const uint64_t *a, const uint64_t *b, int words) {
    uint32_t distance = 0;
    for (int i = 0; i < words; i++)
        distance += (uint32_t)__builtin_popcountll(a[i] ^ b[i]);
    return distance;
}

__attribute__((target("popcnt"))) static uint32_t distance_popcnt(
    const uint64_t *a, const uint64_t *b, int words) {
    uint32_t distance = 0;
    for (int i = 0; i < words; i++)
        distance += (uint32_t)__builtin_popcountll(a[i] ^ b[i]);
    return distance;
}

static inline uint32_t distance_words(
    int level, const uint64_t *a, const uint64_t *b, int words) {
    return level == ISA_SCALAR ? distance_scalar(a, b, words) : distance_popcnt(a, b, words);
}

/* --- 64 bits: write the places whose distance is at most `radius`, return how many. ----------- */

#define NEAR64_BODY \
    uint32_t found = 0; \
    for (uint32_t i = 0; i < count; i++) { \
        out[found] = i; \
        found += __builtin_popcountll(hashes[i] ^ query) <= radius; \
    } \
    return found;

static uint32_t near64_scalar(
    const uint64_t *hashes, uint32_t count, uint64_t query, int radius, uint32_t *out) {
    NEAR64_BODY
}

__attribute__((target("popcnt"))) static uint32_t near64_popcnt(
    const uint64_t *hashes, uint32_t count, uint64_t query, int radius, uint32_t *out) {
    NEAR64_BODY
}

TARGET_VPOPCNT static uint32_t near64_avx512(
    const uint64_t *hashes, uint32_t count, uint64_t query, int radius, uint32_t *out) {
    const __m512i wanted = _mm512_set1_epi64((long long)query);
    const __m512i limit = _mm512_set1_epi64(radius);
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i += 8) {
        __mmask8 lanes = count - i >= 8 ? 0xff : (__mmask8)((1u << (count - i)) - 1);
        __m512i held = _mm512_maskz_loadu_epi64(lanes, hashes + i);
        __m512i distance = _mm512_popcnt_epi64(_mm512_xor_si512(held, wanted));
        uint32_t near = _mm512_mask_cmple_epi64_mask(lanes, distance, limit);
        for (; near != 0; near &= near - 1)
            out[found++] = i + (uint32_t)__builtin_ctz(near);
    }
    return found;
}

/* `out` has room for count + 1 places. */
static inline uint32_t near64(
    int level, const uint64_t *hashes, uint32_t count, uint64_t query, int radius,
    uint32_t *out) {
    if (level == ISA_AVX512)
        return near64_avx512(hashes, count, query, radius, out);
    if (level == ISA_AVX2)
        return near64_popcnt(hashes, count, query, radius, out);
    return near64_scalar(hashes, count, query, radius, out);
}

/* --- 16 bits: one word of each entry of a bucket. Vectors may read 62 bytes beyond the run. ---- */

#define NEAR16_BODY \
    uint32_t found = 0; \
    for (uint32_t i = 0; i < count; i++) { \
        out[found] = i; \
        found += __builtin_popcount((uint32_t)(words[i] ^ query)) <= limit; \
    } \
    return found;

static uint32_t near16_scalar(
    const uint16_t *words, uint32_t count, uint16_t query, int limit, uint32_t *out) {
    NEAR16_BODY
}

TARGET_AVX2 static uint32_t near16_avx2(
    const uint16_t *words, uint32_t count, uint16_t query, int limit, uint32_t *out) {
    const __m256i wanted = _mm256_set1_epi16((short)query);
    const __m256i above = _mm256_set1_epi16((short)limit);
    const __m256i nibble = _mm256_set1_epi8(15), one = _mm256_set1_epi8(1);
    const __m256i bits = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i += 16) {
        __m256i differ = _mm256_xor_si256(
            _mm256_loadu_si256((const __m256i *)(words + i)), wanted);
        __m256i low = _mm256_shuffle_epi8(bits, _mm256_and_si256(differ, nibble));
        __m256i high = _mm256_shuffle_epi8(
            bits, _mm256_and_si256(_mm256_srli_epi16(differ, 4), nibble));
        __m256i distance = _mm256_maddubs_epi16(_mm256_add_epi8(low, high), one);
        uint32_t far = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi16(distance, above));
        uint32_t near = _pext_u32(~far, 0x55555555u);
        if (count - i < 16)
            near &= (1u << (count - i)) - 1;
        for (; near != 0; near &= near - 1)
            out[found++] = i + (uint32_t)__builtin_ctz(near);
    }
    return found;
}

TARGET_VPOPCNT static uint32_t near16_avx512(
    const uint16_t *words, uint32_t count, uint16_t query, int limit, uint32_t *out) {
    const __m512i wanted = _mm512_set1_epi16((short)query);
    const __m512i limits = _mm512_set1_epi16((short)limit);
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i += 32) {
        __m512i differ = _mm512_xor_si512(_mm512_loadu_si512(words + i), wanted);
        uint32_t near = _mm512_cmple_epi16_mask(_mm512_popcnt_epi16(differ), limits);
        if (count - i < 32)
            near &= (1u << (count - i)) - 1;
        for (; near != 0; near &= near - 1)
            out[found++] = i + (uint32_t)__builtin_ctz(near);
    }
    return found;
}

/* Write the places whose word differs from `query` in at most `limit` bits, return how many;
   `out` has room for count + 1. */
static inline uint32_t near16(
    int level, const uint16_t *words, uint32_t count, uint16_t query, int limit, uint32_t *out) {
    if (level == ISA_AVX512)
        return near16_avx512(words, count, query, limit, out);
    if (level == ISA_AVX2)
        return near16_avx2(words, count, query, limit, out);
    return near16_scalar(words, count, query, limit, out);
}

/* --- 256 bits, all of a run, up to eight queries per pass. ------------------------------------ */

/* Hashes lie in blocks of eight: word 0 of all eight, word 1, 2, 3. Queries lie one after another.
   Write (query << 32 | place) in order of place, return how many; at most `room`, which holds at
   least 64: the walk stops where a block might not fit any more and says in *at where to go on. */
#define SCAN256_BODY \
    uint32_t found = 0, at = *from; \
    for (; at < count && found + 64 <= room; at += 8) { \
        const uint64_t *block = blocks + 4 * (uint64_t)at; \
        for (uint32_t q = 0; q < queries; q++) \
            for (uint32_t lane = 0; lane < 8 && at + lane < count; lane++) { \
                const uint64_t *w = query + 4 * q; \
                int distance = __builtin_popcountll(block[lane] ^ w[0]) \
                    + __builtin_popcountll(block[8 + lane] ^ w[1]); \
                if (distance > radius) \
                    continue; \
                distance += __builtin_popcountll(block[16 + lane] ^ w[2]) \
                    + __builtin_popcountll(block[24 + lane] ^ w[3]); \
                if (distance <= radius) \
                    out[found++] = (uint64_t)q << 32 | (at + lane); \
            } \
    } \
    *from = at; \
    return found;

static uint32_t scan256_scalar(
    const uint64_t *blocks, uint32_t count, const uint64_t *query, uint32_t queries, int radius,
    uint32_t *from, uint64_t *out, uint32_t room) {
    SCAN256_BODY
}

__attribute__((target("popcnt"))) static uint32_t scan256_popcnt(
    const uint64_t *blocks, uint32_t count, const uint64_t *query, uint32_t queries, int radius,
    uint32_t *from, uint64_t *out, uint32_t room) {
    SCAN256_BODY
}

TARGET_VPOPCNT static uint32_t scan256_avx512(
    const uint64_t *blocks, uint32_t count, const uint64_t *query, uint32_t queries, int radius,
    uint32_t *from, uint64_t *out, uint32_t room) {
    const __m512i limit = _mm512_set1_epi64(radius);
    uint32_t found = 0, at = *from;
    for (; at < count && found + 64 <= room; at += 8) {
        const uint64_t *block = blocks + 4 * (uint64_t)at;
        __mmask8 lanes = count - at >= 8 ? 0xff : (__mmask8)((1u << (count - at)) - 1);
        __m512i w0 = _mm512_loadu_si512(block), w1 = _mm512_loadu_si512(block + 8);
        __m512i w2 = _mm512_loadu_si512(block + 16), w3 = _mm512_loadu_si512(block + 24);
        for (uint32_t q = 0; q < queries; q++) {
            const long long *w = (const long long *)query + 4 * q;
            __m512i distance = _mm512_add_epi64(
                _mm512_popcnt_epi64(_mm512_xor_si512(w0, _mm512_set1_epi64(w[0]))),
                _mm512_popcnt_epi64(_mm512_xor_si512(w1, _mm512_set1_epi64(w[1]))));
            uint32_t near = _mm512_mask_cmple_epi64_mask(lanes, distance, limit);
            if (near == 0)
                continue;
            distance = _mm512_add_epi64(
                distance,
                _mm512_add_epi64(
                    _mm512_popcnt_epi64(_mm512_xor_si512(w2, _mm512_set1_epi64(w[2]))),
                    _mm512_popcnt_epi64(_mm512_xor_si512(w3, _mm512_set1_epi64(w[3])))));
            near = _mm512_mask_cmple_epi64_mask((__mmask8)near, distance, limit);
            for (; near != 0; near &= near - 1)
                out[found++] = (uint64_t)q << 32 | (at + (uint32_t)__builtin_ctz(near));
        }
    }
    *from = at;
    return found;
}

static inline uint32_t scan256(
    int level, const uint64_t *blocks, uint32_t count, const uint64_t *query, uint32_t queries,
    int radius, uint32_t *from, uint64_t *out, uint32_t room) {
    if (level == ISA_AVX512)
        return scan256_avx512(blocks, count, query, queries, radius, from, out, room);
    if (level == ISA_AVX2)
        return scan256_popcnt(blocks, count, query, queries, radius, from, out, room);
    return scan256_scalar(blocks, count, query, queries, radius, from, out, room);
}

#endif
