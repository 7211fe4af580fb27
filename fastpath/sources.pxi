# Ask a field map's sources over the values that were kept: pointers and schema functions, with the
# results of pointers.py and schema_functions.py. Included by posts.pyx.

cdef enum:
    SOURCE_POINTER = 0  # by place in field_programs.KINDS
    SOURCE_WHERE = 1
    SOURCE_CREATE = 2
    SOURCE_EDIT = 3
    SOURCE_DELETE = 4
    SOURCE_AT_URI = 5
    SOURCE_TWITTER_TIME = 6
    SOURCE_EPOCH_MS = 7
    SOURCE_EPOCH_S = 8
    SOURCE_EPOCH_US = 9
    SOURCE_READABLE_TIME = 10
    SOURCE_HTML_ENTITIES = 11
    SOURCE_HTML_TEXT = 12
    SOURCE_HTML_LINKS = 13
    SOURCE_CID_SHA256 = 14
    SOURCE_TID_REVISION = 15
    SOURCE_TIME_REVISION = 16
    SOURCE_COUNT_REVISION = 17

    INTO_FIRST = 0  # the first value, then no more
    INTO_URLS = 1
    INTO_HASHTAGS = 2
    INTO_MEDIA = 3
    INTO_LINES = 4  # strings that are not empty, each with a line end
    INTO_SEARCH = 5  # is `text` among the strings?
    INTO_EQUAL = 6  # is `wanted` among the values?

    FOUND_NOTHING = 0
    FOUND_VALUE = 1
    FOUND_TEXT = 2
    FOUND_WHOLE = 3

    FEW_URLS = 4  # of an ordinary post; more take more memory

    REVISION_START_S = 1262304000  # 2010-01-01; schema_functions.py has it too

if KINDS != (
    "", "where", "create", "edit", "delete", "at_uri", "twitter_time", "epoch_ms", "epoch_s",
    "epoch_us", "readable_time", "html_entities", "html_text", "html_links", "cid_sha256",
    "tid_revision", "time_revision", "count_revision",
):
    raise ImportError("fastpath.posts was compiled with other functions than field maps have")


cdef struct Found:
    int form
    const Value* value
    Text text
    int64_t whole


cdef struct Sink:  # where found values go
    int into
    bint done
    bint stood  # a list stood where one was looked for
    const Source* source  # whose function is applied
    const Value* document  # where its pointers start
    const Value* root  # where pointers inside selections start
    Post* out
    Found found  # of INTO_FIRST
    Text text
    const Value* wanted
    Text* tags  # of INTO_HASHTAGS, POST_URLS


cdef inline bint same_text(const Text* a, const Text* b) noexcept nogil:
    return a.size == b.size and memcmp(a.data, b.data, a.size) == 0


# --- Pointers ------------------------------------------------------------------------------------

cdef const Value* member_of(Reader* r, const Value* value, const Step* step) noexcept nogil:
    """Return the first of the step's keys that stands in a value, NULL where none does."""
    cdef Value* below
    cdef const int16_t* places
    cdef int32_t i
    cdef uint32_t key
    if value.kind == VALUE_OBJECT:
        places = r.program.nodes[value.node].places
        for key in range(step.count):
            if value.below != NULL and places[step.keys[key]] >= 0:
                below = &value.below[places[step.keys[key]]]
                if below.kind != VALUE_NULL:
                    return below
        return NULL
    if r.program.strict and value.kind != VALUE_NULL:
        refuse(r, READ_TYPE)
        return NULL
    if value.kind == VALUE_ARRAY:
        for key in range(step.count):
            if step.places[key] >= 0 and <uint32_t>step.places[key] < value.size:
                below = value.below
                i = 0
                while i < step.places[key]:
                    below = below.next
                    i += 1
                return NULL if below.kind == VALUE_NULL else below
    return NULL


cdef bint is_selected(
    Reader* r, const Value* element, const Step* step, const Value* root
) noexcept nogil:
    """Say whether the member that a step compares has the wanted value."""
    cdef const Value* value
    cdef Sink sink
    cdef Text text
    cdef int16_t place
    if step.select < 0:
        return True
    if element.kind != VALUE_OBJECT or element.below == NULL:
        return False
    place = r.program.nodes[element.node].places[step.select]
    if place < 0:
        return False
    value = &element.below[place]
    if value.kind == VALUE_NULL:
        return False
    if step.text >= 0:
        if value.kind != VALUE_STRING or not decode(r, value, &text):
            return False
        return same_text(&text, &r.program.texts[step.text])
    memset(&sink, 0, sizeof(Sink))
    sink.into = INTO_EQUAL
    sink.wanted = value
    sink.source = &PLAIN
    follow(r, step.pointer, root, root, &sink)
    return sink.done


cdef void visit(
    Reader* r, uint32_t at, uint32_t end, const Value* value, const Value* root, Sink* sink
) noexcept nogil:
    """Go down the steps that are left and give what they lead to, in document order."""
    cdef const Step* step = &r.program.steps[at]
    cdef const Value* below
    if at == end:
        if afford(r, 16):
            give(r, value, sink)
        return
    below = member_of(r, value, step)
    if below == NULL:
        return
    if not step.each:
        visit(r, at + 1, end, below, root, sink)
        return
    if below.kind != VALUE_ARRAY:
        if r.program.strict:
            refuse(r, READ_TYPE)
        return
    sink.stood = True
    below = below.below
    while below != NULL and not sink.done and not r.failed:
        if below.kind != VALUE_NULL and is_selected(r, below, step, root):
            visit(r, at + 1, end, below, root, sink)
        below = below.next


cdef void follow(
    Reader* r, int32_t pointer, const Value* document, const Value* root, Sink* sink
) noexcept nogil:
    """Give every value that a pointer finds to the sink."""
    cdef const Pointer* steps = &r.program.pointers[pointer]
    visit(r, steps.first, steps.end, document, root, sink)


# --- Functions -----------------------------------------------------------------------------------

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


# --- Where values go -----------------------------------------------------------------------------

cdef bint text_of_found(Reader* r, const Found* found, Text* out) noexcept nogil:
    """Read a found string; any other value is slow."""
    if found.form == FOUND_TEXT:
        out[0] = found.text
        return True
    if found.form == FOUND_VALUE and found.value.kind == VALUE_STRING:
        return decode(r, found.value, out)
    return refuse(r, READ_TYPE)


cdef void put(Reader* r, const Found* found, Sink* sink) noexcept nogil:
    """Take one found value; lists that are found whole are taken element by element."""
    cdef const Value* element
    cdef Found each
    if r.failed:
        return
    if sink.into == INTO_FIRST:
        sink.found = found[0]
        sink.done = True
    elif sink.into >= INTO_LINES:
        compare(r, found, sink)
    elif found.form == FOUND_VALUE and found.value.kind == VALUE_ARRAY and not r.program.strict:
        each.form = FOUND_VALUE
        element = found.value.below
        while element != NULL and not r.failed:
            each.value = element
            if sink.into == INTO_MEDIA or element.kind != VALUE_NULL:
                put_listed(r, &each, sink)
            element = element.next
    else:
        put_listed(r, found, sink)


cdef void compare(Reader* r, const Found* found, Sink* sink) noexcept nogil:
    """Collect lines, or look for a text or a value among those that are found."""
    cdef Text text, wanted
    cdef uint8_t* joined
    if found.form != FOUND_VALUE or found.value.kind != VALUE_STRING:
        if sink.into == INTO_EQUAL and (
            found.form != FOUND_VALUE or sink.wanted.kind != VALUE_STRING
        ):
            refuse(r, READ_TYPE)  # Python compares numbers and lists in its own ways
        return
    if not decode(r, found.value, &text):
        return
    if sink.into == INTO_SEARCH:
        sink.done = same_text(&text, &sink.text)
    elif sink.into == INTO_EQUAL:
        if sink.wanted.kind == VALUE_STRING and decode(r, sink.wanted, &wanted):
            sink.done = same_text(&text, &wanted)
    elif text.size > 0:
        joined = take_bytes(r, sink.text.size + text.size + 1)
        if joined == NULL:
            return
        if sink.text.size > 0:  # data may be NULL, which memcpy must not be given
            memcpy(joined, sink.text.data, sink.text.size)
        memcpy(joined + sink.text.size, text.data, text.size)
        joined[sink.text.size + text.size] = 0x0A
        sink.text.data = joined
        sink.text.size += text.size + 1


cdef void put_listed(Reader* r, const Found* found, Sink* sink) noexcept nogil:
    """Add one element to urls, hashtags or media."""
    cdef Post* out = sink.out
    cdef Text text
    cdef uint32_t i
    if sink.into == INTO_MEDIA:
        add_medium(r, found, sink)
        return
    if not text_of_found(r, found, &text):
        return
    if sink.into == INTO_HASHTAGS:
        if not r.program.strict and not is_new(r, sink.tags, out.hashtag_count, &text):
            return
        if out.hashtag_count < POST_URLS:
            sink.tags[out.hashtag_count] = text
        out.hashtag_count += 1
        return
    if not r.program.strict and not is_new(r, out.urls, out.url_count, &text):
        return
    if (out.url_count == 0 or out.url_count == FEW_URLS) and not make_url_room(r, out):
        return
    if out.url_count < POST_URLS:
        out.urls[out.url_count] = text
    out.url_count += 1


cdef bint make_url_room(Reader* r, Post* out) noexcept nogil:
    """Make room for a few URLs, then for as many as are kept."""
    cdef size_t room = FEW_URLS if out.url_count == 0 else POST_URLS
    cdef Text* urls = <Text*>take_bytes(r, room * sizeof(Text))
    if urls == NULL:
        return False
    if out.url_count > 0:
        memcpy(urls, out.urls, out.url_count * sizeof(Text))
    out.urls = urls
    return True


cdef bint is_new(Reader* r, const Text* kept, uint32_t count, const Text* text) noexcept nogil:
    """Say whether a text is not among those kept; past the room for them it is slow."""
    cdef uint32_t i
    for i in range(min(count, <uint32_t>POST_URLS)):
        if same_text(&kept[i], text):
            return False
    return True if count < POST_URLS else refuse(r, READ_SIZE)


cdef void add_medium(Reader* r, const Found* found, Sink* sink) noexcept nogil:
    """Add one medium; of those past POST_MEDIA the digests are checked and left."""
    cdef Post* out = sink.out
    cdef MediumDigests beyond
    cdef MediumDigests* medium = &beyond
    cdef const Value* value = found.value if found.form == FOUND_VALUE else NULL
    if r.program.strict and value.kind != VALUE_OBJECT:
        refuse(r, READ_TYPE)
        return
    if out.media == NULL:
        out.media = <MediumDigests*>take_bytes(r, POST_MEDIA * sizeof(MediumDigests))
        if out.media == NULL:
            return
    if out.media_count < POST_MEDIA:
        medium = &out.media[out.media_count]
    memset(medium, 0, sizeof(MediumDigests))
    out.media_count += 1
    if value != NULL and value.kind >= VALUE_ARRAY:
        read_medium(r, value, sink.root, medium)
