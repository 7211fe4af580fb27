# Schema functions over what a pointer found, with the results of schema_functions.py: apart, since
# they know the platforms' formats and pointers do not. Included by posts.pyx.

cdef void put_text(Reader* r, const Text* text, Sink* sink) noexcept nogil:
    cdef Found found
    found.form = FOUND_TEXT
    found.text = text[0]
    put(r, &found, sink)


cdef void put_value(Reader* r, const Value* value, Sink* sink) noexcept nogil:
    cdef Found found
    found.form = FOUND_VALUE
    found.value = value
    put(r, &found, sink)


cdef void put_whole(Reader* r, int64_t whole, Sink* sink) noexcept nogil:
    cdef Found found
    found.form = FOUND_WHOLE
    found.whole = whole
    put(r, &found, sink)


cdef void ask(
    Reader* r, const Source* source, const Value* document, const Value* root, Sink* sink
) noexcept nogil:
    """Give every value that a source finds to the sink."""
    cdef Text text
    sink.source = source
    sink.document = document
    sink.root = root
    if source.kind == SOURCE_WHERE:
        if holds(r, source, document, root):
            ask(r, &r.program.sources[source.inner], document, root, sink)
    elif SOURCE_CREATE <= source.kind <= SOURCE_DELETE:
        if holds(r, source, document, root):
            text = OP_NAMES[source.kind - SOURCE_CREATE]
            put_text(r, &text, sink)
    elif source.kind == SOURCE_AT_URI:
        give_at_uri(r, source, document, root, sink)
    elif source.kind == SOURCE_HTML_TEXT:
        give_html_text(r, source, document, root, sink)
    else:
        follow(r, source.pointers[0], document, root, sink)


cdef void first_of(
    Reader* r, const Source* source, const Value* document, const Value* root, Sink* sink
) noexcept nogil:
    """Fill a fresh sink with the first value that a source finds."""
    memset(sink, 0, sizeof(Sink))
    ask(r, source, document, root, sink)


cdef bint holds(
    Reader* r, const Source* source, const Value* document, const Value* root
) noexcept nogil:
    """Say whether the condition of a source holds: a first value, equal to its text if it has one.
    """
    cdef Sink sink
    cdef Text text
    first_of(r, &r.program.sources[source.condition], document, root, &sink)
    if r.failed or sink.found.form == FOUND_NOTHING:
        return False
    if source.text < 0:
        return True
    if sink.found.form == FOUND_VALUE and sink.found.value.kind == VALUE_STRING:
        if not decode(r, sink.found.value, &text):
            return False
    elif sink.found.form == FOUND_TEXT:
        text = sink.found.text
    else:
        return False
    return same_text(&text, &r.program.texts[source.text])


cdef bint text_at(
    Reader* r, int32_t pointer, const Value* document, const Value* root, Text* out
) noexcept nogil:
    """Read the first value of a pointer; false unless it is a string."""
    cdef Sink sink
    memset(&sink, 0, sizeof(Sink))
    sink.source = &PLAIN
    follow(r, pointer, document, root, &sink)
    if r.failed or sink.found.form == FOUND_NOTHING or sink.found.value.kind != VALUE_STRING:
        return False
    return decode(r, sink.found.value, out)


cdef void give_at_uri(
    Reader* r, const Source* source, const Value* document, const Value* root, Sink* sink
) noexcept nogil:
    cdef Text[3] parts
    cdef Text uri
    cdef uint8_t* buffer
    cdef size_t n = 5, size = 7
    cdef int i
    for i in range(3):
        if not text_at(r, source.pointers[i], document, root, &parts[i]) or parts[i].size == 0:
            return
        size += parts[i].size
    buffer = take_bytes(r, size)
    if buffer == NULL:
        return
    memcpy(buffer, b"at://", 5)
    for i in range(3):
        if i > 0:
            buffer[n] = 0x2F
            n += 1
        memcpy(buffer + n, parts[i].data, parts[i].size)
        n += parts[i].size
    uri.data = buffer
    uri.size = n
    put_text(r, &uri, sink)


cdef void give_html_text(
    Reader* r, const Source* source, const Value* document, const Value* root, Sink* sink
) noexcept nogil:
    """Give the plain texts, then the stripped markup, each on its own line."""
    cdef Sink lines, markup
    cdef Text text
    cdef uint8_t* joined
    cdef uint32_t i
    memset(&lines, 0, sizeof(Sink))
    lines.into = INTO_LINES
    lines.source = &PLAIN
    for i in range(1, source.count):
        follow(r, source.pointers[i], document, root, &lines)
    memset(&markup, 0, sizeof(Sink))
    markup.source = &PLAIN
    follow(r, source.pointers[0], document, root, &markup)
    if r.failed:
        return
    if markup.found.form == FOUND_NOTHING:
        if lines.text.size > 0:
            lines.text.size -= 1
            put_text(r, &lines.text, sink)
        return
    if markup.found.value.kind != VALUE_STRING:
        put_value(r, markup.found.value, sink)
        return
    if not decode(r, markup.found.value, &text) or not strip_tags(r, &text):
        return
    if lines.text.size > 0:
        joined = take_bytes(r, lines.text.size + text.size)
        if joined == NULL:
            return
        memcpy(joined, lines.text.data, lines.text.size)
        memcpy(joined + lines.text.size, text.data, text.size)
        text.data = joined
        text.size += lines.text.size
    put_text(r, &text, sink)


cdef void give_links(Reader* r, const Value* value, Sink* sink) noexcept nogil:
    """Give the links of markup that the later pointers of the source do not list."""
    cdef Text markup, link
    cdef Sink known
    cdef const Source* source = sink.source
    cdef size_t at = 0
    cdef uint32_t i
    if value.kind != VALUE_STRING or not decode(r, value, &markup):
        return
    while not sink.done and afford(r, 16):
        at = next_link(r, &markup, at, &link)
        if at == 0:
            return
        memset(&known, 0, sizeof(Sink))
        known.into = INTO_SEARCH
        known.source = &PLAIN
        known.text = link
        for i in range(1, source.count):
            follow(r, source.pointers[i], sink.document, sink.root, &known)
        if r.failed:
            return
        if not known.done:
            put_text(r, &link, sink)
        if r.failed:
            return


cdef bint digits_of(Reader* r, const Value* value, int64_t* out) noexcept nogil:
    """Read an integer, or a string of at most 18 digits; false for other values."""
    cdef Text text
    cdef size_t i
    if value.kind != VALUE_STRING:
        return whole_of(value, out)
    if not decode(r, value, &text) or text.size == 0 or text.size > 18:
        return False
    out[0] = 0
    for i in range(text.size):
        if not is_digit(text.data[i]):
            return False
        out[0] = out[0] * 10 + (text.data[i] - 0x30)
    return True


cdef bint cid_digest(Reader* r, const Text* cid, uint8_t* hexadecimal) noexcept nogil:
    """Read the SHA-256 of a CIDv1 of raw bytes, as schema_functions.cid_sha256."""
    cdef const char* hex_digits = b"0123456789abcdef"
    cdef uint8_t[40] image
    cdef uint32_t bits = 0, held = 0
    cdef size_t i, n = 0
    cdef uint8_t c
    if cid.size < 1 or cid.size > 80 or cid.data[0] != 0x62:
        return False
    for i in range(1, cid.size):
        c = cid.data[i]
        if c == 0x3D or c >= 0x80:  # padding, and letters whose capitals are ASCII: Python decides
            return refuse(r, READ_MARKUP)
    if cid.size != 59:
        return False
    for i in range(1, cid.size):
        c = cid.data[i]
        if is_letter(c):
            held = (held << 5) | <uint32_t>((c | 0x20) - 0x61)
        elif c >= 0x32 and c <= 0x37:
            held = (held << 5) | <uint32_t>(c - 0x32 + 26)
        else:
            return False
        bits += 5
        if bits >= 8:
            bits -= 8
            image[n] = <uint8_t>(held >> bits)
            n += 1
    if memcmp(image, b"\x01\x55\x12\x20", 4) != 0:
        return False
    for i in range(32):
        hexadecimal[2 * i] = <uint8_t>hex_digits[image[4 + i] >> 4]
        hexadecimal[2 * i + 1] = <uint8_t>hex_digits[image[4 + i] & 15]
    return True


cdef bint tid_seconds(const Text* tid, int64_t* out) noexcept nogil:
    """Read the seconds in an atproto TID of 13 digits."""
    cdef uint64_t number = 0
    cdef size_t i
    cdef uint8_t c
    if tid.size != 13:
        return False
    for i in range(13):
        c = tid.data[i]
        if c >= 0x61 and c <= 0x7A:
            number = (number << 5) + (c - 0x61 + 6)
        elif c >= 0x32 and c <= 0x37:
            number = (number << 5) + (c - 0x32)
        else:
            return False
        if number >> 58 != 0 and i < 12:  # its times end; Python has wider integers
            return False
    out[0] = <int64_t>((number >> 10) // 1000000)
    return True


cdef inline int64_t since_start(int64_t seconds) noexcept nogil:
    return max(<int64_t>1, seconds - REVISION_START_S)


cdef void give_string(Reader* r, const Value* value, Sink* sink) noexcept nogil:
    """Apply a function of strings to one string."""
    cdef int kind = sink.source.kind
    cdef Text text, rewritten
    cdef uint8_t* buffer
    cdef int64_t whole
    if not decode(r, value, &text):
        return
    if kind == SOURCE_HTML_ENTITIES:
        if decode_references(r, &text):
            put_text(r, &text, sink)
    elif kind == SOURCE_TWITTER_TIME:
        buffer = take_bytes(r, 32)
        if buffer != NULL:
            put_text(
                r, &rewritten if twitter_time(text.data, text.size, &rewritten, buffer) else &text,
                sink,
            )
    elif kind == SOURCE_READABLE_TIME:
        if rfc3339(text.data, text.size, &whole):
            put_value(r, value, sink)
        else:  # leap seconds are readable, too
            refuse(r, READ_TYPE)
    elif kind == SOURCE_CID_SHA256:
        buffer = take_bytes(r, 64)
        if buffer != NULL and cid_digest(r, &text, buffer):
            text.data = buffer
            text.size = 64
            put_text(r, &text, sink)
    elif kind == SOURCE_TID_REVISION and tid_seconds(&text, &whole):
        put_whole(r, since_start(whole), sink)
    elif kind == SOURCE_TIME_REVISION and rfc3339(text.data, text.size, &whole):
        put_whole(r, since_start(whole // 1000), sink)
    else:
        put_value(r, value, sink)


cdef void give(Reader* r, const Value* value, Sink* sink) noexcept nogil:
    """Apply the function of the sink's source to one value and put what comes out."""
    cdef int kind = sink.source.kind
    cdef int64_t whole
    if kind == SOURCE_POINTER:
        put_value(r, value, sink)
    elif kind == SOURCE_HTML_LINKS:
        give_links(r, value, sink)
    elif SOURCE_EPOCH_MS <= kind <= SOURCE_EPOCH_US:
        if not digits_of(r, value, &whole):
            put_value(r, value, sink)
        elif whole < 0 or (kind == SOURCE_EPOCH_S and whole > MAX_TIME):
            refuse(r, READ_TYPE)
        elif kind == SOURCE_EPOCH_S:
            put_whole(r, whole * 1000, sink)
        else:
            put_whole(r, whole // 1000 if kind == SOURCE_EPOCH_US else whole, sink)
    elif kind == SOURCE_COUNT_REVISION and value.kind == VALUE_ARRAY:
        put_whole(r, max(0, <int64_t>value.size - 1), sink)
    elif value.kind == VALUE_STRING:
        give_string(r, value, sink)
    elif kind != SOURCE_READABLE_TIME and kind != SOURCE_CID_SHA256:
        put_value(r, value, sink)
