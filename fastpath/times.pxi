# Times as RFC 3339 or epoch milliseconds; fastpath/rfc3339.py is the definition. Included by
# posts.pyx.

cdef inline bint has_form(uint64_t offsets, uint64_t room) noexcept nogil:
    """Say whether eight bytes, less those of a form, are 0 to 9 or, at separators, 0.

    `room` is 0x76 for a digit and 0x7F for a separator: what is more carries into its top bit.
    """
    return ((offsets | (offsets + room)) & <uint64_t>0x8080808080808080) == 0


cdef inline uint64_t pairs_of(uint64_t digits) noexcept nogil:
    """Turn the digits of each two neighbouring bytes into a number, in the place of the first."""
    return digits * 10 + (digits >> 8)


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


cdef bint rfc3339(const uint8_t* t, size_t size, int64_t* out) noexcept nogil:
    """Read an RFC 3339 time from 1970 on; false for leap seconds and what else is odd."""
    cdef const uint8_t* end = t + size
    cdef int year, month, day, hour, minute, second, fraction = 0, scale = 100, offset = 0
    cdef int sign
    cdef uint64_t date, clock
    cdef int64_t time
    if size < 20:
        return False
    date = load8(t) ^ <uint64_t>0x2D30302D30303030  # 0000-00-
    # 00T00:00, with a small or a capital T
    clock = (load8(t + 8) & ~<uint64_t>0x200000) ^ <uint64_t>0x30303A3030543030
    second = two_digits(t + 17)
    if (
        not has_form(date, <uint64_t>0x7F76767F76767676)
        or not has_form(clock, <uint64_t>0x76767F76767F7676) or t[16] != 0x3A
    ):
        return False
    date = pairs_of(date)
    clock = pairs_of(clock)
    year = <int>(date & 0xFF) * 100 + <int>((date >> 16) & 0xFF)
    month = <int>((date >> 40) & 0xFF)
    day = <int>(clock & 0xFF)
    hour = <int>((clock >> 24) & 0xFF)
    minute = <int>((clock >> 48) & 0xFF)
    if (
        year < 1970 or month < 1 or month > 12 or day < 1 or day > days_in(year, month)
        or hour > 23 or minute > 59 or second < 0 or second > 59
    ):
        return False
    t += 19
    if t[0] == 0x2E:
        t += 1
        if t >= end or t[0] < 0x30 or t[0] > 0x39:
            return False
        while t < end and t[0] >= 0x30 and t[0] <= 0x39:
            fraction += scale * (t[0] - 0x30)
            scale = scale // 10
            t += 1
    if t >= end:
        return False
    if (t[0] | 0x20) == 0x7A:
        t += 1
    elif end - t == 6 and (t[0] == 0x2B or t[0] == 0x2D) and t[3] == 0x3A:
        sign = 1 if t[0] == 0x2B else -1
        if two_digits(t + 1) < 0 or two_digits(t + 1) > 23:
            return False
        if two_digits(t + 4) < 0 or two_digits(t + 4) > 59:
            return False
        offset = sign * (60 * two_digits(t + 1) + two_digits(t + 4))
        t += 6
    if t != end:
        return False
    time = (days_from_epoch(year, month, day) * 1440 + hour * 60 + minute - offset) * 60000
    time += second * 1000 + fraction
    if time < 0 or time > MAX_TIME:
        return False
    out[0] = time
    return True


cdef bint twitter_time(const uint8_t* t, size_t size, Text* out, uint8_t* buffer) noexcept nogil:
    """Rewrite `Wed Oct 10 20:19:24 +0000 2018` as RFC 3339 in `buffer`; false for other forms."""
    cdef const char* months = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef const char* form = b"Aaa Aaa 00 00:00:00 +0000 0000"
    cdef int month = 0, i
    if size != 30:
        return False
    for i in range(30):
        if form[i] == 0x41:
            if t[i] < 0x41 or t[i] > 0x5A:
                return False
        elif form[i] == 0x61:
            if t[i] < 0x61 or t[i] > 0x7A:
                return False
        elif form[i] == 0x30:
            if t[i] < 0x30 or t[i] > 0x39:
                return False
        elif form[i] == 0x2B:
            if t[i] != 0x2B and t[i] != 0x2D:
                return False
        elif t[i] != <uint8_t>form[i]:
            return False
    while month < 12 and memcmp(months + 3 * month, t + 4, 3) != 0:
        month += 1
    if month == 12:
        return False
    month += 1
    memcpy(buffer, t + 26, 4)
    buffer[4] = 0x2D
    buffer[5] = <uint8_t>(0x30 + month // 10)
    buffer[6] = <uint8_t>(0x30 + month % 10)
    buffer[7] = 0x2D
    memcpy(buffer + 8, t + 8, 2)
    buffer[10] = 0x54
    memcpy(buffer + 11, t + 11, 8)
    memcpy(buffer + 19, t + 20, 3)
    buffer[22] = 0x3A
    memcpy(buffer + 23, t + 23, 2)
    out.data = buffer
    out.size = 25
    return True
