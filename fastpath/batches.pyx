"""Index fetched Kafka record batches in place: one view of pointers, no object per record.

Message format 2 (KIP-98; Kafka documentation, "Record Batch"), big-endian:

    0   base_offset        i64      23  last_offset_delta  i32
    8   length             i32      27  first_timestamp    i64
    12  leader_epoch       i32      35  max_timestamp      i64
    16  magic              i8       43  producer_id        i64
    17  crc32c             u32      51  producer_epoch     i16
    21  attributes         i16      53  base_sequence      i32
                                    57  record_count       i32      61  records

    record: varint length, i8 attributes, varint timestamp_delta (64 bit), varint offset_delta,
    varint key size and key, varint value size and value, varint header count, and for each
    header varint key size and key, varint value size and value. Varints are zigzag; -1 is null.

Every length is compared with what is left before it is used, never added first. A batch counts
as a whole: when one of its records is broken, none of them is shown.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport (
    INT64_MAX, INT64_MIN, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t,
    uint64_t,
)
from libc.stdlib cimport free, malloc, realloc

from fastpath.checksum cimport crc32c
from fastpath.posts cimport is_utf8
from fastpath.records cimport BatchView, RecordRef, adopt
from fastpath.utf8 cimport is_ascii

from fastpath.inflate import MAX_INFLATED_BYTES, InflatedTooLargeError, InflateError, inflate
from fastpath.spec import BATCH_ERRORS

cdef enum:
    LENGTH_FROM = 12  # `length` counts what follows it
    MAGIC_AT = 16
    CRC_FROM = 21  # the checksum covers everything from the attributes on
    HEADER = 61
    MIN_RECORD = 7  # length, attributes, two deltas, key, value, header count: a byte each
    CODEC_MASK = 0x07
    LOG_APPEND_TIME = 0x08
    TRANSACTIONAL = 0x10
    CONTROL = 0x20
    ABORT_MARKER = 0
    # A view ends before it would hold more than this of inflated bytes; a batch never exceeds it.
    MAX_VIEW_INFLATED = 16 * 1024 * 1024

# Where a walk stopped. The errors are 1 + the index in BATCH_ERRORS.
cdef enum:
    GOOD = 0
    BAD_LENGTH = 1
    BAD_MAGIC = 2
    BAD_CHECKSUM = 3
    BAD_OFFSETS = 4
    BAD_COUNT = 5
    BAD_CODEC = 6
    TOO_LARGE = 7
    BAD_RECORD = 8
    BAD_HEADER_KEY = 9
    AT_END = 32
    AT_PACKED = 33  # a compressed batch: `batch` holds its header
    AT_OLD = 34  # message format 0 or 1
    NO_MEMORY = 35

ctypedef struct Batch:
    const uint8_t* at
    size_t size  # with the header
    int64_t base_offset
    int32_t leader_epoch
    uint32_t crc
    int16_t attributes
    int32_t last_offset_delta
    int64_t first_timestamp
    int64_t max_timestamp
    int64_t producer_id
    int32_t record_count

ctypedef struct Aborted:
    int64_t producer_id
    int64_t first_offset

# What is left of a record, or of the records of a batch.
ctypedef struct Span:
    const uint8_t* at
    const uint8_t* end


include "record_bytes.pxi"


cdef class RecordBatches:
    """Walk the batches of one fetched partition and show their records as views.

    Owns nothing but the buffer, which the views keep alive too. For one thread; `read` runs
    without the GIL but for decompression. Errors are data: after `error` is set, `bad` holds the
    batch that cannot be read and `read` gives nothing more.
    """

    cdef readonly str topic
    cdef readonly int partition
    cdef readonly int64_t next_offset  # after what was read and passed over
    cdef readonly int32_t leader_epoch
    cdef bytes buffer
    cdef const uint8_t* data
    cdef size_t size
    cdef size_t at  # of the batch that comes next, or that stopped the walk
    cdef int64_t fetch_offset
    cdef int64_t after_last  # the offset after the batch before `at`, where one was seen
    cdef bint seen
    cdef bint check_crcs, check_header_keys, read_committed
    cdef int stopped
    cdef RecordRef* refs  # of the view that is being made
    cdef size_t count, capacity
    cdef Aborted* aborted  # sorted by first offset; those before `aborted_next` have begun
    cdef size_t aborted_count, aborted_next
    cdef int64_t* open  # producers whose aborted transaction has begun and not ended
    cdef size_t open_count

    def __cinit__(
        self,
        str topic not None,
        int partition,
        bytes buffer not None,
        *,
        long long fetch_offset=0,
        bint check_crcs=True,
        aborted=None,
        bint check_header_keys=True,
    ):
        """Prepare to read; nothing is looked at yet.

        `aborted` holds (producer id, first offset) of aborted transactions as the broker sent
        them; None reads uncommitted records too. Records below `fetch_offset` stay hidden.
        """
        self.topic = topic
        self.partition = partition
        self.buffer = buffer
        self.data = <const uint8_t*>PyBytes_AS_STRING(buffer)
        self.size = <size_t>PyBytes_GET_SIZE(buffer)
        self.at = 0
        self.fetch_offset = fetch_offset
        self.next_offset = fetch_offset
        self.leader_epoch = -1
        self.check_crcs = check_crcs
        self.check_header_keys = check_header_keys
        self.read_committed = aborted is not None
        self.stopped = GOOD
        if self.read_committed:
            self.keep_aborted(sorted(aborted, key=first_offset_of))

    cdef keep_aborted(self, list entries):
        cdef Py_ssize_t i
        self.aborted_count = <size_t>len(entries)
        self.aborted = <Aborted*>malloc((self.aborted_count + 1) * sizeof(Aborted))
        self.open = <int64_t*>malloc((self.aborted_count + 1) * sizeof(int64_t))
        if self.aborted == NULL or self.open == NULL:
            raise MemoryError
        for i in range(len(entries)):
            self.aborted[i].producer_id = entries[i][0]
            self.aborted[i].first_offset = entries[i][1]

    def __dealloc__(self):
        free(self.refs)
        free(self.aborted)
        free(self.open)

    @property
    def error(self):
        """Return the name in BATCH_ERRORS of what cannot be read; None while all is well."""
        if GOOD < self.stopped < AT_END:
            return BATCH_ERRORS[self.stopped - 1]
        return None

    @property
    def ended(self):
        """Tell whether nothing more comes from this reader, for whatever reason."""
        return self.stopped != GOOD

    @property
    def bytes_read(self):
        """Return how many bytes of the buffer are behind the walk."""
        return self.at

    @property
    def old_format(self):
        """Return what is left of the buffer where it goes on in message format 0 or 1."""
        return self.buffer[self.at:] if self.stopped == AT_OLD else None

    @property
    def bad(self):
        """Return the bytes of the batch that cannot be read, as far as the buffer holds it."""
        if self.error is None:
            return None
        cdef size_t left = self.size - self.at
        cdef int64_t length = <int32_t>big32(self.data + self.at + 8)
        if self.stopped != BAD_LENGTH:
            left = <size_t>(length + LENGTH_FROM)
        return self.buffer[self.at:self.at + left]

    @property
    def after_bad(self):
        """Return what the buffer holds behind the batch that cannot be read."""
        return self.buffer[self.at + <size_t>len(self.bad):]

    def read(self):
        """Return a view of the good batches up to the end, an error or a view's limit, or None.

        `next_offset` then is the offset after them, and after what was passed over: control
        batches, aborted and empty ones. Raises MemoryError.
        """
        cdef list owners = [self.buffer]
        cdef size_t inflated = 0
        cdef int stop = GOOD
        cdef Batch batch
        if self.stopped != GOOD:
            return None
        while stop == GOOD:
            with nogil:
                stop = self.walk(&batch)
            if stop == AT_PACKED:
                if inflated > 0 and inflated + MAX_INFLATED_BYTES > MAX_VIEW_INFLATED:
                    break
                stop = self.unpack(&batch, owners)
                inflated += <size_t>len(owners[len(owners) - 1]) if stop == GOOD else 0
        if stop == NO_MEMORY:
            raise MemoryError
        if stop != AT_PACKED:
            self.stopped = stop
        return self.hand_over(owners)

    cdef object hand_over(self, list owners):
        """Turn the records found into a view; None where there are none."""
        cdef BatchView view
        if self.count == 0:
            return None
        view = adopt(self.topic, self.partition, self.refs, <Py_ssize_t>self.count, owners)
        self.refs = NULL
        self.count = 0
        self.capacity = 0
        return view

    cdef int unpack(self, Batch* batch, list owners):
        """Inflate a batch and index it; its bytes join the owners of the view."""
        cdef Py_ssize_t start = <Py_ssize_t>self.at + HEADER
        cdef Py_ssize_t end = <Py_ssize_t>(self.at + batch.size)
        cdef bytes body
        cdef const uint8_t* data
        cdef size_t size
        cdef int stop
        try:
            body = inflate(batch.attributes & CODEC_MASK, memoryview(self.buffer)[start:end])
        except InflatedTooLargeError:
            return TOO_LARGE
        except InflateError:
            return BAD_CODEC
        data = <const uint8_t*>PyBytes_AS_STRING(body)
        size = <size_t>PyBytes_GET_SIZE(body)
        with nogil:
            stop = self.index(batch, data, size)
        owners.append(body)
        return stop

    cdef int walk(self, Batch* batch) noexcept nogil:
        """Go over batches until something needs Python; return why it stopped."""
        cdef int stop
        while True:
            stop = self.open_batch(self.data + self.at, self.size - self.at, batch)
            if stop != GOOD:
                return stop
            if self.passes_over(batch):
                self.move_past(batch)
            elif batch.attributes & CODEC_MASK:
                return AT_PACKED
            else:
                stop = self.index(batch, batch.at + HEADER, batch.size - HEADER)
                if stop != GOOD:
                    return stop

    cdef int open_batch(self, const uint8_t* at, size_t left, Batch* batch) noexcept nogil:
        """Check a batch up to its header's fields."""
        cdef int64_t length
        cdef int8_t magic
        if left <= MAGIC_AT:
            return self.end_of_buffer()
        length = <int32_t>big32(at + 8)
        magic = <int8_t>at[MAGIC_AT]
        if length < MAGIC_AT + 1 - LENGTH_FROM:
            return BAD_LENGTH
        if <size_t>length > left - LENGTH_FROM:
            return self.end_of_buffer()  # cut off by the limit of the fetch
        if magic == 0 or magic == 1:
            return AT_OLD
        if magic != 2:
            return BAD_MAGIC
        if length < HEADER - LENGTH_FROM:
            return BAD_LENGTH
        read_header(at, <size_t>length + LENGTH_FROM, batch)
        if self.check_crcs and crc32c(0, at + CRC_FROM, batch.size - CRC_FROM) != batch.crc:
            return BAD_CHECKSUM
        if (
            batch.base_offset < 0
            or batch.last_offset_delta < 0
            or batch.base_offset > INT64_MAX - 1 - batch.last_offset_delta
            or (self.seen and batch.base_offset < self.after_last)
        ):
            return BAD_OFFSETS
        if batch.record_count < 0:
            return BAD_COUNT
        self.leader_epoch = batch.leader_epoch
        return GOOD

    cdef int end_of_buffer(self) noexcept nogil:
        """End; a buffer that does not move past the offset asked for would be fetched for ever."""
        if self.seen and self.next_offset <= self.fetch_offset:
            self.at = 0
            return BAD_OFFSETS
        return AT_END

    cdef void move_past(self, const Batch* batch) noexcept nogil:
        cdef int64_t after = batch.base_offset + batch.last_offset_delta + 1
        self.seen = True
        self.after_last = after
        self.at += batch.size
        if after > self.next_offset:
            self.next_offset = after

    cdef bint passes_over(self, const Batch* batch) noexcept nogil:
        """Tell whether a batch has nothing to show; keeps track of aborted transactions."""
        cdef bint control = (batch.attributes & CONTROL) != 0
        if self.read_committed and batch.producer_id >= 0:
            self.begin_aborted(batch.base_offset + batch.last_offset_delta)
            if control and is_abort_marker(batch):
                self.end_aborted(batch.producer_id)
            elif batch.attributes & TRANSACTIONAL and self.is_aborted(batch.producer_id):
                return True
        if control or batch.record_count == 0:
            return True
        return batch.base_offset + batch.last_offset_delta < self.fetch_offset

    cdef void begin_aborted(self, int64_t last_offset) noexcept nogil:
        """Take up the transactions that began up to an offset."""
        cdef Aborted* entry
        while self.aborted_next < self.aborted_count:
            entry = &self.aborted[self.aborted_next]
            if entry.first_offset > last_offset:
                return
            if not self.is_aborted(entry.producer_id):
                self.open[self.open_count] = entry.producer_id
                self.open_count += 1
            self.aborted_next += 1

    cdef bint is_aborted(self, int64_t producer_id) noexcept nogil:
        cdef size_t i
        for i in range(self.open_count):
            if self.open[i] == producer_id:
                return True
        return False

    cdef void end_aborted(self, int64_t producer_id) noexcept nogil:
        cdef size_t i
        for i in range(self.open_count):
            if self.open[i] == producer_id:
                self.open_count -= 1
                self.open[i] = self.open[self.open_count]
                return

    cdef int index(self, const Batch* batch, const uint8_t* at, size_t size) noexcept nogil:
        """Add the records of a batch and move past it, or add none and say why."""
        cdef size_t count = <size_t>batch.record_count
        cdef size_t added = 0
        cdef int64_t last_delta = -1
        cdef Span body
        cdef RecordRef* ref
        cdef size_t _i
        cdef int found, result = GOOD
        if count > size // MIN_RECORD:
            return BAD_COUNT
        if not self.reserve(count):
            return NO_MEMORY
        body.at = at
        body.end = at + size
        for _i in range(count):
            ref = &self.refs[self.count + added]
            found = take_record(&body, batch, &last_delta, self.check_header_keys, ref)
            if found == BAD_RECORD:
                return BAD_RECORD
            if found != GOOD:
                result = found
            if ref.offset >= self.fetch_offset:
                added += 1
        if body.at != body.end:
            return BAD_RECORD
        if result != GOOD:
            return result
        self.count += added
        self.move_past(batch)
        return GOOD

    cdef bint reserve(self, size_t more) noexcept nogil:
        cdef size_t capacity = self.capacity
        cdef void* grown
        if more <= capacity - self.count:
            return True
        if capacity == 0:
            capacity = 1024
        while more > capacity - self.count:
            capacity *= 2
        grown = realloc(self.refs, capacity * sizeof(RecordRef))
        if grown == NULL:
            return False
        self.refs = <RecordRef*>grown
        self.capacity = capacity
        return True


def first_offset_of(entry):
    """Return the sort key of an aborted transaction."""
    return entry[1]
