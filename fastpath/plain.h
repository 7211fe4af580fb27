/* ASCII of a folded lane that needs no thought, since nothing begins there that a placeholder
   could stand for. Where the walk stops, the general code looks what it is. */
#ifndef FASTPATH_PLAIN_H
#define FASTPATH_PLAIN_H

#include <stdint.h>

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
static inline uint32_t plain_end(const uint8_t *data, uint32_t size, uint32_t at) {
    while (at + 1 < size && !(plain_bits[data[at]] & (plain_bits[data[at + 1]] >> 4)))
        at++;
    return at;
}

/* Copy the letters of data[at..end), which is ASCII; return how many. Writes one byte behind. */
static inline uint32_t
plain_letters_of(const uint8_t *data, uint32_t at, uint32_t end, uint8_t *out) {
    uint32_t n = 0;
    for (; at < end; at++) {
        out[n] = data[at];
        n += plain_letters[data[at]];
    }
    return n;
}

/* Widen data[at..end), which is ASCII, to code points. */
static inline void plain_points(const uint8_t *data, uint32_t at, uint32_t end, uint32_t *out) {
    for (; at < end; at++)
        *out++ = data[at];
}

#endif
