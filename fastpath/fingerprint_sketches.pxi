# Estimate distinct accounts past the exact cap: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier
# 2007) with integer arithmetic throughout. Included by fingerprints.pyx.

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
