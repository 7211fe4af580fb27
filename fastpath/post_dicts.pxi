# What was read from one value as Python objects, for tests and comparisons. Included by posts.pyx.

cdef str text_of(const Text* text):
    return PyBytes_FromStringAndSize(<const char*>text.data, <Py_ssize_t>text.size).decode()


def fields_of(
    PostReader reader not None, bytes value not None, bint trusted=False, tuple score_names=()
):
    """Return the fields read from one value, or the cause why it is slow; for tests."""
    cdef Arena arena = Arena()
    cdef Post post
    cdef Text* names = <Text*>malloc((len(score_names) + 1) * sizeof(Text))
    cdef ScoreNames wanted
    cdef list held = [name.encode() for name in score_names]
    cdef uint32_t i
    cdef int status
    try:
        for i, name in enumerate(held):
            names[i].data = <const uint8_t*>PyBytes_AS_STRING(name)
            names[i].size = <size_t>PyBytes_GET_SIZE(name)
        wanted.count = <uint32_t>len(held)
        wanted.names = names
        status = reader.read(
            &arena.bump, &wanted, <const uint8_t*>PyBytes_AS_STRING(value),
            <size_t>PyBytes_GET_SIZE(value), trusted, &post,
        )
        if status == READ_NO_MEMORY:
            raise MemoryError
        return SLOW_CAUSES[status - 1] if status != READ_OK else fields_dict(&post, score_names)
    finally:
        free(names)


cdef dict fields_dict(const Post* post, tuple score_names):
    cdef uint32_t i
    media = [
        tuple([
            text_of(&post.media[i].sha256),
            text_of(&post.media[i].md5),
            text_of(&post.media[i].pdq),
        ])
        for i in range(min(post.media_count, <uint32_t>POST_MEDIA))
    ]
    scores = {}
    if post.scores != NULL:
        for i, name in enumerate(score_names):
            if post.scores[i] == post.scores[i]:
                scores[name] = post.scores[i]
    return {
        "id": text_of(&post.id),
        "op": ("create", "edit", "delete")[post.op],
        "revision": post.revision,
        "account": text_of(&post.account),
        "account_created_at": (
            None if post.account_created_at == INT64_MIN else post.account_created_at
        ),
        "followers": post.followers,
        "created_at": None if post.created_at == INT64_MIN else post.created_at,
        "text": text_of(&post.text),
        "lang": text_of(&post.lang),
        "urls": [
            text_of(&post.urls[i])
            for i in range(min(post.url_count, <uint32_t>POST_URLS))
        ],
        "url_count": post.url_count,
        "hashtags": post.hashtag_count,
        "media": media,
        "media_count": post.media_count,
        "repost_of": text_of(&post.repost_of),
        "reply_to": text_of(&post.reply_to),
        "device": text_of(&post.device),
        "scores": scores,
    }
