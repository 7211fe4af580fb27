# Rows: what Python sees of posts that a gate or a flag let through. Included by screen.pyx.

cdef extern from "Python.h":
    ctypedef struct PyTypeObject
    ctypedef object (*Allocate)(PyTypeObject* type, Py_ssize_t size)
    ctypedef struct PyTypeObject:
        Allocate tp_alloc

cdef object POST = Status.POST
cdef object DELETE = Status.DELETE
cdef object REJECT = Status.REJECT
cdef tuple LANE_NAMES = LANES


cdef str text_of(const Text* text):
    return PyUnicode_DecodeUTF8(<const char*>text.data, <Py_ssize_t>text.size, NULL)


cdef object add_rows(
    Screen screen, const RecordRef* refs, Py_ssize_t start, size_t count, dict slow, list rows
):
    cdef size_t i
    cdef const Found* found
    cdef Row row
    for i in range(count):
        found = &screen.found[i]
        if found.status == STATUS_POST and found.flags == 0 and not found.gated:
            continue
        row = new_row(start + <Py_ssize_t>i, refs[i].offset, found.time)
        rows.append(row)
        if found.status == STATUS_REJECTED:
            reject_row(screen, row, slow[i].reason, slow[i].error)
        elif found.status == STATUS_NO_TIME:
            reject_row(screen, row, "field_missing", "created_at is required")
        elif found.status == STATUS_KEY_MISMATCH:
            seen = "null" if refs[i].key_size < 0 else f"{refs[i].key_size} bytes"
            reject_row(screen, row, "key_mismatch", f"key: {seen} where account.id is due")
        else:
            identify_row(screen, row, &refs[i], &screen.posts[i], slow.get(i) if slow else None)
            fill_row(screen, row, found)


cdef Row new_row(Py_ssize_t index, int64_t offset, int64_t time):
    """Return what `Row(index, offset, time, Status.REJECT)` does."""
    cdef Row row = Row.__new__(Row)
    row.index = index
    row.offset = offset
    row.time = time
    row.status = REJECT
    row.error = row.id = row.account = ""
    row.gates = 0
    row.matches = row.hits = row.windows = ()
    row.text_digest = b""
    return row


cdef object reject_row(Screen screen, Row row, str reason, str error):
    row.reason = reason
    row.error = error
    row.read = {}
    screen.counts[COUNT_REJECTS] += 1
    screen.counts[COUNT_FIXED + <size_t>REJECT_REASONS.index(reason)] += 1


cdef object identify_row(
    Screen screen, Row row, const RecordRef* ref, const Post* post, read
):
    row.id = text_of(&post.id)
    row.revision = post.revision
    row.account = text_of(&post.account)
    if post.account_created_at != INT64_MIN and post.op != OP_DELETE:
        row.account_created_at = post.account_created_at
    if read is None:
        row.value = PyBytes_FromStringAndSize(
            <const char*>ref.value, <Py_ssize_t>ref.value_size
        )
        row.field_map = screen.field_map
    else:
        row.read = read.post


cdef object fill_row(Screen screen, Row row, const Found* found):
    """Fill the row of a delete or of a flagged post."""
    cdef uint8_t[16] digest
    cdef size_t i
    cdef const PostMatches* matches
    if found.status == STATUS_DELETE:
        row.status = DELETE
        blake2b(digest, 16, NULL, 0, NULL, 0)
        row.text_digest = PyBytes_FromStringAndSize(<const char*>digest, 16)
        screen.counts[COUNT_DELETES] += 1
        return
    matches = &screen.matches[found.place]
    row.status = POST
    row.flags = found.flags
    if screen.gate_words == 1:
        row.gates = found.gates[0]
    elif screen.gate_words > 1:
        row.gates = int.from_bytes(
            PyBytes_FromStringAndSize(
                <const char*>found.gates, <Py_ssize_t>(screen.gate_words * 8)
            ),
            "little",
        )
    if matches.count > 0:
        row.matches = tuple([match_of(screen, &matches.rows[i]) for i in range(matches.count)])
    if found.hit_count > 0:
        row.hits = tuple([hit_of(screen, &found.hits[i]) for i in range(found.hit_count)])
    if screen.every_account:
        row.windows = tuple([found.windows[i] for i in range(screen.window_count)])
    if screen.every_digest:
        row.text_digest = PyBytes_FromStringAndSize(<const char*>found.digest, 16)
        return
    blake2b(digest, 16, NULL, 0, found.folded.data, found.folded.size)
    row.text_digest = PyBytes_FromStringAndSize(<const char*>digest, 16)


cdef object match_of(Screen screen, const MatchRow* row):
    cdef object match = new_named(Match, 6)
    set_place(match, 0, screen.keyword_names[row.list])
    set_place(match, 1, (<tuple>screen.keyword_patterns[row.list])[row.pattern])
    set_place(match, 2, LANE_NAMES[row.lane])
    set_place(match, 3, row.start)
    set_place(match, 4, row.end)
    set_place(match, 5, row.count)
    return match


cdef object hit_of(Screen screen, const HashHit_* hit):
    cdef object found = new_named(HashHit, 3)
    set_place(found, 0, screen.hash_names[hit.list])
    set_place(found, 1, screen.hash_entries[hit.list][hit.entry])
    set_place(found, 2, hit.distance)
    return found


cdef inline object new_named(object type, Py_ssize_t size):
    """Return a tuple of a NamedTuple's class, all of whose places the caller fills at once.

    Its `__new__` is a function of Python, which takes longer than the matches of a post.
    """
    return (<PyTypeObject*>type).tp_alloc(<PyTypeObject*>type, size)


cdef inline void set_place(object named, Py_ssize_t place, object value) noexcept:
    Py_INCREF(value)
    PyTuple_SET_ITEM(named, place, value)
