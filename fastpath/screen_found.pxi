# What the screen finds out about a record of a chunk, and the values of its fields. Included by
# screen.pyx.

cdef enum:
    FLAG_LATE = 1  # bits by place in FLAGS
    FLAG_MATCHES_TRUNCATED = 2
    FLAG_DISTINCT_FULL = 4
    FLAG_TABLE_FULL = 8
    FLAG_MARKS_DROPPED = 16
    FLAG_DUPLICATE_KEY = 32
    FLAG_CLOCK_SKEW = 64
    FLAG_URLS_TRUNCATED = 128
    FLAG_MEDIA_TRUNCATED = 256
    FLAG_URL_USERINFO = 512
    FLAG_COUNT = 10

    STATUS_POST = 0
    STATUS_DELETE = 1
    STATUS_SLOW = 3  # waits for slow_path
    STATUS_REJECTED = 4  # its row is made
    STATUS_NO_TIME = 5  # rejected: created_at is due
    STATUS_KEY_MISMATCH = 6

if len(FLAGS) != FLAG_COUNT:
    raise ImportError("fastpath.screen was compiled with other flags than fastpath.spec has")


cdef struct HashHit_:
    uint32_t list  # among the hash lists
    uint32_t entry
    uint32_t distance


cdef struct Found:  # what the screen found in one record of a chunk
    int status  # STATUS_*
    bint duplicate_key
    uint32_t flags
    bint gated  # any gate holds
    int64_t time  # origin time
    Sip128 account  # identity
    uint32_t tag  # where its windows stand
    const WindowRow* row  # what is on its way of them, NULL for nothing
    uint64_t* gates  # bitset, NULL without gates
    uint64_t* windows
    uint64_t* lists  # matches and hits per list
    uint64_t* distances  # per hash list: its nearest hit
    HashHit_* hits  # by list, then entry
    uint32_t hit_count
    HashHit_* near  # hits by distance alone, to be joined with the others
    size_t near_count
    uint64_t simhash  # 0 where the text is too short
    uint32_t place  # among the chunk's texts
    Lane* folded
    Sip128* urls  # identities of the distinct canonical URLs, as fingerprints
    uint32_t url_count
    uint8_t[16] digest


cdef int by_list_and_entry(const void* a, const void* b) noexcept nogil:
    cdef const HashHit_* first = <const HashHit_*>a
    cdef const HashHit_* second = <const HashHit_*>b
    if first.list != second.list:
        return -1 if first.list < second.list else 1
    if first.entry != second.entry:
        return -1 if first.entry < second.entry else 1
    return 0
