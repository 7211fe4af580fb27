# Targets that read what lies in Kafka: batches of records, entries of a changelog. Included by
# native.pyx.

# --- Record batches ------------------------------------------------------------------------------

cdef void check_view(BatchView view, int64_t* last) except *:
    cdef Py_ssize_t i
    cdef RecordRef* ref
    for i in range(len(view)):
        ref = view.ref(i)
        must(ref.offset > last[0], b"offsets that rise")
        last[0] = ref.offset
        if ref.key_size > 0:
            mixed(0, ref.key, <size_t>ref.key_size)
        if ref.value_size > 0:
            mixed(0, ref.value, <size_t>ref.value_size)
        must(ref.record_size >= 7, b"a record of at least seven bytes")
        mixed(0, ref.record, <size_t>ref.record_size)


cdef int read_batches(const uint8_t* data, size_t size) except -1:
    """Read as the first byte says: with CRCs, from an offset, with aborted producers."""
    cdef bytes buffer = (<const char*>data)[1:size]
    cdef int64_t fetch_offset = data[0] >> 4
    cdef int64_t last = fetch_offset - 1
    aborted = [(1, 0), (2, 3)] if data[0] & 2 else None
    reader = RecordBatches(
        "t", 0, buffer, fetch_offset=fetch_offset, check_crcs=bool(data[0] & 1), aborted=aborted
    )
    while not reader.ended:
        view = reader.read()
        if view is not None:
            check_view(view, &last)
        must(reader.bytes_read <= <size_t>len(buffer), b"no more read than there is")
    must(reader.next_offset > last, b"the next offset behind the last record")
    if reader.error is not None:
        must(buffer.endswith(reader.bad + reader.after_bad), b"what is bad is what is left")
    return 0


cdef int fuzz_batches(const uint8_t* data, size_t size) noexcept with gil:
    if size == 0:
        return 0
    try:
        return read_batches(data, size)
    except BaseException as error:
        must(False, repr(error).encode())
    return 0


# --- Changelog -----------------------------------------------------------------------------------

cdef int fuzz_changelog(const uint8_t* data, size_t size) noexcept nogil:
    """Read entries; what is read and written again is what was there."""
    cdef EntryReader reader
    cdef EntryView entry
    cdef EntryBuffer copy
    cdef const uint8_t* sound = data
    copy.data = NULL
    copy.size = copy.capacity = 0
    copy.broken = False
    reader.at = data
    reader.end = data + size
    while next_entry(&reader, &entry) == ENTRY_FOUND:
        must(reader.at <= reader.end, b"a reader inside its bytes")
        mixed(0, entry.value, entry.size)
        must(
            append_entry(&copy, &entry.key, entry.op, entry.value, entry.size), b"an entry appended"
        )
        sound = reader.at
    must(copy.size == <size_t>(sound - data), b"as many bytes as were read")
    must(copy.size == 0 or memcmp(copy.data, data, copy.size) == 0, b"the bytes that were read")
    free_entries(&copy)
    return 0
