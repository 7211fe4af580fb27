# Ask a field map's sources over the values that were kept: what each source may hold, and pointers,
# with the results of pointers.py. Included by posts.pyx.

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
