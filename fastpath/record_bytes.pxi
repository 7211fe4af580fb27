# Batch headers, varints and records, byte by byte; the layout stands in batches.pyx, which
# includes this.


cdef inline uint16_t big16(const uint8_t* at) noexcept nogil:
    return <uint16_t>((<uint32_t>at[0] << 8) | at[1])


cdef inline uint32_t big32(const uint8_t* at) noexcept nogil:
    return (<uint32_t>at[0] << 24) | (<uint32_t>at[1] << 16) | (<uint32_t>at[2] << 8) | at[3]


cdef inline uint64_t big64(const uint8_t* at) noexcept nogil:
    return (<uint64_t>big32(at) << 32) | big32(at + 4)


cdef void read_header(const uint8_t* at, size_t size, Batch* batch) noexcept nogil:
    """Read the header of a whole batch of `size` bytes, at least HEADER."""
    batch.at = at
    batch.size = size
    batch.base_offset = <int64_t>big64(at)
    batch.leader_epoch = <int32_t>big32(at + 12)
    batch.crc = big32(at + 17)
    batch.attributes = <int16_t>big16(at + 21)
    batch.last_offset_delta = <int32_t>big32(at + 23)
    batch.first_timestamp = <int64_t>big64(at + 27)
    batch.max_timestamp = <int64_t>big64(at + 35)
    batch.producer_id = <int64_t>big64(at + 43)
    batch.record_count = <int32_t>big32(at + 57)


cdef inline bint take_varint(Span* span, int64_t* value) noexcept nogil:
    """Take a zigzag varint of at most 10 bytes and 64 bits; false where it does not end."""
    cdef uint64_t held = 0
    cdef uint64_t byte
    cdef int shift = 0
    while span.at < span.end:
        byte = span.at[0]
        span.at += 1
        if shift == 63 and byte > 1:
            return False
        held |= (byte & 0x7F) << shift
        if byte < 0x80:
            value[0] = <int64_t>(held >> 1) ^ -<int64_t>(held & 1)
            return True
        shift += 7
    return False


cdef inline bint take_varint32(Span* span, int64_t* value) noexcept nogil:
    """Take a zigzag varint of at most 5 bytes and 32 bits; one byte is the common case."""
    cdef uint32_t held = 0
    cdef uint32_t byte
    cdef int shift = 0
    while span.at < span.end:
        byte = span.at[0]
        span.at += 1
        if shift == 28 and byte > 0x0F:
            return False
        held |= (byte & 0x7F) << shift
        if byte < 0x80:
            value[0] = <int32_t>(held >> 1) ^ -<int32_t>(held & 1)
            return True
        shift += 7
    return False


cdef inline bint take_bytes(Span* span, const uint8_t** at, int64_t* size) noexcept nogil:
    """Take a nullable byte string; its size is -1, and `at` NULL, where it is null."""
    if not take_varint32(span, size) or size[0] < -1:
        return False
    if size[0] < 0:
        at[0] = NULL
        return True
    if size[0] > span.end - span.at:
        return False
    at[0] = span.at
    span.at += size[0]
    return True


cdef int take_headers(Span* span, bint check_keys) noexcept nogil:
    """Walk the headers of a record up to its end; each takes at least two bytes."""
    cdef int64_t count, key_size, value_size
    cdef const uint8_t* key
    cdef const uint8_t* value
    cdef int result = GOOD
    if not take_varint32(span, &count) or count < 0:
        return BAD_RECORD
    while count > 0:
        if not take_bytes(span, &key, &key_size) or key_size < 0:
            return BAD_RECORD
        if check_keys and not (
            is_ascii(key, <size_t> key_size) or is_utf8(key, <size_t> key_size)
        ):
            result = BAD_HEADER_KEY
        if not take_bytes(span, &value, &value_size):
            return BAD_RECORD
        count -= 1
    return result if span.at == span.end else BAD_RECORD


cdef inline bint sum_overflows(int64_t a, int64_t b) noexcept nogil:
    return a > INT64_MAX - b if b > 0 else a < INT64_MIN - b


cdef inline int take_record(
    Span* body, const Batch* batch, int64_t* last_delta, bint check_keys, RecordRef* ref
) noexcept nogil:
    """Take one record; its offset delta must be above `last_delta`, which it becomes."""
    cdef const uint8_t* start = body.at
    cdef int64_t size, time_delta, offset_delta
    cdef Span span
    if not take_varint32(body, &size) or size < 0 or size > body.end - body.at:
        return BAD_RECORD
    span.at = body.at
    span.end = body.at + size
    body.at = span.end
    if size < 1:
        return BAD_RECORD
    span.at += 1  # attributes, unused
    if not take_varint(&span, &time_delta) or not take_varint32(&span, &offset_delta):
        return BAD_RECORD
    if offset_delta <= last_delta[0] or offset_delta > batch.last_offset_delta:
        return BAD_RECORD
    last_delta[0] = offset_delta
    if not take_bytes(&span, &ref.key, &ref.key_size):
        return BAD_RECORD
    if not take_bytes(&span, &ref.value, &ref.value_size):
        return BAD_RECORD
    ref.offset = batch.base_offset + offset_delta
    if batch.attributes & LOG_APPEND_TIME:
        ref.time = batch.max_timestamp
    elif sum_overflows(batch.first_timestamp, time_delta):
        return BAD_RECORD
    else:
        ref.time = batch.first_timestamp + time_delta
    ref.record = start
    ref.record_size = body.at - start
    if span.end - span.at == 1 and span.at[0] == 0:  # no headers, as nearly always
        return GOOD
    return take_headers(&span, check_keys)


cdef bint is_abort_marker(const Batch* batch) noexcept nogil:
    """Read the key of a control record: i16 version, i16 type; false where there is none."""
    cdef int64_t size, delta, key_size
    cdef const uint8_t* key
    cdef Span span
    if batch.record_count < 1 or batch.attributes & CODEC_MASK:
        return False
    span.at = batch.at + HEADER
    span.end = batch.at + batch.size
    if not take_varint32(&span, &size) or span.at == span.end:
        return False
    span.at += 1
    if not take_varint(&span, &delta) or not take_varint32(&span, &delta):
        return False
    if not take_bytes(&span, &key, &key_size) or key_size < 4:
        return False
    return big16(key + 2) == ABORT_MARKER


cdef bytes copy(const uint8_t* at, int64_t size):
    return PyBytes_FromStringAndSize(<const char*>at, <Py_ssize_t>size)


def raw_record(BatchView view not None, Py_ssize_t index):
    """Return a record of a batch as it came, its length first; b"" where a view has none."""
    cdef RecordRef* ref = view.ref(index)
    return b"" if ref.record == NULL else copy(ref.record, ref.record_size)


def record_headers(BatchView view not None, Py_ssize_t index):
    """Return the headers of a record, ((key, value), ...), both bytes, a null value as b"".

    Walked when asked for: nobody needs them but dead letters.
    """
    cdef RecordRef* ref = view.ref(index)
    cdef int64_t count, key_size = 0, value_size = 0
    cdef const uint8_t* key = NULL
    cdef const uint8_t* value = NULL
    cdef Span span
    headers = []
    if ref.record == NULL or not find_headers(ref, &span, &count):
        return ()
    while count > 0 and take_bytes(&span, &key, &key_size):
        if not take_bytes(&span, &value, &value_size):
            break
        headers.append((copy(key, key_size), copy(value, value_size) if value_size > 0 else b""))
        count -= 1
    return tuple(headers)


cdef bint find_headers(const RecordRef* ref, Span* span, int64_t* count) noexcept nogil:
    """Walk a record that was read before up to its first header."""
    cdef int64_t number
    cdef const uint8_t* at
    span.at = ref.record
    span.end = ref.record + ref.record_size
    if not take_varint32(span, &number):
        return False
    span.at += 1
    return (
        take_varint(span, &number)
        and take_varint32(span, &number)
        and take_bytes(span, &at, &number)
        and take_bytes(span, &at, &number)
        and take_varint32(span, count)
    )
