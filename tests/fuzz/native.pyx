"""Fuzz the entry points that need no Python, from C: some ten thousand executions a second.

`fuzz(target, options)` hands one of the callbacks below to libFuzzer, whose runtime the sanitized
build is started with. What a callback finds wrong ends the process by `abort`, which libFuzzer
reports with the input. Each judges without the twin, by what must hold of any input: what is found
lies inside what was given, is the same on every level of vector instructions and whatever stands
beside it in a batch, and is what a plain loop finds. fuzz_*.py compare with the twin.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport abort, free, malloc
from libc.string cimport memchr, memcmp, memcpy

from fastpath.arena cimport Arena, Bump, bump_reset
from fastpath.changelog cimport (
    ENTRY_FOUND, EntryBuffer, EntryReader, EntryView, append_entry, free_entries, next_entry,
)
from fastpath.hashes cimport TextSpan, UrlView, canonical_url, next_url
from fastpath.keywords cimport (
    Keywords, KeywordTable, MatchRow, PostMatches, PostText, Scanner, ScanState, make_lanes, scan,
)
from fastpath.evasion cimport Evasions, measure_evasion
from fastpath.near cimport NearHits, NearTable, PdqIndex, SimHashIndex, find_pdqs, find_simhashes
from fastpath.posts cimport (
    POST_MEDIA, POST_URLS, READ_OK, Post, PostReader, ScoreNames, Text, is_utf8,
)
from fastpath.records cimport BatchView, RecordRef
from fastpath.simhash cimport simhash_lane
from fastpath.text cimport (
    Lane, LaneMap, Normalised, count_code_points, fold, map_folded_lane, map_raw_lane,
    map_squeezed_lane, normalise, raw_lane, skeleton_lane, squeezed_lane,
)

from fastpath import ISA
from fastpath.batches import RecordBatches
from fastpath.field_maps import PRESETS, load_field_map
from fastpath.isa import LEVELS
from fastpath.spec import KeywordList

ctypedef int (*Callback)(const uint8_t*, size_t) noexcept nogil

cdef extern from *:
    """
    int LLVMFuzzerRunDriver(int*, char***, int (*)(const unsigned char*, size_t));
    """
    int LLVMFuzzerRunDriver(int* count, char*** arguments, Callback callback) nogil
    int __builtin_popcountll(unsigned long long word) nogil

cdef enum:
    KEPT = 1 << 20  # bytes of an arena from one execution to the next

cdef Arena ARENA = Arena()


cdef void must(bint held, const char* what) noexcept nogil:
    """End the process where something does not hold."""
    if not held:
        fprintf(stderr, b"does not hold: %s\n", what)
        abort()


cdef uint64_t mixed(uint64_t digest, const uint8_t* data, size_t size) noexcept nogil:
    """Read every byte into a running digest (FNV-1a), and how many there are."""
    cdef size_t i
    must(size < <size_t>1 << 32, b"a size below 4 GiB")
    digest = (digest ^ size) * <uint64_t>0x100000001B3
    for i in range(size):
        digest = (digest ^ data[i]) * <uint64_t>0x100000001B3
    return digest


include "native_text.pxi"
include "native_posts.pxi"
include "native_records.pxi"
include "native_near.pxi"


cdef Callback callback_of(str target) except *:
    if target == "urls":
        return fuzz_urls
    if target == "lanes":
        return fuzz_lanes
    if target == "keywords":
        return fuzz_keywords
    if target == "json":
        return fuzz_json
    if target == "batches":
        return fuzz_batches
    if target == "changelog":
        return fuzz_changelog
    if target == "near":
        return fuzz_near
    raise ValueError(target)


def fuzz(str target not None, list line not None):
    """Run a target under libFuzzer; `line` is its command line. Ends the process."""
    cdef Callback callback = callback_of(target)
    cdef list held = [argument.encode() for argument in line]
    cdef int count = <int>len(held)
    cdef char** arguments = <char**>malloc((count + 1) * sizeof(char*))
    cdef int i, result
    for i in range(count):
        arguments[i] = <bytes>held[i]
    arguments[count] = NULL
    with nogil:
        result = LLVMFuzzerRunDriver(&count, &arguments, callback)
    raise SystemExit(result)
