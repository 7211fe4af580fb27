# Count runs past the exact cap, and estimate their distinct accounts: HyperLogLog (Flajolet, Fusy,
# Gandouet, Meunier 2007) with integer arithmetic throughout. Included by fingerprints.pyx.

from decimal import Decimal, localcontext

cdef enum:
    HASH_BITS = 56  # of an account, behind the 8 that choose the register
    LINEAR_BELOW = 640  # 2.5 registers' worth: below, empty registers say more than full ones

# alpha * m * m with alpha = 0.7213 / (1 + 1.079 / m), in 2**-32 units.
cdef uint64_t ALPHA_MM
cdef uint32_t[REGISTERS + 1] LINEAR  # by empty registers: m * ln(m / empty), rounded


def fill_constants(object registers):
    """Compute the constants with integers and decimals, which are the same everywhere."""
    global ALPHA_MM
    cdef size_t empty
    ALPHA_MM = (7213 * registers ** 3 << 32) // (10 * (1000 * registers + 1079))
    with localcontext() as context:
        context.prec = 30
        size = Decimal(registers)
        LINEAR[0] = 0
        for empty in range(1, REGISTERS + 1):
            LINEAR[empty] = int((size * (size / empty).ln()).to_integral_value())


fill_constants(REGISTERS)


cdef bint add_account(
    const Table* t, uint8_t* registers, const uint8_t* account, size_t size
) noexcept nogil:
    """Take an account into a sketch; false if it changed nothing."""
    cdef uint64_t hash_, rest
    cdef uint8_t rank
    blake2b(<uint8_t*>&hash_, 8, t.account_key, t.account_key_size, account, size)
    rest = hash_ >> 8
    rank = HASH_BITS + 1 if rest == 0 else <uint8_t>(__builtin_clzll(rest) - 8 + 1)
    if rank <= registers[hash_ & (REGISTERS - 1)]:
        return False
    registers[hash_ & (REGISTERS - 1)] = rank
    return True


cdef uint32_t estimate_of(const uint8_t* registers) noexcept nogil:
    """Estimate the distinct accounts behind merged registers."""
    cdef fastpath_u128 total = 0, raw
    cdef uint32_t empty = 0, i
    for i in range(REGISTERS):
        total += <fastpath_u128>1 << (64 - registers[i])
        empty += registers[i] == 0
    raw = ((<fastpath_u128>ALPHA_MM << 32) + (total >> 1)) // total
    if empty > 0 and raw <= LINEAR_BELOW:
        return LINEAR[empty]
    return <uint32_t>raw


cdef uint32_t estimate_run(Track* track, uint32_t at) noexcept nogil:
    """Estimate the accounts of a run from the sketches of its ticks."""
    cdef uint8_t[REGISTERS] merged
    cdef Run* run = &track.runs[at]
    cdef uint32_t i, j
    if run.estimate == 0:
        memset(merged, 0, REGISTERS)
        for i in range(at, track.count):
            if track.runs[i].first >= run.first + RUN_TICKS:
                break
            if track.runs[i].registers != NULL:
                for j in range(REGISTERS):
                    merged[j] = max(merged[j], track.runs[i].registers[j])
        run.estimate = estimate_of(merged)
    return run.estimate


# --- Counting past the exact cap -----------------------------------------------------------------

cdef bint give_registers(Table* t, Run* run) noexcept nogil:
    run.registers = <uint8_t*>slab_alloc(&t.slab, REGISTERS)
    if run.registers == NULL:
        return False
    memset(run.registers, 0, REGISTERS)
    run.changed = True
    return True


cdef bint sketch_all(Table* t, OfType* of, Full* full, size_t length) noexcept nogil:
    """Turn what a length keeps into sketches and let it go; false when memory ran out."""
    cdef Track* track = &full.tracks[length]
    cdef int64_t tick
    cdef Run* run
    cdef uint32_t i
    for i in range(full.count):
        tick = floor_divide(full.kept[i].seen.time, of.tick_ms[length])
        if tick < of.floors[length]:
            continue
        run = &track.runs[find_run(track, tick)]
        if run.registers == NULL and not give_registers(t, run):
            return False
        add_account(
            t, run.registers, account_of(full.kept[i].seen), full.kept[i].seen.account_size
        )
        if length == of.lengths - 1:
            held_counter(of, tick)[0] -= 1
            t.held -= 1
    for i in range(track.count):
        track.runs[i].accounts = track.runs[i].estimate = 0
    track.sketched = True
    return True


cdef bint count_sketched(
    Table* t, OfType* of, Track* track, size_t length, const uint8_t* entry
) noexcept nogil:
    """Count a sighting past the exact cap; false when memory ran out."""
    cdef int64_t tick = floor_divide(placed(load64(entry + 44)), of.tick_ms[length])
    cdef int64_t lowest = max(tick - RUN_TICKS + 1, of.floors[length])
    cdef Run* runs = ensure_runs(track, lowest, tick)
    cdef uint32_t i
    cdef bint moved
    if runs == NULL:
        return False
    if runs[tick - lowest].registers == NULL and not give_registers(t, &runs[tick - lowest]):
        return False
    moved = add_account(t, runs[tick - lowest].registers, entry + ENTRY, load16(entry + 76))
    for i in range(<uint32_t>(tick - lowest + 1)):
        runs[i].sightings += 1
        if moved:
            runs[i].estimate = 0
    runs[tick - lowest].at_tick += 1
    runs[tick - lowest].changed = True
    track.size += 1
    return True


cdef bint sum_sketched(Track* track, int64_t floor) noexcept nogil:
    """Count the sightings of every run anew from those of the ticks."""
    cdef uint32_t i, j
    track.size = 0
    for i in range(track.count):
        track.runs[i].sightings = track.runs[i].estimate = 0
        track.size += track.runs[i].at_tick
    i = track.count
    while i > 0:  # from the newest: what is made on the way stands before it
        i -= 1
        if track.runs[i].at_tick > 0:
            j = track.count
            if ensure_runs(
                track, max(track.runs[i].first - RUN_TICKS + 1, floor), track.runs[i].first
            ) == NULL:
                return False
            i += track.count - j
    for i in range(track.count):
        for j in range(i, track.count):
            if track.runs[j].first >= track.runs[i].first + RUN_TICKS:
                break
            track.runs[i].sightings += track.runs[j].at_tick
    return True
