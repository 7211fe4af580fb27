# From rows as they were opened to rows as they are reported: ordered, in code points of the source.


cdef int compare_found(const void* left, const void* right) noexcept nogil:
    cdef uint32_t a = (<const Found*> left).pattern
    cdef uint32_t b = (<const Found*> right).pattern
    return 1 if a > b else -1


cdef inline uint32_t count_below(
    const uint32_t* numbers, uint32_t count, uint32_t limit
) noexcept nogil:
    """Count the numbers below a limit; no branch depends on them."""
    cdef uint32_t i, below = 0
    for i in range(count):
        below += numbers[i] < limit
    return below


cdef void order_found(Found* found, uint32_t count, MatchRow* rows) noexcept nogil:
    """Write rows in the order of their patterns, which are distinct."""
    cdef uint32_t[MAX_ROWS] patterns
    cdef uint32_t i
    if count > MAX_ROWS:
        qsort(found, count, sizeof(Found), &compare_found)
        for i in range(count):
            rows[i] = found[i].row
        return
    for i in range(count):
        patterns[i] = found[i].pattern
    for i in range(count):
        rows[count_below(patterns, count, patterns[i])] = found[i].row


cdef int map_lane(
    Bump* bump, const Lane* lane, uint32_t number, LaneMap* maps
) noexcept nogil:
    """Map a lane to its source; NULL where each byte comes from the code point at its place."""
    if number == LANE_SQUEEZED:
        return map_squeezed_lane(bump, lane, &maps[number])
    maps[number].start = NULL
    if (
        number != LANE_SKELETON and lane.size == lane.source_size
        and is_ascii(lane.source, lane.source_size)
    ):
        return 0
    if number == LANE_RAW:
        return map_raw_lane(bump, lane, &maps[number])
    return map_folded_lane(bump, lane, &maps[number])


cdef int write_rows(
    ScanState* state, Bump* bump, const PostText* text, uint32_t count, PostMatches* out
) noexcept nogil:
    """Order the rows of a post and turn lane bytes into code points of its source."""
    cdef LaneMap[LANE_COUNT] maps
    cdef bint[LANE_COUNT] mapped
    cdef const LaneMap* places
    cdef MatchRow* row
    cdef uint32_t i
    memset(mapped, 0, sizeof(mapped))
    out.rows = <MatchRow*> bump_alloc(bump, count * sizeof(MatchRow))
    if out.rows == NULL:
        return -1
    order_found(state.found, count, out.rows)
    for i in range(count):
        row = &out.rows[i]
        if not mapped[row.lane]:
            if map_lane(state.scratch, &text.lanes[row.lane], row.lane, maps):
                return -1
            mapped[row.lane] = True
        places = &maps[row.lane]
        if places.start != NULL:
            row.start = places.start[row.start]
            row.end = places.end[row.end - 1]
    out.count = count
    return 0
