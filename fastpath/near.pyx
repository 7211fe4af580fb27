"""Find the entries of a list within a Hamming distance: SimHash-64 and PDQ-256.

Multi-index hashing (Norouzi, Punjani and Fleet 2012) over the 16-bit words of a hash: where two
hashes differ in at most `radius` bits, one word differs in at most radius / words, and every
entry stands in one bucket per word. Read as a ring, some such word even goes on so: it and the
next word differ in at most 2 * radius / words bits together (the pigeonring principle, Qin and
Xiao 2018). So a bucket holds the next word of each entry beside its number, and of a hundred
entries in a bucket about one is ever looked at. `fastpath.reference.near` is the definition.
"""

from array import array

from libc.stdlib cimport calloc, free, qsort, realloc
from libc.string cimport memcpy, memset

from fastpath.isa cimport isa_level

from fastpath import distances
from fastpath.distances import NearFound
from fastpath.errors import BuildError

cdef extern from "hamming.h" nogil:
    int hamming_level(int isa)
    uint32_t near64(
        int level, const uint64_t* hashes, uint32_t count, uint64_t query, int radius,
        uint32_t* out,
    )
    uint32_t near16(
        int level, const uint16_t* words, uint32_t count, uint16_t query, int limit, uint32_t* out
    )
    uint32_t scan256(
        int level, const uint64_t* blocks, uint32_t count, const uint64_t* query,
        uint32_t queries, int radius, uint32_t* begin, uint64_t* out, uint32_t room,
    )
    uint32_t distance_words(int level, const uint64_t* a, const uint64_t* b, int words)

cdef extern from "pages.h" nogil:
    void* pages_alloc(size_t count, size_t size)

cdef extern from *:
    uint32_t __builtin_popcount(unsigned int value) nogil
    uint32_t __builtin_popcountll(unsigned long long value) nogil
    void __builtin_prefetch(const void* address) nogil

cdef enum:
    VALUES = 65536  # of a word
    ROW = 65537  # starts of one word
    WORD_BITS = 16
    SIMHASH_WORDS = 4
    PDQ_WORDS = 16
    PDQ_BYTES = 32
    RUN_SIMHASH = 4096  # distances.MAX_RUN_SIMHASH
    RUN_PDQ = 1024
    BRUTE = 16384
    PENDING_SIMHASH = 4096
    PENDING_PDQ = 65536
    RUNS = 544  # of two PDQ queries: 16 words, 17 values each
    MAX_LAG = 16  # queries whose buckets are on their way
    OVERREAD = 32  # words that near16 may read behind a run
    SCRATCH = 4104  # uint64: places of a run and one more, hits of a pass
    PASS = 8  # queries that share one walk over all entries
    SCAN_ROOM = 512  # hits of one call of scan256

cdef int LEVEL = hamming_level(isa_level())

if (
    distances.MAX_RUN_SIMHASH, distances.MAX_RUN_PDQ, distances.BRUTE_PDQS,
    distances.MAX_PENDING_SIMHASH, distances.MAX_PENDING_PDQ,
) != (RUN_SIMHASH, RUN_PDQ, BRUTE, PENDING_SIMHASH, PENDING_PDQ):
    raise ImportError("fastpath.near was compiled with other limits than fastpath.distances has")


include "near_hits.pxi"
include "near_words.pxi"


cdef void free_table(NearTable* table) noexcept nogil:
    free_words(&table.index)
    free(table.hashes)
    free(table.blocks)


cdef class NearIndex:
    """Hold what indexes of both kinds have: a table, and what can be asked of it."""

    def __dealloc__(self):
        free_table(&self.table)

    @property
    def radius(self):
        """Return the greatest distance of a hit."""
        return self.table.radius

    @property
    def pending(self):
        """Return the entries added since the index was built."""
        return self.table.pending

    @property
    def longest_run(self):
        """Return the entries of the fullest bucket before its cap; 0 without an index."""
        return self.table.index.longest_run

    @property
    def capped_runs(self):
        """Return the buckets that leave entries out."""
        return self.table.index.capped_runs


include "near_simhashes.pxi"
include "near_pdqs.pxi"
