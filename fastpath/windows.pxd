# Account windows of one input partition: layout and signatures for screen.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.hashes cimport Sip128, SipKey

cdef enum:
    WINDOW_TICKS = 8
    WINDOW_DISTINCT = 256

    COUNT_POSTS = 0
    COUNT_LINKS = 1
    COUNT_TARGETS = 2
    COUNT_REPEATS = 3

    SEEN_LATE = 1  # bits that count_post returns
    SEEN_DISTINCT_FULL = 2
    SEEN_TABLE_FULL = 4


cdef struct DistinctSet:  # values seen in the ticks that are kept
    uint32_t count
    uint32_t capacity
    Sip128* values
    uint8_t* ticks  # per value: bit i is set where tick newest - i holds it


cdef struct WindowSlot:  # 64 bytes, one cache line
    Sip128 key
    int64_t newest  # tick; NEVER where nothing was counted
    DistinctSet* distinct  # NULL until a value is remembered
    uint32_t[8] ring  # ring[tick & 7], ticks newest-7 .. newest


cdef struct WindowKind:
    int count_of  # COUNT_*
    int64_t tick_ms


cdef struct WindowPost:  # what one record adds
    Sip128 account
    int64_t time
    uint32_t links
    uint32_t targets
    Sip128[2] target
    bint has_text
    Sip128 digest


cdef struct WindowTable:
    WindowKind* kinds
    size_t windows  # slots of one account, side by side
    WindowSlot* slots  # capacity x windows
    uint64_t mask  # capacity - 1
    uint64_t held  # accounts in the table, retired ones included
    uint64_t max_keys
    int64_t next_retirement  # no account retires before stream time reaches this
    int64_t stream_time
    SipKey placement
    bint broken  # memory ran out


# Count one create or edit and write `windows` values; returns SEEN_* bits.
cdef int count_post(WindowTable* table, const WindowPost* post, uint64_t* values) noexcept nogil


cdef class AccountWindows:
    cdef WindowTable table
    cdef readonly int partition
