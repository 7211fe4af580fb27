# Sightings of a post, one per fingerprint. Included by screen.pyx.

cdef bint pack_post(
    Screen screen, const Post* post, Found* found, uint32_t partition, int64_t offset
) noexcept nogil:
    """Pack the post's sightings in the order of types; false when memory ran out."""
    cdef PackedEntry entry
    cdef Sip128[16] media
    cdef uint32_t i, j, count = 0
    entry.text_digest = found.digest
    entry.simhash = found.simhash
    entry.time = found.time
    entry.account_created_at = post.account_created_at
    entry.partition = partition
    entry.offset = offset
    entry.revision = post.revision
    entry.account = post.account.data
    entry.account_size = <uint16_t>post.account.size
    entry.post = post.id.data
    entry.post_size = <uint16_t>post.id.size
    if screen.packs[0] and not pack_text(screen, found, &entry):
        return False
    if screen.packs[1]:
        for i in range(found.url_count):
            if not pack_one(screen, &entry, 2, found.urls[i]):
                return False
    if screen.packs[2]:
        for i in range(min(post.media_count, <uint32_t>POST_MEDIA)):
            if not medium_identity(screen, &post.media[i], &media[count]):
                continue
            j = 0
            while j < count and (
                media[j].first != media[count].first or media[j].second != media[count].second
            ):
                j += 1
            if j == count:
                if not pack_one(screen, &entry, 3, media[count]):
                    return False
                count += 1
    if screen.packs[3] and post.repost_of.size > 0:
        if not pack_one(
            screen, &entry, 4, siphash128(&screen.key, 4, post.repost_of.data, post.repost_of.size)
        ):
            return False
    if screen.packs[4] and post.device.size > 0:
        if not pack_one(
            screen, &entry, 5, siphash128(&screen.key, 5, post.device.data, post.device.size)
        ):
            return False
    return True


cdef bint pack_one(
    Screen screen, PackedEntry* entry, uint8_t type_code, Sip128 identity
) noexcept nogil:
    cdef uint8_t[16] fingerprint
    store_sip(fingerprint, identity)
    entry.fingerprint = fingerprint
    entry.type_code = type_code
    screen.counts[COUNT_SIGHTINGS] += 1
    return screen.packer.add(entry)


cdef bint pack_text(Screen screen, const Found* found, PackedEntry* entry) noexcept nogil:
    """Pack the sighting of the normalised text, unless it has no letters or is exempt."""
    cdef Normalised normalised
    cdef const HashTable* phrases = &screen.lists.tables[KIND_PHRASE]
    cdef ByteSpan span
    if normalise(&screen.arena.bump, found.folded, &normalised) != 0:
        return False
    if not normalised.content:
        return True
    if phrases.keys > 0:
        span = trim(found.folded.data, found.folded.size)
        if find_hash(
            phrases,
            siphash128(
                &screen.key, 0x10 + KIND_PHRASE, found.folded.data + span.start,
                span.end - span.start,
            ),
        ) != NULL:
            return True
    return pack_one(
        screen, entry, 1, siphash128(&screen.key, 1, normalised.data, normalised.size)
    )


cdef bint medium_identity(Screen screen, const MediumDigests* medium, Sip128* out) noexcept nogil:
    """Return whether a medium has a digest, and the identity of the best one."""
    cdef uint8_t[72] name
    cdef size_t size
    if medium.sha256.size > 0:
        memcpy(name, b"sha256:", 7)
        memcpy(name + 7, medium.sha256.data, 64)
        size = 71
    elif medium.md5.size > 0:
        memcpy(name, b"md5:", 4)
        memcpy(name + 4, medium.md5.data, 32)
        size = 36
    elif medium.pdq.size > 0:
        memcpy(name, b"pdq:", 4)
        memcpy(name + 4, medium.pdq.data, 64)
        size = 68
    else:
        return False
    out[0] = siphash128(&screen.key, 3, name, size)
    return True
