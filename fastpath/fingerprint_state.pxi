# State of fingerprints as packed entries (fastpath.changelog). Included by fingerprints.pyx.
#
# A key is the fingerprint with its halves exchanged (the first half chose the partition), or for
# a sighting or sketch a hash under the deployment key with the same first byte, so that all of a
# fingerprint is of one slice. Values, numbers as varints, signed ones in zigzag:
#
#   sighting  1, type, fingerprint 16, time, 0 or 1 + account created_at, arrival, offset,
#             partition, revision, digest 16, topic, account, post (size and UTF-8), n, n x rule 8:
#             the rules that have judged it
#   marks     2, type, fingerprint 16, n, n x rule 8, mask of those that have opened a campaign,
#             then per length with runs that a rule holds for: ms, m, m x (first tick, mask)
#   sketch    3, type, fingerprint 16, length ms, tick, sightings, 256 registers
#
# A rule is named by its identity, so marks outlive a change of the bundle. A sighting and a
# sketch need no delete: stream time says when they have passed. Marks of a fingerprint that is
# seen again after all its sightings have passed are deleted; the value is 2, type.

from libc.stdlib cimport qsort

cdef enum:
    ONE_SIGHTING = 1
    MARKS = 2
    ONE_SKETCH = 3

    FIXED = 128  # bytes of a value but for names, rules, runs and registers


cdef inline void swap_halves(Sip128* out, const Sip128* key) noexcept nogil:
    cdef uint64_t first = key.first
    out.first = key.second
    out.second = first


cdef bint list_change(Table* t, void* entry) noexcept nogil:
    """Note that a fingerprint has something to write; false when memory ran out."""
    cdef Lone* lone = <Lone*>entry  # type and state of either stand there
    cdef size_t capacity
    cdef void* grown
    if not t.recording or lone.seen.state & IS_LISTED:
        return True
    if t.changed_count == t.changed_capacity:
        capacity = 2 * t.changed_capacity + 256
        grown = realloc(t.changed, capacity * sizeof(Changed))
        if grown == NULL:
            return False
        t.changed = <Changed*>grown
        t.changed_capacity = capacity
    t.changed[t.changed_count].key = lone.key
    t.changed[t.changed_count].type = lone.seen.type
    t.changed_count += 1
    lone.seen.state |= IS_LISTED
    return True


cdef bint has_marks(const Full* full, const OfType* of) noexcept nogil:
    """Say whether a rule holds or has held."""
    cdef size_t i
    cdef uint32_t j
    if full.opened != 0:
        return True
    if full.tracks != NULL:
        for i in range(of.lengths):
            for j in range(full.tracks[i].count):
                if full.tracks[i].runs[j].held != 0:
                    return True
    return False


cdef void forget(Table* t, const void* entry) noexcept nogil:
    """Write that the marks of a fingerprint which is about to be freed are gone."""
    cdef const Full* full = <const Full*>entry
    cdef Sip128 key
    cdef uint8_t[2] value
    if not t.recording or not is_full(entry) or not has_marks(full, &t.types[full.type]):
        return
    swap_halves(&key, &full.key)
    value[0] = MARKS
    value[1] = full.type
    append_entry(&t.gone, &key, ENTRY_DEL, value, 2)


# --- Writing -------------------------------------------------------------------------------------

cdef inline uint8_t* put_bytes(uint8_t* at, const void* data, size_t size) noexcept nogil:
    memcpy(at, data, size)
    return at + size


cdef inline uint8_t* put_named(uint8_t* at, const void* data, size_t size) noexcept nogil:
    return put_bytes(put_varint(at, size), data, size)


cdef inline uint8_t* put_head(
    uint8_t* at, uint8_t kind, uint8_t type_, const Sip128* fingerprint
) noexcept nogil:
    at[0] = kind
    at[1] = type_
    return put_bytes(at + 2, fingerprint, 16)


cdef uint32_t rules_of(const OfType* of, uint64_t bits, uint8_t* order) noexcept nogil:
    """List set bits by the identities of their rules, which no process numbers in another way."""
    cdef uint32_t count = 0, i, at
    for i in range(of.identities):
        if not bits >> i & 1:
            continue
        at = count
        while at > 0 and of.identity[order[at - 1]] > of.identity[i]:
            order[at] = order[at - 1]
            at -= 1
        order[at] = <uint8_t>i
        count += 1
    return count


cdef uint8_t* put_rules(
    uint8_t* at, const OfType* of, const uint8_t* order, uint32_t count
) noexcept nogil:
    cdef uint32_t i
    at = put_varint(at, count)
    for i in range(count):
        at = put_bytes(at, &of.identity[order[i]], 8)
    return at


cdef uint64_t ordered_mask(uint64_t bits, const uint8_t* order, uint32_t count) noexcept nogil:
    """Number bits as the rules are listed."""
    cdef uint64_t mask = 0
    cdef uint32_t i
    for i in range(count):
        mask |= (bits >> order[i] & 1) << i
    return mask


cdef struct TopicName:
    const uint8_t* data
    size_t size


cdef struct Writer:
    EntryBuffer* out
    EntryBuffer value  # of one entry
    TopicName* topics


cdef list start_writing(Writer* w, EntryBuffer* out, list topics):
    """Point a writer at the topics' names; the list keeps them alive."""
    cdef size_t i
    cdef bytes name
    memset(w, 0, sizeof(Writer))
    memset(out, 0, sizeof(EntryBuffer))
    w.out = out
    names = [topic.encode() for topic in topics]
    w.topics = <TopicName*>malloc((<size_t>len(names) + 1) * sizeof(TopicName))
    if w.topics == NULL:
        raise MemoryError
    for i in range(<size_t>len(names)):
        name = names[i]
        w.topics[i].data = <const uint8_t*>PyBytes_AS_STRING(name)
        w.topics[i].size = <size_t>len(name)
    return names


cdef void end_writing(Writer* w, list names):
    free_entries(w.out)
    free_entries(&w.value)
    free(w.topics)


cdef bytes written(const Writer* w, bint whole):
    if not whole or w.out.broken or w.value.broken:
        raise MemoryError
    return PyBytes_FromStringAndSize(<const char*>w.out.data, <Py_ssize_t>w.out.size)


cdef uint8_t* begin_value(Writer* w, size_t size) noexcept nogil:
    w.value.size = 0
    return reserve_entry_bytes(&w.value, size)


cdef void end_value(Writer* w, const Sip128* key, uint8_t* end) noexcept nogil:
    append_entry(w.out, key, ENTRY_SET, w.value.data, <uint32_t>(end - w.value.data))


cdef void name_part(
    Table* t, Sip128* key, uint8_t tag, const Sip128* fingerprint, const uint8_t* at, size_t size
) noexcept nogil:
    """Name a part of a fingerprint, in the slice of the fingerprint."""
    key[0] = siphash128(&t.naming, tag, at, size)
    key.first = (key.first & ~<uint64_t>0xFF) | (fingerprint.second & 0xFF)


cdef void write_sighting(
    Table* t, Writer* w, const Sip128* fingerprint, const Seen* seen, uint64_t done
) noexcept nogil:
    cdef const OfType* of = &t.types[seen.type]
    cdef const TopicName* topic = &w.topics[seen.topic]
    cdef uint8_t[MAX_GATES] order
    cdef uint32_t rules = rules_of(of, done, order)
    cdef size_t ids = <size_t>seen.account_size + seen.post_size
    cdef uint8_t* at = begin_value(w, FIXED + topic.size + ids + 8 * <size_t>rules)
    cdef Sip128 key
    cdef int64_t stands
    if at == NULL:
        return
    # The name is of what makes the element: fingerprint, time, revision, ids.
    stands = seen.time
    at = put_bytes(at, fingerprint, 16)
    at = put_bytes(at, &stands, 8)
    at = put_bytes(at, &seen.revision, 4)
    at = put_bytes(at, &seen.account_size, 2)
    at = put_bytes(at, account_of(seen), ids)
    name_part(t, &key, ONE_SIGHTING, fingerprint, w.value.data, <size_t>(at - w.value.data))
    at = put_head(w.value.data, ONE_SIGHTING, seen.type, fingerprint)
    at = put_varint(at, zigzag(seen.time))
    at = put_varint(at, 0 if seen.created_at == INT64_MIN else 1 + zigzag(seen.created_at))
    at = put_varint(at, <uint64_t>seen.arrival)
    at = put_varint(at, zigzag(seen.offset))
    at = put_varint(at, seen.partition)
    at = put_varint(at, seen.revision)
    at = put_bytes(at, seen.digest, 16)
    at = put_named(at, topic.data, topic.size)
    at = put_named(at, account_of(seen), seen.account_size)
    at = put_named(at, post_of(seen), seen.post_size)
    at = put_rules(at, of, order, rules)
    end_value(w, &key, at)


cdef uint64_t marked_rules(const Full* full, const OfType* of, uint32_t* runs) noexcept nogil:
    """Return the bits that stand anywhere in what is live, and count the runs with any."""
    cdef uint64_t bits = full.opened
    cdef const Track* track
    cdef size_t i
    cdef uint32_t j
    runs[0] = 0
    if full.tracks != NULL:
        for i in range(of.lengths):
            track = &full.tracks[i]
            for j in range(track.count):
                if track.runs[j].held != 0 and track.runs[j].first >= of.floors[i]:
                    bits |= track.runs[j].held
                    runs[0] += 1
    return bits


cdef void write_marks(Table* t, Writer* w, const Full* full) noexcept nogil:
    cdef const OfType* of = &t.types[full.type]
    cdef const Track* track
    cdef uint8_t[MAX_GATES] order
    cdef uint32_t runs, rules, held, j
    cdef uint64_t bits = marked_rules(full, of, &runs)
    cdef size_t i
    cdef Sip128 key
    cdef uint8_t* at
    if bits == 0:
        return
    rules = rules_of(of, bits, order)
    at = begin_value(w, FIXED + 8 * <size_t>rules + 20 * (<size_t>runs + of.lengths))
    if at == NULL:
        return
    at = put_head(at, MARKS, full.type, &full.key)
    at = put_rules(at, of, order, rules)
    at = put_varint(at, ordered_mask(full.opened, order, rules))
    for i in range(of.lengths if full.tracks != NULL else 0):
        track = &full.tracks[i]
        held = 0
        for j in range(track.count):
            held += track.runs[j].held != 0 and track.runs[j].first >= of.floors[i]
        if held == 0:
            continue
        at = put_varint(put_varint(at, <uint64_t>of.tick_ms[i] * RUN_TICKS), held)
        for j in range(track.count):
            if track.runs[j].held != 0 and track.runs[j].first >= of.floors[i]:
                at = put_varint(at, zigzag(track.runs[j].first))
                at = put_varint(at, ordered_mask(track.runs[j].held, order, rules))
    swap_halves(&key, &full.key)
    end_value(w, &key, at)


cdef void write_sketch(
    Table* t, Writer* w, const Full* full, size_t length, const Run* run
) noexcept nogil:
    cdef int64_t over_ms = t.types[full.type].tick_ms[length] * RUN_TICKS
    cdef uint8_t* at = begin_value(w, FIXED + REGISTERS)
    cdef Sip128 key
    if at == NULL:
        return
    at = put_bytes(put_bytes(put_bytes(at, &full.key, 16), &over_ms, 8), &run.first, 8)
    at[0] = full.type
    name_part(t, &key, ONE_SKETCH, &full.key, w.value.data, 33)
    at = put_head(w.value.data, ONE_SKETCH, full.type, &full.key)
    at = put_varint(at, <uint64_t>over_ms)
    at = put_varint(at, zigzag(run.first))
    at = put_varint(at, run.at_tick)
    end_value(w, &key, put_bytes(at, run.registers, REGISTERS))


cdef void write_entry(Table* t, Writer* w, void* entry, bint all_of_it) noexcept nogil:
    """Write what is live of a fingerprint, or only what has changed of it since it was written."""
    cdef Lone* lone = <Lone*>entry
    cdef Full* full = <Full*>entry
    cdef OfType* of = &t.types[lone.seen.type]
    cdef size_t i
    cdef uint32_t j
    if not is_full(entry):
        if all_of_it or lone.seen.state & IS_CHANGED:
            write_sighting(t, w, &lone.key, &lone.seen, 0)
        return
    if all_of_it or full.state & IS_CHANGED:
        write_marks(t, w, full)
    for j in range(full.count):
        if (all_of_it or full.kept[j].seen.state & IS_CHANGED) and is_kept(
            t, full, full.kept[j].seen
        ):
            write_sighting(t, w, &full.key, full.kept[j].seen, full.kept[j].done)
    if full.tracks == NULL:
        return
    for i in range(of.lengths):
        write_sketches(t, w, full, i, all_of_it)


cdef void write_sketches(
    Table* t, Writer* w, const Full* full, size_t length, bint all_of_it
) noexcept nogil:
    cdef const Track* track = &full.tracks[length]
    cdef uint32_t i
    for i in range(track.count):
        if (
            track.runs[i].registers != NULL
            and track.runs[i].first >= t.types[full.type].floors[length]
            and (all_of_it or track.runs[i].changed)
        ):
            write_sketch(t, w, full, length, &track.runs[i])


cdef void mark_written(Table* t, void* entry) noexcept nogil:
    cdef Lone* lone = <Lone*>entry
    cdef Full* full = <Full*>entry
    cdef uint8_t clear = ~<uint8_t>(IS_CHANGED | IS_LISTED)
    cdef size_t i
    cdef uint32_t j
    lone.seen.state &= clear  # of either kind
    if not is_full(entry):
        return
    for j in range(full.count):
        full.kept[j].seen.state &= clear
    if full.tracks != NULL:
        for i in range(t.types[full.type].lengths):
            for j in range(full.tracks[i].count):
                full.tracks[i].runs[j].changed = False


cdef void write_changes(Table* t, Writer* w) noexcept nogil:
    """Write every listed fingerprint's changes and empty the list."""
    cdef size_t i
    cdef Subtable* sub
    cdef Slot* slot
    for i in range(t.changed_count):
        sub = subtable_of(t, &t.changed[i].key)
        slot = find_slot(
            sub, place_of(t, &t.changed[i].key), &t.changed[i].key, t.changed[i].type
        )
        # One that has passed in the meantime was freed or begun anew.
        if slot != NULL:
            write_entry(t, w, slot.entry, False)
            mark_written(t, slot.entry)
    t.changed_count = 0


cdef int by_key(const void* a, const void* b) noexcept nogil:
    cdef const Lone* left = (<const Lone**>a)[0]
    cdef const Lone* right = (<const Lone**>b)[0]
    cdef int order = memcmp(&left.key, &right.key, 16)
    return order if order != 0 else <int>left.seen.type - <int>right.seen.type


cdef bint write_slice(Table* t, Writer* w, const Subtable* sub) noexcept nogil:
    """Write what is live of a slice, in an order that does not show the placement."""
    cdef void** entries = <void**>malloc((<size_t>sub.count + 1) * sizeof(void*))
    cdef size_t count = 0, i
    if entries == NULL:
        return False
    for i in range(sub.capacity):
        if sub.slots[i].entry != NULL and not is_past(t, sub.slots[i].entry):
            entries[count] = sub.slots[i].entry
            count += 1
    qsort(entries, count, sizeof(void*), by_key)
    for i in range(count):
        if is_full(entries[i]) and (<Full*>entries[i]).state & IS_STALE:
            sort_by_arrival(<Full*>entries[i])
            retire_all(t, <Full*>entries[i])
        write_entry(t, w, entries[i], True)
    free(entries)
    return True
