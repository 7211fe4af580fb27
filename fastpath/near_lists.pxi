# Lists that all posts of a chunk are looked up in at once: digests, and hashes by distance.
# Included by screen.pyx; reference/near_lists.py and hashes.py are the definition.

cdef enum:
    HITS = 32  # MAX_HITS
    PDQ_WORDS = 4  # of 64 bits
    PROBES_AHEAD = 16  # slots on their way

if MAX_HITS != HITS:
    raise ImportError("fastpath.screen was compiled with another limit than fastpath.spec has")


cdef struct NearList:
    const NearTable* table
    uint32_t place  # among the hash lists
    int64_t min_quality
    bint of_images


cdef int by_post_entry_and_distance(const void* a, const void* b) noexcept nogil:
    cdef const NearHit* first = <const NearHit*>a
    cdef const NearHit* second = <const NearHit*>b
    if first.query != second.query:
        return -1 if first.query < second.query else 1
    if first.entry != second.entry:
        return -1 if first.entry < second.entry else 1
    return <int>first.distance - <int>second.distance


cdef int by_distance_and_entry(const void* a, const void* b) noexcept nogil:
    cdef const NearHit* first = <const NearHit*>a
    cdef const NearHit* second = <const NearHit*>b
    if first.distance != second.distance:
        return -1 if first.distance < second.distance else 1
    return -1 if first.entry < second.entry else 1


cdef class NearLists:
    """Own the indexes of a screen's lists by distance, and the queries and hits of a chunk."""

    cdef NearList* lists
    cdef uint32_t count
    cdef bint of_texts  # some list compares SimHashes
    cdef list indexes  # what `lists` points into
    cdef uint64_t* queries
    cdef uint32_t* askers  # the post that each query stands for
    cdef size_t room
    cdef NearHits hits

    def __cinit__(self, hash_lists):
        cdef SimHashIndex simhashes
        cdef PdqIndex pdqs
        cdef Digests packed  # holds what the index copies from
        self.indexes = []
        self.lists = <NearList*>calloc(<size_t>len(hash_lists) + 1, sizeof(NearList))
        self.room = CHUNK_RECORDS * POST_MEDIA
        self.queries = <uint64_t*>calloc(self.room, PDQ_WORDS * sizeof(uint64_t))
        self.askers = <uint32_t*>calloc(self.room, sizeof(uint32_t))
        if self.lists == NULL or self.queries == NULL or self.askers == NULL:
            raise MemoryError
        for place, held in enumerate(hash_lists):
            if held.kind == "simhash":
                simhashes = SimHashIndex(simhash_entries(held), held.radius)
                self.lists[self.count].table = &simhashes.table
                self.of_texts = True
            elif held.kind == "pdq":
                packed = pack_digests(held.entries, 32)
                pdqs = PdqIndex(raw_digests(packed), held.radius)
                self.lists[self.count].table = &pdqs.table
                self.lists[self.count].of_images = True
                self.lists[self.count].min_quality = held.min_quality
            else:
                continue
            self.indexes.append(simhashes if held.kind == "simhash" else pdqs)
            self.lists[self.count].place = place
            self.count += 1

    def __dealloc__(self):
        free(self.lists)
        free(self.queries)
        free(self.askers)
        free_hits(&self.hits)

    cdef size_t ask_texts(self, const Found* found, size_t posts) noexcept nogil:
        """Collect the SimHashes of a chunk's posts; return how many."""
        cdef size_t i, n = 0
        for i in range(posts):
            if found[i].status == STATUS_POST and found[i].simhash != 0:
                self.queries[n] = found[i].simhash
                self.askers[n] = <uint32_t>i
                n += 1
        return n

    cdef size_t ask_images(
        self, const NearList* held, const Post* posts, const Found* found, size_t count
    ) noexcept nogil:
        """Collect the PDQ hashes of a chunk's images that are good enough; return how many."""
        cdef size_t i, n = 0
        cdef uint32_t j
        cdef const MediumDigests* medium
        for i in range(count):
            if found[i].status != STATUS_POST:
                continue
            for j in range(min(posts[i].media_count, <uint32_t>POST_MEDIA)):
                medium = &posts[i].media[j]
                if medium.pdq.size == 0 or (
                    medium.pdq_quality >= 0 and medium.pdq_quality < held.min_quality
                ):
                    continue
                hex_bytes(<uint8_t*>(self.queries + PDQ_WORDS * n), medium.pdq.data, 32)
                self.askers[n] = <uint32_t>i
                n += 1
        return n

    cdef int look_up(
        self, Bump* bump, const Post* posts, Found* found, size_t count
    ) noexcept nogil:
        """Look a chunk up in every list; append to found[i].near. READ_OK or READ_NO_MEMORY."""
        cdef uint32_t i
        cdef size_t asked = 0
        cdef int failed
        for i in range(self.count):
            if self.lists[i].of_images:
                asked = self.ask_images(&self.lists[i], posts, found, count)
                failed = find_pdqs(self.lists[i].table, self.queries, asked, &self.hits)
            else:
                asked = self.ask_texts(found, count)
                failed = find_simhashes(self.lists[i].table, self.queries, asked, &self.hits)
            if failed != 0:
                return READ_NO_MEMORY
            if self.hand_out(bump, self.lists[i].place, found, asked) != READ_OK:
                return READ_NO_MEMORY
        return READ_OK

    cdef int hand_out(
        self, Bump* bump, uint32_t place, Found* found, size_t asked
    ) noexcept nogil:
        """Give each post its hits in one list, an entry once, the nearest if there are many."""
        cdef size_t i, at = 0, end, kept
        cdef NearHit* hits = self.hits.hits
        cdef uint32_t post
        for i in range(asked):
            if self.hits.capped[i]:
                found[self.askers[i]].flags |= FLAG_MATCHES_TRUNCATED
        for i in range(self.hits.count):
            hits[i].query = self.askers[hits[i].query]
        if self.hits.count > 1:
            qsort(hits, self.hits.count, sizeof(NearHit), by_post_entry_and_distance)
        while at < self.hits.count:
            post = hits[at].query
            kept = at
            end = at
            while end < self.hits.count and hits[end].query == post:
                if end == at or hits[end].entry != hits[kept - 1].entry:
                    hits[kept] = hits[end]
                    kept += 1
                end += 1
            if not keep_nearest(bump, &found[post], place, hits + at, kept - at):
                return READ_NO_MEMORY
            at = end
        return READ_OK


cdef struct DigestList:
    const DigestTable* table
    uint32_t place  # among the hash lists
    bint of_md5


cdef class DigestLists:
    """Own the tables of a screen's lists of digests, and the queries of a chunk."""

    cdef DigestList* lists
    cdef uint32_t count
    cdef list sets  # what `lists` points into
    cdef uint8_t* queries  # 32 bytes each
    cdef uint64_t* placed
    cdef uint32_t* askers  # the post that each query stands for

    def __cinit__(self, hash_lists, bytes identity_key not None):
        cdef DigestSet held
        cdef size_t room = CHUNK_RECORDS * POST_MEDIA
        self.sets = []
        self.lists = <DigestList*>calloc(<size_t>len(hash_lists) + 1, sizeof(DigestList))
        self.queries = <uint8_t*>calloc(room, 32)
        self.placed = <uint64_t*>calloc(room, sizeof(uint64_t))
        self.askers = <uint32_t*>calloc(room, sizeof(uint32_t))
        if (
            self.lists == NULL or self.queries == NULL or self.placed == NULL
            or self.askers == NULL
        ):
            raise MemoryError
        for place, each in enumerate(hash_lists):
            if each.kind not in ("sha256", "md5"):
                continue
            width = 16 if each.kind == "md5" else 32
            held = DigestSet(pack_digests(each.entries, width), identity_key)
            self.sets.append(held)
            self.lists[self.count].table = &held.table
            self.lists[self.count].place = place
            self.lists[self.count].of_md5 = each.kind == "md5"
            self.count += 1

    def __dealloc__(self):
        free(self.lists)
        free(self.queries)
        free(self.placed)
        free(self.askers)

    cdef size_t ask(
        self, const DigestList* held, const Post* posts, const Found* found, size_t count
    ) noexcept nogil:
        """Collect the digests of a chunk's media and send for their slots; return how many."""
        cdef size_t i, n = 0
        cdef uint32_t j
        cdef const Text* digest
        for i in range(count):
            if found[i].status != STATUS_POST:
                continue
            for j in range(min(posts[i].media_count, <uint32_t>POST_MEDIA)):
                digest = &posts[i].media[j].md5 if held.of_md5 else &posts[i].media[j].sha256
                if digest.size == 0:
                    continue
                hex_bytes(self.queries + 32 * n, digest.data, digest.size // 2)
                self.placed[n] = placement(held.table, self.queries + 32 * n)
                self.askers[n] = <uint32_t>i
                n += 1
        return n

    cdef int look_up(
        self, Bump* bump, const Post* posts, Found* found, size_t count
    ) noexcept nogil:
        """Look a chunk up in every list; append to found[i].near. READ_OK or READ_NO_MEMORY."""
        cdef uint32_t i
        cdef size_t asked, query
        cdef int64_t entry
        cdef NearHit hit
        hit.distance = 0
        for i in range(self.count):
            asked = self.ask(&self.lists[i], posts, found, count)
            for query in range(min(asked, <size_t>PROBES_AHEAD)):
                prefetch_digest(self.lists[i].table, self.placed[query])
            for query in range(asked):
                if query + PROBES_AHEAD < asked:
                    prefetch_digest(self.lists[i].table, self.placed[query + PROBES_AHEAD])
                entry = find_digest(
                    self.lists[i].table, self.queries + 32 * query, self.placed[query]
                )
                if entry < 0:
                    continue
                hit.entry = <uint32_t>entry
                if not keep_nearest(
                    bump, &found[self.askers[query]], self.lists[i].place, &hit, 1
                ):
                    return READ_NO_MEMORY
        return READ_OK


cdef bint keep_nearest(
    Bump* bump, Found* found, uint32_t place, NearHit* hits, size_t count
) noexcept nogil:
    """Append the hits of one list to a post; false without memory."""
    cdef HashHit_* grown
    cdef size_t i
    if count > HITS:
        qsort(hits, count, sizeof(NearHit), by_distance_and_entry)
        count = HITS
        found.flags |= FLAG_MATCHES_TRUNCATED
    grown = <HashHit_*>bump_alloc(bump, (found.near_count + count) * sizeof(HashHit_))
    if grown == NULL:
        return False
    if found.near_count > 0:
        memcpy(grown, found.near, found.near_count * sizeof(HashHit_))
    found.near = grown
    for i in range(count):
        grown[found.near_count].list = place
        grown[found.near_count].entry = hits[i].entry
        grown[found.near_count].distance = hits[i].distance
        found.near_count += 1
    return True


cdef object raw_digests(Digests digests):
    """Return the bytes of digests as a view, which the caller drops before `digests`."""
    if digests.count == 0:
        return b""
    return <const uint8_t[:digests.count * digests.width]>digests.data


cdef object simhash_entries(held):
    """Return the SimHashes of a list's entries: 16 hex digits, or a text that has one."""
    hashes = array("Q", [
        int(entry, 16) if is_simhash(entry) else simhash_of(entry) for entry in held.entries
    ])
    if 0 in hashes:
        raise BuildError("simhash entry", SIMHASH_ENTRY, repr(held.entries[hashes.index(0)]))
    return hashes
