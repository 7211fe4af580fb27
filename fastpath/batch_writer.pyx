"""Write Kafka record batches (magic 2): the records that one partition gets, as one buffer.

Uncompressed, every header field big-endian, lengths and deltas as zigzag varints, as in the
Kafka protocol ("Record Batch"). The client's own builder takes some microseconds per record;
`tests/parity/test_batch_writer.py` holds that both write the same bytes.
"""

from cpython.bytearray cimport PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from fastpath.checksum cimport crc32c

cdef enum:
    HEADER = 61
    AT_LENGTH = 8
    AFTER_LENGTH = 12
    AT_MAGIC = 16
    AT_CRC = 17
    AT_ATTRIBUTES = 21
    AT_LAST_OFFSET = 23
    AT_FIRST_TIME = 27
    AT_MAX_TIME = 35
    AT_PRODUCER = 43
    AT_EPOCH = 51
    AT_SEQUENCE = 53
    AT_COUNT = 57
    TRANSACTIONAL = 0x10
    MAX_FIELD = 1 << 30  # bytes of one key, value or header: sums stay within 32 bits

HEADER_BYTES = HEADER


cdef inline uint8_t* put_varint(uint8_t* at, int64_t value) noexcept nogil:
    cdef uint64_t left = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    while left > 0x7F:
        at[0] = <uint8_t>(left | 0x80)
        left >>= 7
        at += 1
    at[0] = <uint8_t>left
    return at + 1


cdef inline size_t varint_size(int64_t value) noexcept nogil:
    cdef uint64_t left = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    cdef size_t size = 1
    while left > 0x7F:
        left >>= 7
        size += 1
    return size


cdef inline void store(uint8_t* at, uint64_t value, int size) noexcept nogil:
    cdef int i
    for i in range(size):
        at[i] = <uint8_t>(value >> (8 * (size - 1 - i)))


cdef inline uint8_t* put_field(uint8_t* at, bytes field):
    cdef Py_ssize_t size
    if field is None:
        return put_varint(at, -1)
    size = PyBytes_GET_SIZE(field)
    at = put_varint(at, size)
    memcpy(at, PyBytes_AS_STRING(field), <size_t>size)
    return at + size


cdef inline size_t field_size(bytes field) except 0:
    cdef Py_ssize_t size
    if field is None:
        return 1
    size = PyBytes_GET_SIZE(field)
    if size > MAX_FIELD:
        raise ValueError(f"a field of a record has {size} bytes; the limit is {MAX_FIELD}")
    return varint_size(size) + <size_t>size


cdef class BatchWriter:
    """Hold the records of one batch; one thread at a time.

    Made by the Kafka sink for a partition with records to send. `room` bounds the batch in bytes;
    a first record larger than that is taken all the same, as the client does.
    """

    cdef uint8_t* data
    cdef size_t capacity
    cdef size_t room
    cdef readonly size_t size
    cdef readonly uint32_t count
    cdef int64_t first_time
    cdef int64_t max_time

    def __cinit__(self, size_t room):
        self.room = room
        self.size = HEADER
        self.reserve(4096)

    def __dealloc__(self):
        free(self.data)

    cdef int reserve(self, size_t more) except -1:
        cdef size_t wanted = self.size + more
        cdef void* grown
        if wanted <= self.capacity:
            return 0
        wanted = max(wanted, 2 * self.capacity)
        grown = realloc(self.data, wanted)
        if grown == NULL:
            raise MemoryError
        self.data = <uint8_t*>grown
        self.capacity = wanted
        return 0

    def append(self, bytes key, bytes value, tuple headers, int64_t time):
        """Add a record at `time` ms; return False, and add nothing, where it does not fit.

        `headers` holds pairs of str and bytes. Raises ValueError for a field above 1 GiB.
        """
        cdef size_t body, record
        cdef uint8_t* at
        cdef int64_t delta = 0 if self.count == 0 else time - self.first_time
        cdef list encoded = [(name.encode(), held) for name, held in headers] if headers else []
        body = 1 + varint_size(delta) + varint_size(self.count)
        body += field_size(key) + field_size(value) + varint_size(len(encoded))
        for name, held in encoded:
            body += field_size(name) + field_size(held)
        record = body + varint_size(<int64_t>body)
        if self.count > 0 and self.size + record > self.room:
            return False
        self.reserve(record)
        if self.count == 0:
            self.first_time = self.max_time = time
        self.max_time = max(self.max_time, time)
        at = put_varint(self.data + self.size, <int64_t>body)
        at[0] = 0  # attributes
        at = put_varint(at + 1, delta)
        at = put_varint(at, self.count)
        at = put_field(put_field(at, key), value)
        at = put_varint(at, len(encoded))
        for name, held in encoded:
            at = put_field(put_field(at, name), held)
        self.size += record
        self.count += 1
        return True

    def build(self, int64_t producer, int epoch, int sequence, bint transactional):
        """Return the batch as a bytearray; the writer may be asked again."""
        cdef uint8_t* data = self.data
        memset(data, 0, 16)  # base offset and leader epoch are the broker's
        store(data + AT_LENGTH, self.size - AFTER_LENGTH, 4)
        data[AT_MAGIC] = 2
        store(data + AT_ATTRIBUTES, TRANSACTIONAL if transactional else 0, 2)
        store(data + AT_LAST_OFFSET, <uint64_t>(<int64_t>self.count - 1), 4)
        store(data + AT_FIRST_TIME, <uint64_t>self.first_time, 8)
        store(data + AT_MAX_TIME, <uint64_t>self.max_time, 8)
        store(data + AT_PRODUCER, <uint64_t>producer, 8)
        store(data + AT_EPOCH, <uint64_t><int64_t>epoch, 2)
        store(data + AT_SEQUENCE, <uint64_t><int64_t>sequence, 4)
        store(data + AT_COUNT, self.count, 4)
        store(data + AT_CRC, crc32c(0, data + AT_ATTRIBUTES, self.size - AT_ATTRIBUTES), 4)
        return PyByteArray_FromStringAndSize(<const char*>data, <Py_ssize_t>self.size)


cdef uint32_t murmur2(const uint8_t* data, size_t size) noexcept nogil:
    """Hash as Java's default partitioner does (Austin Appleby's MurmurHash2, seed 0x9747b28c)."""
    cdef uint32_t m = 0x5BD1E995
    cdef uint32_t h = 0x9747B28CU ^ <uint32_t>size
    cdef uint32_t k
    while size >= 4:
        memcpy(&k, data, 4)
        k *= m
        k ^= k >> 24
        k *= m
        h = (h * m) ^ k
        data += 4
        size -= 4
    if size >= 3:
        h ^= <uint32_t>data[2] << 16
    if size >= 2:
        h ^= <uint32_t>data[1] << 8
    if size >= 1:
        h = (h ^ data[0]) * m
    h ^= h >> 13
    h *= m
    return h ^ (h >> 15)


def partition_of(bytes key not None, uint32_t partitions):
    """Place a key among `partitions` (at least 1) as Java's default partitioner does."""
    if partitions == 0:
        raise ValueError("a topic has at least one partition")
    cdef uint32_t hashed = murmur2(
        <const uint8_t*>PyBytes_AS_STRING(key), <size_t>PyBytes_GET_SIZE(key)
    )
    return (hashed & 0x7FFFFFFF) % partitions
