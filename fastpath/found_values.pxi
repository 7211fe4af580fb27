# Put each found value where its field wants it in the post: apart from the sources, which only
# find. Included by posts.pyx.

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
