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


# --- Reading -------------------------------------------------------------------------------------

cdef struct Reader:
    const uint8_t* at
    const uint8_t* end
    bint broken  # malformed: what was read since is worthless


cdef uint64_t get_number(Reader* r) noexcept nogil:
    cdef uint64_t value = 0
    cdef const uint8_t* after
    if r.broken:
        return 0
    after = get_varint(r.at, r.end, &value)
    if after == NULL:
        r.broken = True
        return 0
    r.at = after
    return value


cdef const uint8_t* get_bytes(Reader* r, size_t size) noexcept nogil:
    cdef const uint8_t* at = r.at
    if r.broken or size > <size_t>(r.end - r.at):
        r.broken = True
        return NULL
    r.at += size
    return at


cdef uint32_t get_bounded(Reader* r, uint64_t most) noexcept nogil:
    cdef uint64_t value = get_number(r)
    if value > most:
        r.broken = True
        return 0
    return <uint32_t>value


cdef const uint8_t* get_text(Reader* r, uint16_t* size) noexcept nogil:
    cdef const uint8_t* at
    size[0] = <uint16_t>get_bounded(r, 65535)
    at = get_bytes(r, size[0])
    if at == NULL or not is_utf8(at, size[0]):
        r.broken = True
    return at


cdef uint32_t get_rules(Reader* r, OfType* of, uint64_t* bits) noexcept nogil:
    """Read rules; each gets its bit, or one of its own if the bundle at hand lacks it."""
    cdef uint32_t count = get_bounded(r, MAX_GATES), i, j
    cdef uint64_t identity
    cdef const uint8_t* at
    for i in range(count):
        at = get_bytes(r, 8)
        if at == NULL:
            return 0
        memcpy(&identity, at, 8)
        for j in range(of.identities):
            if of.identity[j] == identity:
                break
        else:
            j = of.identities
            if j < MAX_GATES:
                of.identity[j] = identity
                of.identities += 1
        # Past 64 rules of many bundles the oldest marks are not carried on.
        bits[i] = <uint64_t>1 << j if j < MAX_GATES else 0
    return count


cdef uint64_t get_mask(Reader* r, const uint64_t* bits, uint32_t count) noexcept nogil:
    cdef uint64_t mask = get_number(r), found = 0
    cdef uint32_t i
    for i in range(count):
        if mask >> i & 1:
            found |= bits[i]
    if count < 64 and mask >> count != 0:
        r.broken = True
    return found


cdef Full* full_at(Table* t, const Sip128* key, uint8_t type_) noexcept nogil:
    """Return a fingerprint, made if need be, to restore parts of; NULL when memory ran out."""
    cdef Subtable* sub = subtable_of(t, key)
    cdef uint32_t hash_ = place_of(t, key)
    cdef Slot* slot = find_slot(sub, hash_, key, type_)
    cdef Full* full
    if slot != NULL and is_full(slot.entry):
        return <Full*>slot.entry
    if slot != NULL:
        full = unfold(t, <Lone*>slot.entry)
        if full != NULL:
            slot.entry = full
        return full
    full = new_full(t, key, type_)
    if full == NULL:
        return NULL
    if not insert_slot(t, sub, hash_, full, 0):
        slab_free(&t.slab, full, sizeof(Full))
        return NULL
    return full


cdef bint restore_sighting(
    Table* t, Reader* r, uint8_t type_, const Sip128* key, uint16_t topic, Seen* head,
) noexcept nogil:
    """Keep a sighting, or what is new of one that is kept; false when memory ran out.

    `head` has the fixed part; the reader stands at the account.
    """
    cdef const uint8_t* account = get_text(r, &head.account_size)
    cdef const uint8_t* post = get_text(r, &head.post_size)
    cdef uint64_t[MAX_GATES] bits
    cdef uint64_t done = 0
    cdef uint32_t rules = get_rules(r, &t.types[type_], bits), i
    cdef Subtable* sub = subtable_of(t, key)
    cdef Seen* seen
    cdef Lone* lone
    cdef uint32_t hash_ = place_of(t, key)
    cdef size_t ids = <size_t>head.account_size + head.post_size
    if r.broken or r.at != r.end:
        r.broken = True
        return True
    for i in range(rules):
        done |= bits[i]
    head.type = type_
    head.state = 0
    head.topic = topic
    if done == 0 and find_slot(sub, hash_, key, type_) == NULL:
        lone = <Lone*>slab_alloc(&t.slab, sizeof(Lone) + ids)
        if lone == NULL:
            return False
        lone.key = key[0]
        lone.seen = head[0]
        memcpy(account_of(&lone.seen), account, head.account_size)
        memcpy(post_of(&lone.seen), post, head.post_size)
        return insert_slot(t, sub, hash_, lone, 0)
    seen = <Seen*>slab_alloc(&t.slab, sizeof(Seen) + ids)
    if seen == NULL:
        return False
    seen[0] = head[0]
    memcpy(account_of(seen), account, head.account_size)
    memcpy(post_of(seen), post, head.post_size)
    return restore_again(t, key, seen, done)


cdef bint restore_again(Table* t, const Sip128* key, Seen* seen, uint64_t done) noexcept nogil:
    """Keep one more sighting of a fingerprint, or the rules that have judged a kept one."""
    cdef Full* full = full_at(t, key, seen.type)
    cdef uint32_t same_at
    if full == NULL or (
        full.count == full.capacity and not reserve_kept(t, full, 2 * full.capacity + 2)
    ):
        slab_free(&t.slab, seen, seen_bytes(seen))
        return False
    full.state |= IS_STALE
    append_kept(t, full, seen)
    full.count -= 1
    same_at = find_twice(full, full.count)
    if same_at < full.count:
        seen.state = full.kept[same_at].seen.state
        slab_free(&t.slab, full.kept[same_at].seen, seen_bytes(full.kept[same_at].seen))
        full.kept[same_at].seen = seen
        full.kept[same_at].done = done
        return True
    full.kept[full.count].done = done
    full.count += 1
    full.newest = max(full.newest, seen.time)
    if full.count <= LISTED_KEPT:
        return True
    if not is_index_full(full, full.count):
        index_kept(full, full.count - 1)
        return True
    return new_index(full, full.count)


cdef ssize_t length_of(const OfType* of, uint64_t over_ms) noexcept nogil:
    """Find a length of run, -1 where no rule reads it any more."""
    cdef size_t i
    for i in range(of.lengths):
        if <uint64_t>of.tick_ms[i] * RUN_TICKS == over_ms:
            return <ssize_t>i
    return -1


cdef bint is_tick(const OfType* of, ssize_t length, int64_t tick) noexcept nogil:
    """Say whether a tick is one that a time can have, or the first of a run with such a one."""
    return (
        tick >= floor_divide(FIRST_TIME, of.tick_ms[length]) - RUN_TICKS
        and tick <= floor_divide(LAST_TIME, of.tick_ms[length])
    )


cdef void clear_marks(const OfType* of, Full* full) noexcept nogil:
    cdef size_t i
    cdef uint32_t j
    full.opened = 0
    if full.tracks != NULL:
        for i in range(of.lengths):
            for j in range(full.tracks[i].count):
                full.tracks[i].runs[j].held = 0


cdef bint restore_marks(Table* t, Reader* r, uint8_t type_, const Sip128* key) noexcept nogil:
    """Set the marks of a fingerprint; false when memory ran out."""
    cdef OfType* of = &t.types[type_]
    cdef Full* full = full_at(t, key, type_)
    cdef uint64_t[MAX_GATES] bits
    cdef uint32_t rules, held
    cdef ssize_t length
    cdef int64_t first
    cdef uint64_t mask
    cdef Run* run
    if full == NULL or not make_tracks(t, full):
        return False
    full.state |= IS_STALE
    clear_marks(of, full)
    rules = get_rules(r, of, bits)
    full.opened = get_mask(r, bits, rules)
    while not r.broken and r.at != r.end:
        length = length_of(of, get_number(r))
        held = get_bounded(r, UINT32_MAX)
        while held > 0 and not r.broken:
            held -= 1
            first = unzigzag(get_number(r))
            mask = get_mask(r, bits, rules)
            if r.broken or length < 0:
                continue
            if not is_tick(of, length, first):
                r.broken = True
                continue
            run = ensure_runs(&full.tracks[length], first, first)
            if run == NULL:
                return False
            run.held = mask
    return True


cdef bint restore_sketch(Table* t, Reader* r, uint8_t type_, const Sip128* key) noexcept nogil:
    """Set the sketch of a tick; false when memory ran out."""
    cdef OfType* of = &t.types[type_]
    cdef ssize_t length = length_of(of, get_number(r))
    cdef int64_t tick = unzigzag(get_number(r))
    cdef uint32_t sightings = get_bounded(r, UINT32_MAX)
    cdef const uint8_t* registers = get_bytes(r, REGISTERS)
    cdef Full* full
    cdef Track* track
    cdef Run* run
    cdef uint32_t i
    if r.broken or r.at != r.end or sightings == 0:
        r.broken = True
        return True
    if length < 0:
        return True
    for i in range(REGISTERS):
        if registers[i] > HASH_BITS + 1:
            r.broken = True
            return True
    full = full_at(t, key, type_)
    if not is_tick(of, length, tick):
        r.broken = True
        return True
    if full == NULL or not make_tracks(t, full):
        return False
    track = &full.tracks[length]
    run = ensure_runs(track, tick, tick)
    if run == NULL or (run.registers == NULL and not give_registers(t, run)):
        return False
    memcpy(run.registers, registers, REGISTERS)
    if not track.sketched:
        let_go(full, track)
    track.size += sightings - run.at_tick
    run.at_tick = sightings
    run.changed = False
    full.state |= IS_STALE
    full.newest = max(full.newest, tick * of.tick_ms[length])
    return True


cdef void let_go(Full* full, Track* track) noexcept nogil:
    """Take back exact counts: this length is past the cap."""
    cdef uint32_t i
    for i in range(track.count):
        track.runs[i].at_tick = 0
    track.size = 0
    track.sketched = True


cdef void recount(Table* t) noexcept nogil:
    """Count anew what is kept exactly by the longest runs."""
    cdef OfType* of
    cdef size_t i
    cdef uint32_t j
    t.recount = False
    t.held = 0
    for i in range(TYPES):
        of = &t.types[i]
        if of.lengths > 0:
            memset(of.held_at, 0, <size_t>of.ring * sizeof(uint32_t))
            of.ring_floor = of.floors[of.lengths - 1]
    for i in range(SUBTABLES):
        for j in range(t.subs[i].capacity):
            if t.subs[i].slots[j].entry != NULL:
                recount_entry(t, t.subs[i].slots[j].entry)


cdef void recount_entry(Table* t, void* entry) noexcept nogil:
    cdef const Lone* lone = <const Lone*>entry
    cdef Full* full = <Full*>entry
    cdef OfType* of = &t.types[lone.seen.type]
    cdef size_t longest = of.lengths - 1
    cdef uint32_t i
    if not is_full(entry):
        if floor_divide(lone.seen.time, of.tick_ms[longest]) >= of.floors[longest]:
            hold(t, of, lone.seen.time)
        return
    retire_all(t, full)
    if full.tracks != NULL and full.tracks[longest].sketched:
        return
    for i in range(full.count):
        if floor_divide(full.kept[i].seen.time, of.tick_ms[longest]) >= of.floors[longest]:
            hold(t, of, full.kept[i].seen.time)
