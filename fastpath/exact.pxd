# Sets of digests: layouts and signatures for screen.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.hashes cimport SipKey


cdef struct DigestTable:
    uint64_t* slots  # entry + 1 below 32 bits, the rest of its placement above; 0: empty
    uint64_t mask
    const uint8_t* digests  # by entry
    uint32_t width  # bytes of a digest: 16 or 32
    uint32_t count
    uint32_t longest_run
    SipKey key


# Where a digest is looked for first.
cdef uint64_t placement(const DigestTable* table, const uint8_t* digest) noexcept nogil
# The entry, or -1. `placed` is the digest's placement.
cdef int64_t find_digest(
    const DigestTable* table, const uint8_t* digest, uint64_t placed
) noexcept nogil
cdef void prefetch_digest(const DigestTable* table, uint64_t placed) noexcept nogil


cdef class Digests:
    cdef uint8_t* data
    cdef Py_ssize_t count
    cdef readonly Py_ssize_t width
    cdef bytes raw(self, Py_ssize_t place)
    cdef bint same(self, Digests other)


cdef class DigestSet:
    cdef DigestTable table
    cdef Digests digests
