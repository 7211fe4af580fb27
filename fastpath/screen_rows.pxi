# Rows: what Python sees of posts that a gate or a flag let through. Included by screen.pyx.

cdef object add_rows(
    Screen screen, const RecordRef* refs, Py_ssize_t start, size_t count, dict slow, list rows
):
    cdef size_t i
    cdef const Found* found
    for i in range(count):
        found = &screen.found[i]
        if found.status == STATUS_POST and found.flags == 0 and not found.gated:
            continue
        row = Row(start + <Py_ssize_t>i, refs[i].offset, found.time, Status.REJECT)
        rows.append(row)
        if found.status == STATUS_REJECTED:
            reject_row(screen, row, slow[i].reason, slow[i].error)
        elif found.status == STATUS_NO_TIME:
            reject_row(screen, row, "field_missing", "created_at is required")
        elif found.status == STATUS_KEY_MISMATCH:
            seen = "null" if refs[i].key_size < 0 else f"{refs[i].key_size} bytes"
            reject_row(screen, row, "key_mismatch", f"key: {seen} where account.id is due")
        else:
            identify_row(screen, row, &refs[i], &screen.posts[i], slow.get(i))
            fill_row(screen, row, found)


cdef object reject_row(Screen screen, row, str reason, str error):
    row.reason = reason
    row.error = error
    screen.counts[COUNT_REJECTS] += 1
    screen.counts[COUNT_FIXED + <size_t>REJECT_REASONS.index(reason)] += 1


cdef object identify_row(Screen screen, row, const RecordRef* ref, const Post* post, read):
    row.id = text_of(&post.id)
    row.revision = post.revision
    row.account = text_of(&post.account)
    if post.account_created_at != INT64_MIN and post.op != OP_DELETE:
        row.account_created_at = post.account_created_at
    if read is None:
        value = PyBytes_FromStringAndSize(<const char*>ref.value, <Py_ssize_t>ref.value_size)
        row.post = LazyPost(value, screen.field_map)
    else:
        row.post = read.post


cdef object fill_row(Screen screen, row, const Found* found):
    """Fill the row of a delete or of a flagged post."""
    cdef uint8_t[16] digest
    cdef size_t i
    cdef const PostMatches* matches
    if found.status == STATUS_DELETE:
        row.status = Status.DELETE
        blake2b(digest, 16, NULL, 0, NULL, 0)
        row.text_digest = PyBytes_FromStringAndSize(<const char*>digest, 16)
        screen.counts[COUNT_DELETES] += 1
        return
    matches = &screen.matches[found.place]
    row.status = Status.POST
    row.flags = found.flags
    if found.gates != NULL:
        row.gates = int.from_bytes(
            PyBytes_FromStringAndSize(
                <const char*>found.gates, <Py_ssize_t>(screen.gate_words * 8)
            ),
            "little",
        )
    row.matches = tuple([match_of(screen, matches, i) for i in range(matches.count)])
    row.hits = tuple([hit_of(screen, &found.hits[i]) for i in range(found.hit_count)])
    row.windows = tuple([found.windows[i] for i in range(<size_t>len(screen.spec.windows))])
    blake2b(digest, 16, NULL, 0, found.folded.data, found.folded.size)
    row.text_digest = PyBytes_FromStringAndSize(<const char*>digest, 16)


cdef object match_of(Screen screen, const PostMatches* matches, size_t i):
    held = screen.spec.keyword_lists[matches.rows[i].list]
    return Match(
        held.name,
        held.patterns[matches.rows[i].pattern],
        LANES[matches.rows[i].lane],
        matches.rows[i].start,
        matches.rows[i].end,
        matches.rows[i].count,
    )


cdef object hit_of(Screen screen, const HashHit_* hit):
    held = screen.spec.hash_lists[hit.list]
    return HashHit(held.name, held.entries[hit.entry], hit.distance)
