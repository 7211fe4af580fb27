# What the sources of a field map found becomes the fields of a Post, by the rules of each field.
# Included by posts.pyx.

cdef bint set_id(Reader* r, const Found* found, Text* out) noexcept nogil:
    """Take a string of 1 to 256 bytes, or an integer of at most 18 digits as its digits."""
    cdef const Value* value = found.value
    if found.form == FOUND_VALUE and value.kind == VALUE_NUMBER:
        if value.marks & VALUE_REAL or value.size > 18 or (
            value.data[0] == 0x2D and value.data[1] == 0x30  # -0 is the id 0
        ):
            return refuse(r, READ_TYPE)
        out.data = value.data
        out.size = value.size
        return True
    if not text_of_found(r, found, out):
        return False
    return True if 1 <= out.size <= ID_BYTES else refuse(r, READ_TYPE)


cdef bint set_whole(Reader* r, const Found* found, int64_t highest, int64_t* out) noexcept nogil:
    """Take an integer from 0 to `highest`."""
    cdef int64_t whole = found.whole
    if found.form == FOUND_TEXT or (
        found.form == FOUND_VALUE and not whole_of(found.value, &whole)
    ):
        return refuse(r, READ_TYPE)
    out[0] = whole
    return True if 0 <= whole <= highest else refuse(r, READ_TYPE)


cdef bint set_time(Reader* r, const Found* found, int64_t* out) noexcept nogil:
    """Take RFC 3339 or epoch milliseconds."""
    cdef Text text
    if found.form == FOUND_WHOLE or (
        found.form == FOUND_VALUE and found.value.kind == VALUE_NUMBER
    ):
        return set_whole(r, found, MAX_TIME, out)
    if not text_of_found(r, found, &text):
        return False
    return True if rfc3339(text.data, text.size, out) else refuse(r, READ_TYPE)


cdef bint set_op(Reader* r, const Found* found, Post* out) noexcept nogil:
    cdef Text text
    if not text_of_found(r, found, &text):
        return False
    out.op = OP_CREATE
    while out.op <= OP_DELETE:
        if same_text(&text, &OP_NAMES[out.op]):
            return True
        out.op += 1
    return refuse(r, READ_TYPE)


cdef bint set_text(Reader* r, const Found* found, Post* out) noexcept nogil:
    out.has_content = True
    if not text_of_found(r, found, &out.text):
        return False
    if out.text.size > TEXT_BYTES:
        return refuse(r, READ_SIZE)
    if found.form == FOUND_VALUE and not found.value.marks & VALUE_ESCAPED:
        return True
    return show_nuls(r, &out.text)


cdef bint set_digest(Reader* r, const Found* found, size_t size, Text* out) noexcept nogil:
    """Take hex digits, 32 or 64 of them, in lower case."""
    cdef uint8_t* lower
    cdef int capitals, upper = 0
    cdef size_t i
    if not text_of_found(r, found, out):
        return False
    if out.size != size:
        return refuse(r, READ_TYPE)
    for i in range(0, size, 16):
        if not json_hex16(out.data + i, &capitals):
            return refuse(r, READ_TYPE)
        upper |= capitals
    if upper != 0:
        lower = take_bytes(r, size)
        if lower == NULL:
            return False
        for i in range(size):
            lower[i] = out.data[i] | 0x20
        out.data = lower
    return True


cdef bint read_medium(
    Reader* r, const Value* element, const Value* root, MediumDigests* out
) noexcept nogil:
    """Ask the sources of media.* over one element."""
    cdef const Program* program = r.program
    cdef const Target* target
    cdef Sink sink
    cdef uint32_t i, t
    out.pdq_quality = -1
    for t in range(program.target_count):
        target = &program.targets[t]
        if target.code < TO_SHA256 or target.code > TO_PDQ_QUALITY:
            continue
        memset(&sink, 0, sizeof(Sink))
        for i in range(target.first, target.end):
            ask(r, &program.sources[program.order[i]], element, root, &sink)
            if sink.done or r.failed:
                break
        if r.failed:
            return False
        if not sink.done:
            continue
        if target.code == TO_SHA256:
            set_digest(r, &sink.found, 64, &out.sha256)
        elif target.code == TO_MD5:
            set_digest(r, &sink.found, 32, &out.md5)
        elif target.code == TO_PDQ:
            set_digest(r, &sink.found, 64, &out.pdq)
        else:
            set_whole(r, &sink.found, 100, &out.pdq_quality)
    return r.failed == READ_OK


cdef bint clear_scores(Reader* r, const ScoreNames* names, Post* out) noexcept nogil:
    cdef uint32_t i
    if names.count == 0:
        return True
    if out.scores == NULL:
        out.scores = <double*>take_bytes(r, names.count * sizeof(double))
        if out.scores == NULL:
            return False
    for i in range(names.count):
        out.scores[i] = NAN
    return True


cdef bint set_score(
    Reader* r, const ScoreNames* names, const Text* name, const Value* value, Post* out
) noexcept nogil:
    cdef double score
    cdef uint32_t i
    if not double_of(r, value, &score):
        return False
    for i in range(names.count):
        if same_text(&names.names[i], name):
            out.scores[i] = score
    return True


cdef bint set_scores(
    Reader* r, const ScoreNames* names, const Found* found, Post* out
) noexcept nogil:
    """Take an object of numbers and nulls."""
    cdef const Value* key
    cdef Text name
    if found.form != FOUND_VALUE or found.value.kind != VALUE_OBJECT:
        return refuse(r, READ_TYPE)
    if not clear_scores(r, names, out):
        return False
    key = found.value.below
    while key != NULL:
        if key.below.kind != VALUE_NULL:
            if not decode(r, key, &name) or not set_score(r, names, &name, key.below, out):
                return False
        key = key.next
    return True


cdef bint set_target(
    Reader* r, const ScoreNames* names, const Target* target, const Found* found, Post* out
) noexcept nogil:
    """Check what was found for a single value by the rules of its field, and keep it."""
    cdef uint32_t code = target.code
    cdef int64_t whole = 0
    cdef Text ip
    if code == TO_ID:
        return set_id(r, found, &out.id)
    if code == TO_TEXT:
        return set_text(r, found, out)
    if code == TO_ACCOUNT:
        return set_id(r, found, &out.account)
    if code == TO_CREATED_AT:
        return set_time(r, found, &out.created_at)
    if code == TO_ACCOUNT_CREATED_AT:
        return set_time(r, found, &out.account_created_at)
    if code == TO_FOLLOWERS:
        return set_whole(r, found, INT64_MAX, &out.followers)
    if code == TO_LANG:
        return text_of_found(r, found, &out.lang)
    if code == TO_REPOST_OF:
        out.has_content = True
        return set_id(r, found, &out.repost_of)
    if code == TO_REPLY_TO:
        return set_id(r, found, &out.reply_to)
    if code == TO_DEVICE:
        return set_id(r, found, &out.device)
    if code == TO_IP:
        return text_of_found(r, found, &ip)
    if code == TO_OP:
        return set_op(r, found, out)
    if code == TO_SCORES:
        return set_scores(r, names, found, out)
    if code == TO_SCORE:
        if found.form != FOUND_VALUE:
            return refuse(r, READ_TYPE)
        if out.scores == NULL and not clear_scores(r, names, out):
            return False
        return set_score(r, names, &r.program.texts[target.score], found.value, out)
    if not set_whole(r, found, REVISION_MAX, &whole):
        return False
    out.revision = <uint32_t>whole
    return True


cdef bint set_directly(Reader* r, const Node* node, const Value* value) noexcept nogil:
    """Set the target that is this value; a canonical object may be nothing else."""
    cdef Found found
    if node.direct >= 0:
        found.form = FOUND_VALUE
        found.value = value
        return set_target(r, r.names, &r.program.targets[node.direct], &found, r.out)
    if node.members > 0 and value.kind != VALUE_OBJECT:
        return refuse(r, READ_TYPE)
    return True


cdef bint set_list(Reader* r, const Target* target, const Value* root, Post* out) noexcept nogil:
    """Gather what every source of urls, hashtags or media finds."""
    cdef Sink sink
    cdef Text[64] tags
    cdef uint32_t i, before = out.url_count + out.media_count
    memset(&sink, 0, sizeof(Sink))
    sink.into = <int>(target.code - TO_URLS) + INTO_URLS
    sink.out = out
    sink.tags = tags
    for i in range(target.first, target.end):
        ask(r, &r.program.sources[r.program.order[i]], root, root, &sink)
        if r.failed:
            return False
    if target.code != TO_HASHTAGS and (
        out.url_count + out.media_count > before or (sink.stood and r.program.strict)
    ):
        out.has_content = True
    return True


cdef inline bint is_absent(const Target* target, const Value* root) noexcept nogil:
    """Say whether the member is missing without which no source of a target finds anything."""
    return target.place >= 0 and (
        root.below == NULL or root.below[target.place].kind == VALUE_NULL
    )


cdef bint read_fields(
    Reader* r, const ScoreNames* names, const Value* root, Post* out
) noexcept nogil:
    cdef const Program* program = r.program
    cdef const Target* target
    cdef Sink sink
    cdef uint32_t i, t
    for t in range(program.asked):
        target = &program.targets[t]
        if is_absent(target, root):
            continue
        if TO_URLS <= target.code <= TO_PDQ_QUALITY:
            if target.code <= TO_MEDIA and not set_list(r, target, root, out):
                return False
            continue
        memset(&sink, 0, sizeof(Sink))
        for i in range(target.first, target.end):
            ask(r, &program.sources[program.order[i]], root, root, &sink)
            if sink.done or r.failed:
                break
        if r.failed:
            return False
        if sink.done and not set_target(r, names, target, &sink.found, out):
            return False
    return is_complete(r, out)


cdef inline bint is_complete(Reader* r, const Post* out) noexcept nogil:
    if out.id.size == 0 or out.account.size == 0:
        return refuse(r, READ_INCOMPLETE)
    return True if out.op == OP_DELETE or out.has_content else refuse(r, READ_INCOMPLETE)
