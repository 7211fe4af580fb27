# URLs and names of hosts of a post, looked up in lists. Included by screen.pyx.

cdef enum:
    WRAPS = 4  # MAX_WRAPS
    DOMAINS_AHEAD = 8  # domains whose slots are on their way before the first one is read

if MAX_WRAPS != WRAPS:
    raise ImportError("fastpath.screen was compiled with another limit than fastpath.spec has")


cdef int read_urls(Screen screen, const Post* post, Found* found) noexcept nogil:
    """Canonicalise and look up the first URLs of urls[], then those found in the text."""
    cdef uint32_t taken = 0
    cdef size_t pos = 0
    cdef TextSpan span
    found.url_count = 0
    found.urls = NULL
    if post.url_count > POST_URLS:
        found.flags |= FLAG_URLS_TRUNCATED
    while taken < post.url_count and taken < POST_URLS:
        if read_url(screen, post.urls[taken].data, post.urls[taken].size, found) != READ_OK:
            return READ_NO_MEMORY
        taken += 1
    while next_url(post.text.data, post.text.size, &pos, &span):
        if taken == POST_URLS:
            found.flags |= FLAG_URLS_TRUNCATED
            break
        if read_url(screen, span.data, span.size, found) != READ_OK:
            return READ_NO_MEMORY
        taken += 1
    return READ_OK


cdef int read_url(Screen screen, const uint8_t* data, size_t size, Found* found) noexcept nogil:
    """Look a URL up and those that it wraps; the innermost is what the post leads to."""
    cdef UrlView url, inside
    cdef Sip128[2] keys
    cdef uint32_t count
    cdef int wraps = 0
    if not screen.every_url and not may_raise_flag(data, size):
        return READ_OK
    if canonical_url(&screen.arena.bump, data, size, &url) != 0:
        return READ_NO_MEMORY
    while True:
        if url.userinfo:
            found.flags |= FLAG_URL_USERINFO
        count = 0
        if screen.lists.tables[KIND_URL].keys > 0 and url.size > 0:
            keys[0] = send_for(screen, KIND_URL, url.canonical, url.size)
            count = 1
            if 0 < url.page_size < url.size:
                keys[1] = send_for(screen, KIND_URL, url.canonical, url.page_size)
                count = 2
        if (
            look_up_domains(screen, url.host, url.host_size) != READ_OK
            or not look_up_all(screen, KIND_URL, keys, count)
        ):
            return READ_NO_MEMORY
        if url.target.size == 0:
            break
        if canonical_url(
            &screen.arena.bump, url.target.data, url.target.size, &inside
        ) != 0:
            return READ_NO_MEMORY
        if inside.host_size == 0:
            break
        if wraps == WRAPS:
            found.flags |= FLAG_URLS_TRUNCATED
            break
        wraps += 1
        url = inside
    return keep_url(screen, &url, found)


cdef bint may_raise_flag(const uint8_t* url, size_t size) noexcept nogil:
    """Say whether a URL may name a user or carry another one."""
    return size > 0 and (memchr(url, 0x40, size) != NULL or memchr(url, 0x3F, size) != NULL)


cdef int keep_url(Screen screen, const UrlView* url, Found* found) noexcept nogil:
    """Remember each URL that a post leads to once."""
    cdef Sip128 identity
    cdef uint32_t i
    if url.size == 0 or not screen.every_link:
        return READ_OK
    if found.urls == NULL:
        found.urls = <Sip128*>bump_alloc(&screen.arena.bump, POST_URLS * sizeof(Sip128))
        if found.urls == NULL:
            return READ_NO_MEMORY
    identity = siphash128(&screen.key, 2, url.canonical, url.size)
    for i in range(found.url_count):
        if (
            found.urls[i].first == identity.first and found.urls[i].second == identity.second
        ):
            return READ_OK
    found.urls[found.url_count] = identity
    found.url_count += 1
    return READ_OK


cdef int read_names(Screen screen, Found* found) noexcept nogil:
    """Look up the hosts that the text names without a scheme."""
    cdef NameSearch search
    cdef TextSpan host
    cdef int outcome
    if screen.lists.tables[KIND_LAST].keys == 0:
        return READ_OK
    memset(&search, 0, sizeof(NameSearch))
    while True:
        outcome = next_name(
            &screen.arena.bump, found.folded, &screen.lists.tables[KIND_LAST], &screen.key, &search,
            &host,
        )
        if outcome == NAME_NO_MEMORY:
            return READ_NO_MEMORY
        if outcome == NAME_TOO_MANY:
            found.flags |= FLAG_URLS_TRUNCATED
        if outcome != NAME_FOUND:
            return READ_OK
        if look_up_domains(screen, host.data, host.size) != READ_OK:
            return READ_NO_MEMORY


cdef int look_up_domains(Screen screen, const uint8_t* host, size_t size) noexcept nogil:
    """Look up a host without its final dot, and every domain above it."""
    cdef size_t longest = screen.lists.longest_domain, start = 0
    cdef Sip128[DOMAINS_AHEAD] keys
    cdef uint32_t count = 0
    if size == 0 or longest == 0:
        return READ_OK
    if host[size - 1] == 0x2E:
        size -= 1
    while True:
        if start < size <= start + longest:
            keys[count] = send_for(screen, KIND_DOMAIN, host + start, size - start)
            count += 1
        while start < size and host[start] != 0x2E:
            start += 1
        if start == size or count == DOMAINS_AHEAD:
            if not look_up_all(screen, KIND_DOMAIN, keys, count):
                return READ_NO_MEMORY
            count = 0
        if start == size:
            return READ_OK
        start += 1


cdef Sip128 send_for(Screen screen, int kind, const uint8_t* data, size_t size) noexcept nogil:
    """Return the key of a value; where it is looked for is on its way."""
    cdef Sip128 key = siphash128(&screen.key, <uint8_t>(0x10 + kind), data, size)
    prefetch_hash(&screen.lists.tables[kind], key)
    return key


cdef bint look_up_all(Screen screen, int kind, const Sip128* keys, uint32_t count) noexcept nogil:
    """Add the entries that keys hit; false when memory ran out."""
    cdef const HashTable* table = &screen.lists.tables[kind]
    cdef const HashSlot* slot
    cdef uint32_t i, j
    for i in range(count):
        slot = find_hash(table, keys[i])
        if slot == NULL:
            continue
        if not reserve_hits(screen, slot.count):
            return False
        for j in range(slot.count):
            screen.hits[screen.hit_count].list = table.pairs[slot.first + j].list
            screen.hits[screen.hit_count].entry = table.pairs[slot.first + j].entry
            screen.hits[screen.hit_count].distance = 0
            screen.hit_count += 1
    return True


cdef bint reserve_hits(Screen screen, size_t more) noexcept nogil:
    """Make room for more hits of the post at hand; false when memory ran out."""
    cdef size_t room
    cdef void* grown
    if more > screen.hit_room - screen.hit_count:
        room = 2 * screen.hit_room + more
        grown = realloc(screen.hits, room * sizeof(HashHit_))
        if grown == NULL:
            return False
        screen.hits = <HashHit_*>grown
        screen.hit_room = room
    return True


cdef int keep_hits(Screen screen, Found* found) noexcept nogil:
    """Order the hits of a post, leave out repeats, and count them by list."""
    cdef size_t i
    cdef HashHit_* hit
    found.hit_count = 0
    found.hits = NULL
    if not reserve_hits(screen, found.near_count):
        return READ_NO_MEMORY
    if found.near_count > 0:
        memcpy(screen.hits + screen.hit_count, found.near, found.near_count * sizeof(HashHit_))
        screen.hit_count += found.near_count
    if screen.hit_count == 0:
        return READ_OK
    qsort(screen.hits, screen.hit_count, sizeof(HashHit_), by_list_and_entry)
    found.hits = <HashHit_*>bump_alloc(&screen.arena.bump, screen.hit_count * sizeof(HashHit_))
    if found.hits == NULL:
        return READ_NO_MEMORY
    for i in range(screen.hit_count):
        hit = &screen.hits[i]
        if i > 0 and by_list_and_entry(hit, &screen.hits[i - 1]) == 0:
            continue
        found.hits[found.hit_count] = hit[0]
        found.hit_count += 1
        found.lists[screen.keyword_lists + hit.list] += 1
        if hit.distance < found.distances[hit.list]:
            found.distances[hit.list] = hit.distance
    return READ_OK
