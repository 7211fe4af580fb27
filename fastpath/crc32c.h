/* CRC-32C (RFC 3720) with the processor's own instruction, three streams side by side.
 *
 * The instruction takes 3 cycles and starts every cycle, so three independent streams keep it
 * busy (Intel, "Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction", 2011). A
 * stream is moved over n bytes by a carry-less product with x^(8n-33) mod P, reduced by the
 * same instruction. The scalar version of the same checksum is in checksum.pyx.
 */
#ifndef WEIR_CRC32C_H
#define WEIR_CRC32C_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CRC32C_LONG 2048 /* bytes of one stream; three of them are one step */
#define CRC32C_SHORT 128

typedef struct {
    uint32_t long_once, long_twice, short_once, short_twice;
} crc32c_shifts;

/* x^n mod P, bit-reflected. */
static inline uint32_t crc32c_power(uint32_t n) {
    uint32_t value = 0x80000000u;
    while (n--) value = (value >> 1) ^ (value & 1 ? 0x82F63B78u : 0);
    return value;
}

static inline crc32c_shifts crc32c_make_shifts(void) {
    crc32c_shifts shifts = {
        crc32c_power(8 * CRC32C_LONG - 33), crc32c_power(16 * CRC32C_LONG - 33),
        crc32c_power(8 * CRC32C_SHORT - 33), crc32c_power(16 * CRC32C_SHORT - 33)};
    return shifts;
}

#if defined(__x86_64__)
#include <immintrin.h>

static inline int crc32c_has_hardware(void) {
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

static inline uint64_t crc32c_load(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

__attribute__((target("sse4.2,pclmul"))) static inline uint32_t crc32c_join(
    uint32_t first, uint32_t second, uint32_t third, uint32_t twice, uint32_t once) {
    __m128i far_ = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)first),
                                        _mm_cvtsi32_si128((int)twice), 0);
    __m128i near_ = _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)second),
                                         _mm_cvtsi32_si128((int)once), 0);
    uint64_t moved = (uint64_t)_mm_cvtsi128_si64(_mm_xor_si128(far_, near_));
    return (uint32_t)_mm_crc32_u64(0, moved) ^ third;
}

__attribute__((target("sse4.2,pclmul"))) static inline uint32_t crc32c_step(
    uint32_t crc, const uint8_t *data, size_t stream, uint32_t twice, uint32_t once) {
    uint64_t first = crc, second = 0, third = 0;
    for (size_t i = 0; i < stream; i += 8) {
        first = _mm_crc32_u64(first, crc32c_load(data + i));
        second = _mm_crc32_u64(second, crc32c_load(data + stream + i));
        third = _mm_crc32_u64(third, crc32c_load(data + 2 * stream + i));
    }
    return crc32c_join((uint32_t)first, (uint32_t)second, (uint32_t)third, twice, once);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_hardware(
    uint32_t crc, const uint8_t *data, size_t size, const crc32c_shifts *shifts) {
    crc = ~crc;
    for (; size >= 3 * CRC32C_LONG; data += 3 * CRC32C_LONG, size -= 3 * CRC32C_LONG)
        crc = crc32c_step(crc, data, CRC32C_LONG, shifts->long_twice, shifts->long_once);
    for (; size >= 3 * CRC32C_SHORT; data += 3 * CRC32C_SHORT, size -= 3 * CRC32C_SHORT)
        crc = crc32c_step(crc, data, CRC32C_SHORT, shifts->short_twice, shifts->short_once);
    for (; size >= 8; data += 8, size -= 8)
        crc = (uint32_t)_mm_crc32_u64(crc, crc32c_load(data));
    for (; size > 0; data++, size--) crc = _mm_crc32_u8(crc, *data);
    return ~crc;
}

#else

static inline int crc32c_has_hardware(void) { return 0; }

static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *data, size_t size,
                                const crc32c_shifts *shifts) {
    (void)data, (void)size, (void)shifts;
    return crc; /* never called */
}

#endif
#endif
