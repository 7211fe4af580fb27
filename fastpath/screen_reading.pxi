# From the bytes of records to accepted posts: the strict reader, slow_path for what it leaves, then
# the key and the time that are due. Included by screen.pyx.

cdef int read_strictly(Screen screen, const RecordRef* refs, size_t count) noexcept nogil:
    """Read every record that the strict reader is sure of; others stay STATUS_SLOW."""
    cdef size_t i
    cdef int status
    for i in range(count):
        screen.found[i].status = STATUS_SLOW
        screen.found[i].duplicate_key = False
        status = READ_SYNTAX if refs[i].value_size < 0 else READ_SIZE
        if 0 <= refs[i].value_size <= RECORD_BYTES:
            status = screen.reader.read(
                &screen.arena.bump, &screen.gates.scores, refs[i].value,
                <size_t>refs[i].value_size, False, &screen.posts[i],
            )
        if status == READ_NO_MEMORY:
            return status
        if status == READ_OK:
            screen.found[i].status = STATUS_POST
        else:
            screen.counts[COUNT_SLOW] += 1
            screen.counts[COUNT_SLOW_CAUSES + status - 1] += 1
    return READ_OK


cdef object read_slow(Screen screen, const RecordRef* refs, size_t count, dict slow):
    """Hand what is left to slow_path; its canonical JSON is read like any other post."""
    cdef size_t i
    cdef bytes data
    cdef int status
    for i in range(count):
        if screen.found[i].status != STATUS_SLOW:
            continue
        if refs[i].value_size < 0:
            read = Rejected("json_invalid", "document: a null value")
        else:
            read = canonicalize(
                PyBytes_FromStringAndSize(
                    <const char*>refs[i].value, <Py_ssize_t>refs[i].value_size
                ),
                screen.field_map,
            )
        slow[i] = read
        if isinstance(read, Rejected):
            screen.found[i].status = STATUS_REJECTED
            continue
        data = read.data
        status = screen.canonical_reader.read(
            &screen.arena.bump, &screen.gates.scores, <const uint8_t*>PyBytes_AS_STRING(data),
            <size_t>PyBytes_GET_SIZE(data), True, &screen.posts[i],
        )
        if status == READ_NO_MEMORY:
            raise MemoryError
        screen.found[i].status = STATUS_POST
        screen.found[i].duplicate_key = read.duplicate_key
        if status != READ_OK:  # cannot happen while both know one canonical form
            screen.found[i].status = STATUS_REJECTED
            slow[i] = Rejected("json_invalid", "document: its canonical form is refused")


cdef void accept(
    Screen screen, const RecordRef* ref, const Post* post, Found* found
) noexcept nogil:
    """Set a record's origin time, and refuse it where key or time are not as due."""
    found.flags = FLAG_DUPLICATE_KEY if found.duplicate_key else 0
    found.near = NULL
    found.near_count = 0
    found.row = NULL
    found.time = ref.time
    if found.time < 0:
        found.time = 0
    if found.time > MAX_TIME:
        found.time = MAX_TIME
    if found.status != STATUS_POST:
        return
    if screen.by_content and post.created_at == INT64_MIN and post.op != OP_DELETE:
        found.status = STATUS_NO_TIME
        return
    if screen.check_key and (
        ref.key_size < 0 or <size_t>ref.key_size != post.account.size
        or memcmp(ref.key, post.account.data, post.account.size) != 0
    ):
        found.status = STATUS_KEY_MISMATCH
        return
    if screen.by_content:
        found.time = 0 if post.created_at == INT64_MIN else post.created_at
    if post.op == OP_DELETE:
        found.status = STATUS_DELETE
