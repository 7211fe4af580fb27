# Times as RFC 3339 or epoch milliseconds; fastpath/rfc3339.py is the definition. Included by
# posts.pyx.

cdef inline int two_digits(const uint8_t* at) noexcept nogil:
    """Return the value of two digits, or a number far below zero."""
    if at[0] < 0x30 or at[0] > 0x39 or at[1] < 0x30 or at[1] > 0x39:
        return -100000
    return 10 * (at[0] - 0x30) + (at[1] - 0x30)


cdef int64_t days_from_epoch(int year, int month, int day) noexcept nogil:
    """Count days since 1970-01-01 in the Gregorian calendar; the year begins in March."""
    cdef int shifted = year - 1 if month <= 2 else year
    cdef int era = shifted // 400
    cdef int of_era = shifted - era * 400
    cdef int of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    cdef int day_of_era = of_era * 365 + of_era // 4 - of_era // 100 + of_year
    return <int64_t>era * 146097 + day_of_era - 719468


cdef inline int days_in(int year, int month) noexcept nogil:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31


cdef bint read_rfc3339(Reader* r, int64_t* out) noexcept nogil:
    """Read an RFC 3339 time from 1970 on; leap seconds and what else is odd are slow."""
    cdef Literal literal
    cdef const uint8_t* t
    cdef const uint8_t* end
    cdef int year, month, day, hour, minute, second, fraction = 0, scale = 100, offset = 0
    cdef int sign
    cdef int64_t time
    if not read_string(r, &literal):
        return False
    t = literal.data
    end = t + literal.size
    if literal.escaped or literal.size < 20:
        return slow(r)
    year = two_digits(t) * 100 + two_digits(t + 2)
    month = two_digits(t + 5)
    day = two_digits(t + 8)
    hour = two_digits(t + 11)
    minute = two_digits(t + 14)
    second = two_digits(t + 17)
    if (
        t[4] != 0x2D or t[7] != 0x2D or (t[10] | 0x20) != 0x74 or t[13] != 0x3A or t[16] != 0x3A
        or year < 1970 or month < 1 or month > 12 or day < 1 or day > days_in(year, month)
        or hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59
    ):
        return slow(r)
    t += 19
    if t[0] == 0x2E:
        t += 1
        if t >= end or t[0] < 0x30 or t[0] > 0x39:
            return slow(r)
        while t < end and t[0] >= 0x30 and t[0] <= 0x39:
            fraction += scale * (t[0] - 0x30)
            scale = scale // 10
            t += 1
    if t >= end:
        return slow(r)
    if (t[0] | 0x20) == 0x7A:
        t += 1
    elif end - t == 6 and (t[0] == 0x2B or t[0] == 0x2D) and t[3] == 0x3A:
        sign = 1 if t[0] == 0x2B else -1
        if two_digits(t + 1) < 0 or two_digits(t + 1) > 23:
            return slow(r)
        if two_digits(t + 4) < 0 or two_digits(t + 4) > 59:
            return slow(r)
        offset = sign * (60 * two_digits(t + 1) + two_digits(t + 4))
        t += 6
    if t != end:
        return slow(r)
    time = (days_from_epoch(year, month, day) * 1440 + hour * 60 + minute - offset) * 60000
    time += second * 1000 + fraction
    if time < 0 or time > MAX_TIME:
        return slow(r)
    out[0] = time
    return True


cdef bint read_time(Reader* r, int64_t* out) noexcept nogil:
    """Read RFC 3339 or epoch milliseconds."""
    if peek(r) == 0x22:
        return read_rfc3339(r, out)
    return read_whole(r, MAX_TIME, out)
