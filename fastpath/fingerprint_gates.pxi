# The lengths and gates of the campaign rules: laid out by type of fingerprint when a table is made,
# asked of the runs that a sighting was counted in. Included by fingerprints.pyx.

# --- From the specification ----------------------------------------------------------------------

cdef object add_type(Table* t, size_t index, list numbered):
    """Lay out the lengths and gates of one type of fingerprint."""
    cdef OfType* of = &t.types[index]
    cdef size_t i
    if not numbered:
        return
    if len(numbered) > MAX_GATES:
        raise BuildError("campaign rules of one type", MAX_GATES, len(numbered))
    lengths = sorted({gate.over_ms for _, gate in numbered})
    identities = [gate.identity for _, gate in numbered]
    if len(set(identities)) != len(identities) or any(len(each) != 8 for each in identities):
        raise BuildError("rule identities of 8 bytes, each once", 8, identities)
    of.tick_ms = <int64_t*>calloc(<size_t>len(lengths), sizeof(int64_t))
    of.floors = <int64_t*>calloc(<size_t>len(lengths), sizeof(int64_t))
    of.gates = <RunGate*>calloc(<size_t>len(numbered), sizeof(RunGate))
    if of.tick_ms == NULL or of.floors == NULL or of.gates == NULL:
        raise MemoryError
    for i in range(<size_t>len(lengths)):
        of.tick_ms[i] = lengths[i] // TICKS
        if of.tick_ms[i] < 1:
            raise BuildError("ms of a run, at least", TICKS, lengths[i])
    of.lengths = <size_t>len(lengths)
    of.ring = t.lateness_ms // of.tick_ms[of.lengths - 1] + RUN_TICKS + 2
    of.ring_floor = INT64_MIN
    of.held_at = <uint32_t*>calloc(<size_t>of.ring, sizeof(uint32_t))
    if of.held_at == NULL:
        raise MemoryError
    of.need = UINT32_MAX
    order = sorted(range(len(numbered)), key=lambda each: numbered[each][1].over_ms)
    for i in range(<size_t>len(numbered)):
        number, gate = numbered[order[i]]
        add_gate(of, number, gate, order[i], lengths.index(gate.over_ms))
    of.build_at = min(of.need, LISTED_KEPT + 1, t.exact)
    for i in range(<size_t>len(identities)):
        of.identity[i] = int.from_bytes(identities[i], "little")
    of.identities = <uint32_t>len(identities)


cdef object add_gate(OfType* of, uint32_t number, gate, int bit, uint32_t length):
    cdef RunGate* made = &of.gates[of.gate_count]
    cdef uint32_t accounts, sightings
    made.corner = <GateCorner*>calloc(<size_t>len(gate.corners) + 1, sizeof(GateCorner))
    if made.corner == NULL:
        raise MemoryError
    of.gate_count += 1
    made.index = number
    made.length = length
    made.bit = <uint64_t>1 << bit
    for accounts, sightings in gate.corners:
        made.corner[made.corners].accounts = accounts
        made.corner[made.corners].sightings = sightings
        made.corners += 1
        of.need = min(of.need, max(accounts, sightings, 1))


cdef void free_type(OfType* of) noexcept nogil:
    cdef size_t i
    for i in range(of.gate_count):
        free(of.gates[i].corner)
    free(of.gates)
    free(of.tick_ms)
    free(of.floors)
    free(of.held_at)


# --- Of a run ------------------------------------------------------------------------------------

cdef inline bint passes(const RunGate* gate, uint32_t accounts, uint32_t sightings) noexcept nogil:
    cdef uint32_t i
    for i in range(gate.corners):
        if accounts >= gate.corner[i].accounts and sightings >= gate.corner[i].sightings:
            return True
    return False


cdef int find_runs(
    Table* t, OfType* of, Full* full, int64_t time, uint64_t counted
) noexcept nogil:
    """Note the runs with a sighting for which a rule holds or may hold; FOUND if there are any."""
    cdef RunGate* gate
    cdef Track* track
    cdef size_t i
    t.full = full
    t.found_count = 0
    for i in range(of.gate_count):
        gate = &of.gates[i]
        track = &full.tracks[gate.length]
        if not counted >> gate.length & 1:
            continue
        # No run has more sightings or accounts than there are sightings.
        if track.sketched or passes(gate, track.size, track.size):
            note_runs(t, gate, track, floor_divide(time, of.tick_ms[gate.length]))
    return FOUND if t.found_count > 0 else COUNTED


cdef void note_runs(Table* t, RunGate* gate, Track* track, int64_t tick) noexcept nogil:
    cdef uint32_t at = find_run(track, tick - RUN_TICKS + 1), accounts
    cdef FoundAt* found
    cdef Run* run
    cdef bint held, told = False
    while at < track.count and track.runs[at].first <= tick:
        run = &track.runs[at]
        held = run.held & gate.bit != 0
        if held and told:
            at += 1  # the first run that the rule held for tells of the sighting
            continue
        told |= held
        accounts = estimate_run(track, at) if track.sketched else run.accounts
        if held or passes(gate, accounts, run.sightings):
            found = &t.found[t.found_count]
            t.found_count += 1
            found.gate = gate
            found.first = run.first
            found.accounts = accounts
            found.sightings = run.sightings
            found.sketched = track.sketched
            found.held = held
        at += 1
