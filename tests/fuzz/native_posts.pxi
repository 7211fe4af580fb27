# The target json: documents in a row, to readers that remember shapes and to one that does not.
# Included by native.pyx.

READERS = [
    PostReader(load_field_map(preset), isa)
    for preset in PRESETS for isa in LEVELS[: LEVELS.index(ISA) + 1]
]
cdef int MAP_COUNT = <int>len(PRESETS)
cdef int LEVEL_COUNT = <int>(len(READERS) // len(PRESETS))
cdef (void*)[64] reader_at
FRESH_READERS = [PostReader(load_field_map(preset)) for preset in PRESETS]
cdef (void*)[64] fresh_at
cdef ScoreNames no_scores
no_scores.count = 0
no_scores.names = NULL
for reader_place, reader_held in enumerate(READERS):
    reader_at[<int>reader_place] = <void*>reader_held
for reader_place, reader_held in enumerate(FRESH_READERS):
    fresh_at[<int>reader_place] = <void*>reader_held


cdef uint64_t mixed_text(uint64_t digest, const Text* text) noexcept nogil:
    return mixed(digest, text.data, text.size)


cdef uint64_t mixed_post(const Post* post) noexcept nogil:
    """Read every field."""
    cdef uint64_t digest = 0
    cdef uint32_t i
    digest = mixed_text(digest, &post.id)
    digest = mixed_text(digest, &post.account)
    digest = mixed_text(digest, &post.text)
    digest = mixed_text(digest, &post.lang)
    digest = mixed_text(digest, &post.repost_of)
    digest = mixed_text(digest, &post.reply_to)
    digest = mixed_text(digest, &post.device)
    must(post.text.size == 0 or is_utf8(post.text.data, post.text.size), b"a text of UTF-8")
    for i in range(min(post.url_count, <uint32_t>POST_URLS)):
        digest = mixed_text(digest, &post.urls[i])
    for i in range(min(post.media_count, <uint32_t>POST_MEDIA)):
        digest = mixed_text(digest, &post.media[i].sha256)
        digest = mixed_text(digest, &post.media[i].md5)
        digest = mixed_text(digest, &post.media[i].pdq)
        digest ^= <uint64_t>post.media[i].pdq_quality
    digest ^= <uint64_t>post.created_at ^ <uint64_t>post.account_created_at << 1
    digest ^= <uint64_t>post.followers << 2 ^ <uint64_t>post.revision << 3
    return digest ^ post.op ^ <uint64_t>post.url_count << 8 ^ <uint64_t>post.hashtag_count << 20


cdef int read_with(
    void* reader, const uint8_t* data, size_t size, Post* out
) noexcept nogil:
    return (<PostReader>reader).read(&ARENA.bump, &no_scores, data, size, False, out)


cdef void judge_document(int preset, const uint8_t* data, size_t size) noexcept nogil:
    """Hold readers that have seen other documents, and this one, against one that has not."""
    cdef Post post
    cdef int first, result, level, _turn
    cdef uint64_t digest, due
    (<PostReader>fresh_at[preset]).forget_shapes()
    first = read_with(fresh_at[preset], data, size, &post)
    must(first >= READ_OK, b"memory for a post")
    due = mixed_post(&post) if first == READ_OK else 0
    for level in range(LEVEL_COUNT):
        for _turn in range(2):
            result = read_with(reader_at[preset * LEVEL_COUNT + level], data, size, &post)
            digest = mixed_post(&post) if result == READ_OK else 0
            must(result == first and digest == due, b"the same post whatever was read before")


cdef int fuzz_json(const uint8_t* data, size_t size) noexcept nogil:
    """Read documents, between bytes that no JSON holds, in a row."""
    cdef const uint8_t* end
    cdef int level, preset
    if size == 0:
        return 0
    preset = data[0] % MAP_COUNT
    bump_reset(&ARENA.bump, KEPT)
    for level in range(LEVEL_COUNT):
        (<PostReader>reader_at[preset * LEVEL_COUNT + level]).forget_shapes()
    data += 1
    size -= 1
    while True:
        end = <const uint8_t*>memchr(data, 0x1E, size)
        judge_document(preset, data, size if end == NULL else <size_t>(end - data))
        if end == NULL:
            return 0
        size -= <size_t>(end + 1 - data)
        data = end + 1
