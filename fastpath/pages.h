/* Memory of large tables: whole huge pages, which keep random reads out of the page walker. */
#ifndef FASTPATH_PAGES_H
#define FASTPATH_PAGES_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Free with free(); NULL when the machine has no more, or for count * size beyond memory. */
static void *pages_alloc(size_t count, size_t size) {
    const size_t huge = (size_t)2 << 20;
    size_t bytes;
    void *memory;
    if (size != 0 && count > (SIZE_MAX - huge) / size)
        return NULL;
    bytes = count * size;
    if (bytes < 2 * huge)
        return aligned_alloc(64, (bytes + 64) & ~(size_t)63);
    bytes = (bytes + huge - 1) & ~(huge - 1);
    memory = aligned_alloc(huge, bytes);
    if (memory != NULL)
        madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

#endif
