# Account windows of one input partition: layout and signatures for screen.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastpath.changelog cimport EntryBuffer
from fastpath.hashes cimport Sip128, SipKey

cdef enum:
    WINDOW_TICKS = 8
    WINDOW_DISTINCT = 256
    WINDOW_SLICES = 256

    COUNT_POSTS = 0
    COUNT_LINKS = 1
    COUNT_TARGETS = 2
    COUNT_REPEATS = 3

    SEEN_LATE = 1  # bits that count_post returns
    SEEN_DISTINCT_FULL = 2
    SEEN_TABLE_FULL = 4


cdef extern from "window_slot.h" nogil:  # which says what each member is
    enum:
        HOLDS_NONE
        HOLDS_ONE
        HOLDS_MANY

    ctypedef struct DistinctSet:
        uint32_t count
        uint32_t capacity

    ctypedef union WindowRing:
        uint8_t[8] narrow
        uint32_t* wide

    ctypedef union WindowValues:
        uint64_t one
        DistinctSet* many

    ctypedef struct WindowSlot:
        int64_t newest
        uint8_t ticks
        uint8_t holds
        uint8_t wide
        WindowRing ring
        WindowValues values

    const WindowSlot EMPTY_SLOT


cdef struct WindowRow:  # 32 bytes, followed by one WindowSlot per kind
    Sip128 key
    uint32_t[2] partitioners  # murmur2 and CRC-32 of the account id; [0] chains free rows
    uint32_t frozen  # place + 1 in WindowTable.frozen, 0 for none
    uint8_t taken
    uint8_t changed  # listed in WindowTable.changed
    uint8_t[2] unused


cdef struct WindowKind:
    int count_of  # COUNT_*
    int64_t tick_ms
    uint64_t code  # how an after-image names it, `own` left out
    int64_t tick  # of the last record that was counted, with its first ms: most posts share it
    int64_t tick_start


cdef struct FrozenWindow:  # a window that this table's bundle lacks: it stands still and retires
    WindowKind kind
    WindowSlot slot


cdef struct FrozenWindows:
    uint32_t count
    FrozenWindow* windows  # NULL: a free place, `count` chains to the next


cdef struct IndexSlot:
    uint32_t tag  # low half of the placement hash
    uint32_t row  # + 1; 0: empty


cdef struct IndexPart:  # the rows of one slice
    IndexSlot* slots
    uint32_t mask
    uint32_t held


cdef struct Retirement:
    int64_t due  # no later than the stream time at which the row retires
    uint32_t row


cdef struct WindowPost:  # what one record adds
    Sip128 account
    uint32_t tag  # of the account, by tag_account
    const uint8_t* id  # of the account, read only when it is new
    size_t id_size
    int64_t time
    uint32_t links
    uint32_t targets
    uint64_t[2] target
    bint has_text
    uint64_t digest


cdef struct WindowTable:
    WindowKind* kinds  # each pair of (count, length) once
    size_t windows  # slots of one account
    size_t* places  # per window of the specification: its kind
    size_t specified
    size_t row_bytes
    uint8_t** pages  # rows never move
    uint32_t page_count
    uint32_t rows  # handed out so far, free ones included
    uint32_t free_row  # + 1, 0 for none
    uint64_t held  # accounts in the table, retired ones included
    uint64_t max_keys
    uint64_t outside_bytes  # of what did not fit in slots: values and counts
    IndexPart[WINDOW_SLICES] parts
    Retirement* heap  # one per held account, the earliest due first
    uint32_t* heap_places  # per row
    uint32_t heap_capacity
    FrozenWindows* frozen
    uint32_t frozen_count
    uint32_t free_frozen  # + 1, 0 for none
    uint32_t* changed  # rows changed since the last drain
    size_t changed_count
    size_t changed_capacity
    EntryBuffer deleted  # deletes since the last drain
    int64_t stream_time
    SipKey placement
    bint broken  # memory ran out


# Where an account stands: WindowPost.tag.
cdef uint32_t tag_account(const WindowTable* table, const Sip128* account) noexcept nogil
# Send for what counting will read: the index slot, some posts later the row that it names, some
# posts later the distinct values that the row names. The row of no post is NULL, and a row stays
# readable as long as the table, whoever owns it by then.
cdef void fetch_slot(
    const WindowTable* table, const Sip128* account, uint32_t tag
) noexcept nogil
cdef const WindowRow* fetch_row(
    const WindowTable* table, const Sip128* account, uint32_t tag
) noexcept nogil
cdef void fetch_values(const WindowTable* table, const WindowRow* row) noexcept nogil

# Count one create or edit and write one value per specified window; returns SEEN_* bits.
cdef int count_post(WindowTable* table, const WindowPost* post, uint64_t* values) noexcept nogil


cdef class AccountWindows:
    cdef WindowTable table
    cdef readonly int partition
