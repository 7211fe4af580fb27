# Arrivals: what Python sees of a sighting with runs to judge, and what a rule that holds for one of
# them brings out. `topics` are the origin topics by number. Included by fingerprints.pyx.

cdef str text_at(const uint8_t* at, size_t size):
    return PyBytes_FromStringAndSize(<const char*>at, <Py_ssize_t>size).decode()


cdef object arrival_of(Table* t, list topics):
    cdef FoundAt* found
    cdef uint32_t i
    cdef int64_t tick_ms
    runs = []
    for i in range(t.found_count):
        found = &t.found[i]
        tick_ms = t.types[t.full.type].tick_ms[found.gate.length]
        runs.append(
            FoundRun(
                found.gate.index,
                found.first * tick_ms,
                (found.first + RUN_TICKS) * tick_ms,
                found.accounts,
                found.sightings,
                bool(found.sketched),
                bool(found.held),
            )
        )
    return Arrival(
        FINGERPRINT_TYPES[t.full.type],
        PyBytes_FromStringAndSize(<const char*>&t.full.key, 16),
        shown_entry(t, topics),
        tuple(runs),
    )


cdef object shown_entry(const Table* t, list topics):
    """Show the sighting that arrived, kept or not."""
    cdef const uint8_t* entry = t.entry
    cdef size_t account_size = load16(entry + 76)
    cdef int64_t created = load64(entry + 52)
    return KeptSighting(
        text_at(entry + ENTRY, account_size),
        None if created == INT64_MIN else created,
        text_at(entry + ENTRY + account_size, load16(entry + 78)),
        load32(entry + 72),
        placed(load64(entry + 44)),
        PyBytes_FromStringAndSize(<const char*>entry + 20, 16),
        topics[t.topic],
        load32(entry + 60),
        load64(entry + 64),
    )


cdef object shown_kept(const Seen* seen, list topics):
    return KeptSighting(
        text_at(account_of(seen), seen.account_size),
        None if seen.created_at == INT64_MIN else seen.created_at,
        text_at(post_of(seen), seen.post_size),
        seen.revision,
        seen.time,
        PyBytes_FromStringAndSize(<const char*>seen.digest, 16),
        topics[seen.topic],
        seen.partition,
        seen.offset,
    )


cdef object take_found(Table* t, list topics, const FoundAt* found):
    """Mark that a rule holds for a run; None if all of it is told."""
    cdef Full* full = t.full
    cdef Track* track = &full.tracks[found.gate.length]
    cdef Run* run = &track.runs[find_run(track, found.first)]
    cdef uint64_t bit = found.gate.bit
    cdef uint64_t done = t.done if t.kept < 0 else full.kept[t.kept].done
    cdef bint held = run.held & bit != 0
    cdef bint opens = not full.opened & bit
    if held and done & bit:
        return None
    run.held |= bit
    full.opened |= bit
    if not held or opens:
        full.state |= IS_CHANGED
        if not list_change(t, full):
            raise MemoryError
    if held or found.sketched:
        return take_arrived(t, topics, bit, opens)
    return take_run(t, topics, found, bit, opens)


cdef object take_arrived(Table* t, list topics, uint64_t bit, bint opens):
    """Bring out the sighting that arrived."""
    cdef uint64_t* done = &t.done if t.kept < 0 else &t.full.kept[t.kept].done
    shown = [shown_entry(t, topics)]
    new = shown if not done[0] & bit else []
    mark(t, done, t.kept, bit)
    return Taken(opens, shown if opens else [], new)


cdef object take_run(Table* t, list topics, const FoundAt* found, uint64_t bit, bint opens):
    """Bring out the sightings of a run by tick, then arrival."""
    cdef Full* full = t.full
    cdef int64_t tick_ms = t.types[full.type].tick_ms[found.gate.length], tick
    cdef uint32_t i
    cdef bint is_new
    by_tick = [[] for _ in range(RUN_TICKS)]
    for i in range(full.count):
        is_new = not full.kept[i].done & bit
        if not is_new and not opens:
            continue
        tick = floor_divide(full.kept[i].seen.time, tick_ms) - found.first
        if tick < 0 or tick >= RUN_TICKS:
            continue
        by_tick[tick].append((shown_kept(full.kept[i].seen, topics), is_new))
        if is_new:
            mark(t, &full.kept[i].done, i, bit)
    told = [each for of_tick in by_tick for each in of_tick]
    shown = [sighting for sighting, _ in told] if opens else []
    return Taken(opens, shown, [sighting for sighting, is_new in told if is_new])


cdef int mark(Table* t, uint64_t* done, int64_t kept, uint64_t bit) except -1:
    """Note that a rule has judged a sighting, which is written anew if it is kept."""
    done[0] |= bit
    if kept >= 0:
        t.full.kept[kept].seen.state |= IS_CHANGED
        if not list_change(t, t.full):
            raise MemoryError
    return 0
