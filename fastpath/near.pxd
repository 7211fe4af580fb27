# Indexes of hashes by Hamming distance: layouts and signatures for screen.
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef struct NearHit:
    uint32_t query  # place in the call
    uint32_t entry
    uint32_t distance


cdef struct NearHits:  # what a call finds, by query, then entry; all zero before the first call
    NearHit* hits
    size_t count
    size_t room
    uint8_t* capped  # per query of the call: a bucket that it read had left entries out
    size_t queries  # room of `capped`
    uint64_t* scratch  # SCRATCH of near.pyx
    uint64_t* candidates  # places in WordIndex.numbers, their words above 32 bits
    size_t candidate_count
    size_t candidate_room


cdef void free_hits(NearHits* hits) noexcept nogil


cdef struct WordIndex:  # entries by the value of each of their 16-bit words
    uint32_t words
    uint32_t flips  # bits in which a probe may differ from the query's word: 0 or 1
    uint32_t pair_limit  # bits in which that word and the next may differ together
    uint32_t radius
    uint32_t count
    const uint64_t* hashes  # by entry, words / 4 each
    uint32_t* starts  # words x 65,537, into the word's part of `numbers` and `nexts`
    uint32_t* numbers  # words x count
    uint16_t* nexts  # words x count: the entry's next word
    uint64_t* full  # bitset, words x 65,536: the bucket left entries out; NULL where none did
    uint16_t* dropped  # per entry: bit w where the bucket of word w left it out; or NULL
    uint32_t longest_run  # entries of the fullest bucket, those left out included
    uint32_t capped_runs


cdef struct Run:  # one bucket of a query
    uint32_t start  # in the word's part of the index
    uint32_t size


cdef struct NearTable:
    WordIndex index  # of PDQ: empty up to distances.BRUTE_PDQS entries
    uint64_t* hashes  # of the entries in `index`; of SimHash the pending ones behind them
    uint64_t* blocks  # PDQ: the other entries, in blocks of eight (hamming.h)
    uint32_t block_room
    uint32_t blocked  # entries in `blocks`
    uint32_t radius
    uint32_t pending


# Fill in the hits of a batch, by query, then entry; 0, or -1 without memory.
cdef int find_simhashes(
    const NearTable* table, const uint64_t* queries, size_t count, NearHits* out
) noexcept nogil
cdef int find_pdqs(  # four words each, as their bytes lie in memory
    const NearTable* table, const uint64_t* queries, size_t count, NearHits* out
) noexcept nogil


cdef class NearIndex:
    cdef NearTable table


cdef class SimHashIndex(NearIndex):
    pass


cdef class PdqIndex(NearIndex):
    pass
