/* One window of one account, in 24 bytes: what most accounts have counted fits in them. */
#ifndef FASTPATH_WINDOW_SLOT_H
#define FASTPATH_WINDOW_SLOT_H

#include <stdint.h>

typedef struct { /* distinct values in order of first sight */
    uint32_t count;
    uint32_t capacity; /* so many values (u64), then as many tick bytes, lie behind this header */
} DistinctSet;

typedef union { /* by tick & 7, ticks newest - 7 .. newest */
    uint8_t narrow[8];
    uint32_t *wide; /* eight of them, once one has passed a byte */
} WindowRing;

typedef union {
    uint64_t one;
    DistinctSet *many;
} WindowValues;

enum { HOLDS_NONE = 0, HOLDS_ONE = 1, HOLDS_MANY = 2 };

typedef struct {
    int64_t newest : 48; /* tick; NEVER (-1) where nothing was counted */
    uint8_t ticks;       /* of values.one: bit i is set where tick newest - i holds it */
    uint8_t holds : 2;   /* HOLDS_*: which member of `values` is there */
    uint8_t wide : 1;    /* which member of `ring` is */
    WindowRing ring;
    WindowValues values;
} WindowSlot;

/* Six windows and the head of their row are three lines of the cache. */
_Static_assert(sizeof(WindowSlot) == 24, "a window slot has 24 bytes");

static const WindowSlot EMPTY_SLOT = {.newest = -1};

#endif
