# Layout of batch views and of packed sightings; code in records.pyx, Python's view in records.pyi.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef struct RecordRef:
    const uint8_t* value  # NULL for a null value
    const uint8_t* key  # NULL for a null key
    int64_t value_size  # -1 for null
    int64_t key_size  # -1 for null
    int64_t time  # ms
    int64_t offset
    const uint8_t* record  # in message format 2, its length first; NULL where there is none
    int64_t record_size


cdef class BatchView:
    cdef readonly str topic
    cdef readonly int partition
    cdef object owner  # keeps the bytes and, for a slice, the parent alive
    cdef RecordRef* refs
    cdef Py_ssize_t count
    cdef bint owns_refs
    cdef RecordRef* ref(self, Py_ssize_t index) except NULL


cdef BatchView adopt(str topic, int partition, RecordRef* refs, Py_ssize_t count, object owner)


# A growing byte buffer that becomes one record value; owned by SightingPacker.
cdef struct Packed:
    uint8_t* bytes
    size_t size
    size_t capacity
    uint32_t count
    int64_t first_offset


cdef struct PackedEntry:
    uint8_t type_code
    const uint8_t* fingerprint  # 16 bytes
    const uint8_t* text_digest  # 16 bytes
    uint64_t simhash
    int64_t time
    int64_t account_created_at  # INT64_MIN unknown
    uint32_t partition
    int64_t offset
    uint32_t revision
    const uint8_t* account
    uint16_t account_size
    const uint8_t* post
    uint16_t post_size


cdef class SightingPacker:
    cdef bytes topic
    cdef bytes bundle_digest
    cdef readonly uint32_t partitions
    cdef Packed* open  # one per output partition
    cdef Packed* full  # records that reached the size limit, in order of closing
    cdef uint32_t* full_partition
    cdef size_t full_count
    cdef size_t full_capacity
    cdef size_t header_size
    cdef const uint8_t* header_topic
    cdef bint close_one(self, uint32_t partition) noexcept nogil
    cdef bint reserve(self, Packed* packed, size_t size) noexcept nogil
    cdef bint add(self, const PackedEntry* entry) noexcept nogil
    cdef list take(self)
