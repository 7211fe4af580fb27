"""Own C memory: a bump allocator that is reset between batches and freed at once."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t


cdef struct Chunk:
    Chunk* next
    size_t size                 # usable bytes behind this header


cdef struct Bump:
    Chunk* first                # chunks in the order in which they are used
    Chunk* current              # the chunk being filled, NULL before the first allocation
    uint8_t* at                 # first free byte of `current`, always 16-byte aligned
    size_t left                 # free bytes of `current`, a multiple of 16
    size_t held                 # usable bytes of all chunks


cdef enum:
    ALIGNMENT = 16


# Go on in another chunk and return room for `size` bytes there; NULL when out of memory.
cdef void* bump_open(Bump* bump, size_t size) noexcept nogil


# The next three are here so that others inline them: a post takes some forty pieces.


cdef inline void* bump_reserve(Bump* bump, size_t size) noexcept nogil:
    """Return room for `size` bytes without taking it, or NULL when the machine has no more.

    Write at most so many, then bump_commit what was used. Any other call on the same Bump in
    between ends the reservation.
    """
    if size > bump.left or bump.current == NULL:
        return bump_open(bump, size)
    return bump.at


cdef inline void bump_commit(Bump* bump, size_t used) noexcept nogil:
    """Take the first `used` bytes of the last reservation."""
    used = (used + ALIGNMENT - 1) & ~(<size_t> ALIGNMENT - 1)
    bump.at += used
    bump.left -= used


cdef inline void* bump_alloc(Bump* bump, size_t size) noexcept nogil:
    """Return 16-byte aligned memory until the next reset, or NULL when the machine has no more.

    16 bytes behind it may be read, whatever they hold.
    """
    cdef void* memory = bump_reserve(bump, size)
    if memory != NULL:
        bump_commit(bump, size)
    return memory


# Forget every allocation; keep at most `keep` bytes of chunks for the next batch.
cdef void bump_reset(Bump* bump, size_t keep) noexcept nogil


# Pieces of up to SLAB_LARGEST bytes that come and go: free ones are kept by size, in steps of 16
# bytes, and handed out again. Zero-initialise; slab_release gives everything back at once.
cdef enum:
    SLAB_CLASSES = 64
    SLAB_LARGEST = 1024


cdef struct Slab:
    Bump bump
    (void*)[SLAB_CLASSES] free  # by class, linked through their first bytes
    size_t used               # bytes handed out


# 16-byte aligned, or NULL when out of memory; above SLAB_LARGEST straight from the system.
cdef void* slab_alloc(Slab* slab, size_t size) noexcept nogil
# `size` must be the one asked for.
cdef void slab_free(Slab* slab, void* piece, size_t size) noexcept nogil
# Forget every piece of up to SLAB_LARGEST bytes; larger ones must have been freed.
cdef void slab_release(Slab* slab) noexcept nogil


cdef class Arena:
    """Own one Bump; raw pointers from it never outlive this object or its next reset."""

    cdef Bump bump
