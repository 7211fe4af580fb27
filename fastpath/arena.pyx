"""Own C memory: a bump allocator that is reset between batches and freed at once.

A Bump hands out pieces of a few large chunks, front to back, so that what a batch needs costs a
pointer increment each and is released by one reset. It is not thread-safe: one per worker, or
one per table that is built and then only read.
"""

from libc.stddef cimport size_t
from libc.stdint cimport SIZE_MAX, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from * nogil:
    """
    #include <malloc.h>
    #ifdef M_TRIM_THRESHOLD
    static int tune_malloc(int mapped_from, int kept) {
        return mallopt(M_MMAP_THRESHOLD, mapped_from) && mallopt(M_TRIM_THRESHOLD, kept)
            && mallopt(M_ARENA_MAX, 1);
    }
    #else
    static int tune_malloc(int mapped_from, int kept) { (void)mapped_from; (void)kept; return 0; }
    #endif
    """
    bint tune_malloc(int mapped_from, int kept)

cdef enum:
    # From here on a piece of memory is mapped for itself, and given back when freed. Above the
    # records of one partition in one fetch (kafka.max_partition_fetch_bytes); glibc's highest.
    MAPPED_FROM = 32 * 1024 * 1024
    # Freed memory that stays with the process: twice the largest fetch, as views and as copies.
    # Below what the smallest worker is given (512 MiB).
    KEPT_FREED = 128 * 1024 * 1024

    HEADER_BYTES = 32           # a Chunk rounded up, so that chunk memory starts aligned
    SLACK_BYTES = 16            # behind a chunk, so that a kernel may load past what it works on
    # Below it a chunk costs more in calls than in memory; the largest lane of one post (256 KiB
    # and its bits) fits, so only tables need larger ones.
    CHUNK_BYTES = 512 * 1024


cdef inline uint8_t* chunk_memory(Chunk* chunk) noexcept nogil:
    return <uint8_t*> chunk + HEADER_BYTES


cdef inline void enter(Bump* bump, Chunk* chunk) noexcept nogil:
    """Continue at the start of a chunk."""
    bump.current = chunk
    bump.at = chunk_memory(chunk)
    bump.left = chunk.size


cdef bint open_chunk(Bump* bump, size_t size) noexcept nogil:
    """Make a chunk with `size` free bytes the current one; false when out of memory."""
    cdef Chunk* chunk = bump.current.next if bump.current != NULL else bump.first
    cdef Chunk* previous = bump.current
    while chunk != NULL:                            # chunks kept by an earlier reset
        if chunk.size >= size:
            enter(bump, chunk)
            return True
        previous = chunk
        chunk = chunk.next
    cdef size_t usable = size if size > CHUNK_BYTES else CHUNK_BYTES
    if usable > SIZE_MAX - HEADER_BYTES - SLACK_BYTES:
        return False
    chunk = <Chunk*> malloc(HEADER_BYTES + usable + SLACK_BYTES)
    if chunk == NULL:
        return False
    chunk.next = NULL
    chunk.size = usable
    if previous == NULL:
        bump.first = chunk
    else:
        previous.next = chunk
    bump.held += usable
    enter(bump, chunk)
    return True


cdef void* bump_open(Bump* bump, size_t size) noexcept nogil:
    """Go on in another chunk and return room for `size` bytes there."""
    if size > SIZE_MAX - ALIGNMENT:
        return NULL
    if not open_chunk(bump, (size + ALIGNMENT - 1) & ~(<size_t> ALIGNMENT - 1)):
        return NULL
    return bump.at


cdef void bump_reset(Bump* bump, size_t keep) noexcept nogil:
    """Forget every allocation; keep at most `keep` bytes of chunks, the first ones."""
    cdef Chunk** link = &bump.first
    cdef Chunk* chunk
    cdef size_t kept = 0
    while link[0] != NULL:
        chunk = link[0]
        if chunk.size <= keep - kept:
            kept += chunk.size
            link = &chunk.next
        else:
            link[0] = chunk.next
            free(chunk)
    bump.held = kept
    bump.current = NULL
    bump.at = NULL
    bump.left = 0
    if bump.first != NULL:
        enter(bump, bump.first)


cdef inline size_t slab_class(size_t size) noexcept nogil:
    return (size - 1) // ALIGNMENT if size > 0 else 0


cdef void* slab_alloc(Slab* slab, size_t size) noexcept nogil:
    """Return `size` bytes that slab_free takes back, or NULL when out of memory."""
    cdef size_t of
    cdef void* piece
    if size > SLAB_LARGEST:
        piece = malloc(size)
        if piece != NULL:
            slab.used += size
        return piece
    of = slab_class(size)
    piece = slab.free[of]
    if piece != NULL:
        slab.free[of] = (<void**> piece)[0]
    else:
        piece = bump_alloc(&slab.bump, (of + 1) * ALIGNMENT)
        if piece == NULL:
            return NULL
    slab.used += (of + 1) * ALIGNMENT
    return piece


cdef void slab_free(Slab* slab, void* piece, size_t size) noexcept nogil:
    """Take a piece back for the next one of its size."""
    cdef size_t of
    if piece == NULL:
        return
    if size > SLAB_LARGEST:
        free(piece)
        slab.used -= size
        return
    of = slab_class(size)
    (<void**> piece)[0] = slab.free[of]
    slab.free[of] = piece
    slab.used -= (of + 1) * ALIGNMENT


cdef void slab_release(Slab* slab) noexcept nogil:
    """Give the chunks back."""
    bump_reset(&slab.bump, 0)
    memset(slab.free, 0, sizeof(slab.free))
    slab.used = 0


cdef class Arena:
    """Own one Bump; raw pointers from it never outlive this object or its next reset."""

    def __dealloc__(self):
        bump_reset(&self.bump, 0)

    @property
    def held_bytes(self):
        """Return the bytes of all chunks, used or not."""
        return self.bump.held

    def allocate(self, size_t size):
        """Take `size` bytes and return their address; for tests of the allocator itself."""
        cdef void* memory
        with nogil:
            memory = bump_alloc(&self.bump, size)
        if memory == NULL:
            raise MemoryError(f"no memory for {size} bytes")
        return <size_t> memory

    def reset(self, size_t keep=0):
        """Forget every allocation and keep at most `keep` bytes for the next ones."""
        with nogil:
            bump_reset(&self.bump, keep)


def keep_freed():
    """Let the process keep freed memory for the next batch; false where malloc is not glibc's.

    Otherwise each fetch of some megabytes takes new pages from the kernel, which costs more than
    copying into them: half a microsecond a post. One heap serves all threads, since what the
    client's I/O thread takes another one frees. Called by whoever makes a client, before it.
    """
    return tune_malloc(MAPPED_FROM, KEPT_FREED)
