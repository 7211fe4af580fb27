# Sightings in record values and back; the layout stands in records.pyx, which includes this.


cdef class SightingPacker:
    """Pack sightings into record values, one growing buffer per output partition.

    Owns the buffers. `add` runs without the GIL and returns false when memory ran out; `take`
    hands everything over and starts again. A value never exceeds MAX_PACKED_BYTES.
    """

    def __cinit__(self, str topic not None, bytes bundle_digest not None, uint32_t partitions):
        self.topic = topic.encode()
        self.bundle_digest = bundle_digest
        if len(bundle_digest) != 32:
            raise BuildError("bundle digest bytes", 32, len(bundle_digest))
        if len(self.topic) > 65535:
            raise BuildError("topic bytes", 65535, len(self.topic))
        if partitions < 1:
            raise BuildError("sighting partitions, at least", 1, partitions)
        self.partitions = partitions
        self.header_size = HEADER + <size_t>PyBytes_GET_SIZE(self.topic)
        self.header_topic = <const uint8_t*>PyBytes_AS_STRING(self.topic)
        self.open = <Packed*>calloc(partitions, sizeof(Packed))
        if self.open == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef size_t i
        if self.open != NULL:
            for i in range(self.partitions):
                free(self.open[i].bytes)
            free(self.open)
        for i in range(self.full_count):
            free(self.full[i].bytes)
        free(self.full)
        free(self.full_partition)

    cdef bint close_one(self, uint32_t partition) noexcept nogil:
        """Move a partition's buffer, if it holds entries, to the finished ones."""
        cdef size_t capacity
        cdef void* grown
        if self.open[partition].count == 0:
            return True
        if self.full_count == self.full_capacity:
            capacity = 16 if self.full_capacity == 0 else self.full_capacity * 2
            grown = realloc(self.full, capacity * sizeof(Packed))
            if grown == NULL:
                return False
            self.full = <Packed*>grown
            grown = realloc(self.full_partition, capacity * sizeof(uint32_t))
            if grown == NULL:
                return False
            self.full_partition = <uint32_t*>grown
            self.full_capacity = capacity
        self.full[self.full_count] = self.open[partition]
        self.full_partition[self.full_count] = partition
        self.full_count += 1
        memset(&self.open[partition], 0, sizeof(Packed))
        return True

    cdef bint reserve(self, Packed* packed, size_t size) noexcept nogil:
        cdef size_t capacity = packed.capacity
        cdef void* grown
        if size <= capacity - packed.size:
            return True
        if capacity == 0:
            capacity = 4096
        while size > capacity - packed.size:
            capacity *= 2
        grown = realloc(packed.bytes, capacity)
        if grown == NULL:
            return False
        packed.bytes = <uint8_t*>grown
        packed.capacity = capacity
        return True

    cdef bint add(self, const PackedEntry* entry) noexcept nogil:
        """Append one entry to the partition of its fingerprint; false when memory ran out."""
        cdef size_t size = ENTRY + <size_t>entry.account_size + entry.post_size
        cdef uint32_t partition = <uint32_t>(load64(entry.fingerprint) % self.partitions)
        cdef Packed* packed = &self.open[partition]
        cdef uint8_t* at
        if packed.count > 0 and size > MAX_PACKED - packed.size:
            if not self.close_one(partition):
                return False
        if packed.count == 0:
            if not self.reserve(packed, self.header_size):
                return False
            memcpy(packed.bytes + HEADER, self.header_topic, self.header_size - HEADER)
            packed.size = self.header_size
            packed.first_offset = entry.offset
        if not self.reserve(packed, size):
            return False
        at = packed.bytes + packed.size
        store16(at, <uint16_t>size)
        at[2] = entry.type_code
        at[3] = 0
        memcpy(at + 4, entry.fingerprint, 16)
        memcpy(at + 20, entry.text_digest, 16)
        store64(at + 36, entry.simhash)
        store64(at + 44, <uint64_t>entry.time)
        store64(at + 52, <uint64_t>entry.account_created_at)
        store32(at + 60, entry.partition)
        store64(at + 64, <uint64_t>entry.offset)
        store32(at + 72, entry.revision)
        store16(at + 76, entry.account_size)
        store16(at + 78, entry.post_size)
        memcpy(at + 80, entry.account, entry.account_size)
        memcpy(at + 80 + entry.account_size, entry.post, entry.post_size)
        packed.size += size
        packed.count += 1
        return True

    cdef list take(self):
        """Return every SightingBatch by partition, each partition's in order, and start again."""
        cdef uint32_t partition
        cdef size_t i
        cdef list taken = []
        cdef bytes value
        for partition in range(self.partitions):
            if not self.close_one(partition):
                raise MemoryError
        for i in range(self.full_count):
            write_header(self, &self.full[i])
            value = PyBytes_FromStringAndSize(
                <const char*>self.full[i].bytes, <Py_ssize_t>self.full[i].size
            )
            taken.append(
                SightingBatch(
                    self.full_partition[i], self.full[i].count, self.full[i].first_offset, value
                )
            )
        for i in range(self.full_count):
            free(self.full[i].bytes)
        self.full_count = 0
        taken.sort(key=partition_of)
        return taken

    def pack(self, sightings):
        """Pack Sighting values, in order; the tests' way into the same code that a screen uses.

        Raises ValueError for ids above 256 bytes or a fingerprint that is not 16 bytes.
        """
        cdef PackedEntry entry
        cdef bytes account, post, fingerprint, digest
        for sighting in sightings:
            account = sighting.account.encode()
            post = sighting.post.encode()
            fingerprint = sighting.fingerprint
            digest = sighting.text_digest
            if len(account) > 256 or len(post) > 256 or len(fingerprint) != 16 or len(digest) != 16:
                raise ValueError("ids hold at most 256 bytes, fingerprint and digest 16")
            entry.type_code = <uint8_t>(FINGERPRINT_TYPES.index(sighting.type) + 1)
            entry.fingerprint = <const uint8_t*>PyBytes_AS_STRING(fingerprint)
            entry.text_digest = <const uint8_t*>PyBytes_AS_STRING(digest)
            entry.simhash = sighting.simhash
            entry.time = sighting.time
            entry.account_created_at = (
                INT64_MIN if sighting.account_created_at is None else sighting.account_created_at
            )
            entry.partition = sighting.partition
            entry.offset = sighting.offset
            entry.revision = sighting.revision
            entry.account = <const uint8_t*>PyBytes_AS_STRING(account)
            entry.account_size = <uint16_t>len(account)
            entry.post = <const uint8_t*>PyBytes_AS_STRING(post)
            entry.post_size = <uint16_t>len(post)
            if not self.add(&entry):
                raise MemoryError
        return self.take()


def partition_of(batch):
    """Return the sort key of a finished record; the sort is stable."""
    return batch.partition


cdef void write_header(SightingPacker packer, Packed* packed) noexcept:
    cdef uint8_t* at = packed.bytes
    memcpy(at, b"WEIS", 4)
    at[4] = 1
    at[5] = 0
    store16(at + 6, <uint16_t>(packer.header_size - HEADER))
    store32(at + 8, packed.count)
    store32(at + 12, crc32c(0, at + HEADER, packed.size - HEADER))
    memcpy(at + 16, PyBytes_AS_STRING(packer.bundle_digest), 32)


cdef str text_of(const uint8_t* at, size_t size):
    try:
        return PyBytes_FromStringAndSize(<const char*>at, <Py_ssize_t>size).decode()
    except UnicodeDecodeError as error:
        raise CorruptImage(f"sightings: a name is not UTF-8 ({error.reason})") from None


def unpack_sightings(bytes value not None):
    """Read a packed sightings record back, checking every length before it is used.

    Called by the correlate stage, once per record. Raises CorruptImage naming what is wrong.
    """
    cdef const uint8_t* at = <const uint8_t*>PyBytes_AS_STRING(value)
    cdef size_t size = <size_t>PyBytes_GET_SIZE(value)
    cdef size_t pos, left, account_size, post_size, entry_size
    cdef uint32_t count, i
    if size < HEADER:
        raise CorruptImage(f"sightings: {size} bytes, a header has {HEADER}")
    if at[0] != 0x57 or at[1] != 0x45 or at[2] != 0x49 or at[3] != 0x53:
        raise CorruptImage("sightings: magic is not WEIS")
    if at[4] != 1 or at[5] != 0:
        raise CorruptImage(f"sightings: version {at[4]}.{at[5]}, this build reads 1.0")
    if load32(at + 12) != crc32c(0, at + HEADER, size - HEADER):
        raise CorruptImage("sightings: CRC-32C does not match")
    pos = HEADER + <size_t>load16(at + 6)
    count = load32(at + 8)
    if pos > size or count > (size - pos) // ENTRY:
        raise CorruptImage(f"sightings: {count} entries do not fit into {size} bytes")
    topic = text_of(at + HEADER, pos - HEADER)
    sightings = []
    for i in range(count):
        left = size - pos
        if left < ENTRY:
            raise CorruptImage(f"sightings: entry {i} has {left} bytes left, needs {ENTRY}")
        entry_size = load16(at + pos)
        account_size = load16(at + pos + 76)
        post_size = load16(at + pos + 78)
        if entry_size != ENTRY + account_size + post_size or entry_size > left:
            raise CorruptImage(
                f"sightings: entry {i} says {entry_size} bytes, its ids {account_size} and "
                f"{post_size}, {left} left"
            )
        if at[pos + 2] < 1 or at[pos + 2] > 5 or at[pos + 3] != 0:
            raise CorruptImage(f"sightings: entry {i} has type {at[pos + 2]}")
        sightings.append(unpack_entry(at + pos, account_size, post_size))
        pos += entry_size
    if pos != size:
        raise CorruptImage(f"sightings: {size - pos} bytes after the last entry")
    return SightingRecord(topic, value[16:48], sightings)


cdef object unpack_entry(const uint8_t* at, size_t account_size, size_t post_size):
    cdef int64_t created = <int64_t>load64(at + 52)
    return Sighting(
        FINGERPRINT_TYPES[at[2] - 1],
        PyBytes_FromStringAndSize(<const char*>at + 4, 16),
        text_of(at + ENTRY, account_size),
        None if created == INT64_MIN else created,
        text_of(at + ENTRY + account_size, post_size),
        load32(at + 72),
        <int64_t>load64(at + 44),
        PyBytes_FromStringAndSize(<const char*>at + 20, 16),
        load64(at + 36),
        load32(at + 60),
        <int64_t>load64(at + 64),
    )
