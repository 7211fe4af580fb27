"""Hash texts so that similar ones differ in few bits: SimHash-64 over character 4-grams.

Charikar 2002; `fastpath.reference.near` is the definition. Constants are fixed and the folded
lane depends on the Unicode version alone, so the hashes of two bundles can be compared.
"""

from array import array

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t

from fastpath.arena cimport Arena, bump_commit, bump_reserve, bump_reset
from fastpath.isa cimport isa_level
from fastpath.text cimport CLASS_DIGIT, CLASS_SPACE, CLASS_WORD, code_point_class, fold
from fastpath.utf8 cimport decode

from fastpath.distances import MIN_GRAMS

cdef extern from "simhash.h" nogil:
    uint64_t simhash_grams(int isa, const uint32_t* points, uint32_t grams)

cdef extern from "plain.h" nogil:
    uint32_t plain_end(int isa, const uint8_t* data, uint32_t size, uint32_t at)
    void plain_points(int isa, const uint8_t* data, uint32_t at, uint32_t end, uint32_t* out)
    enum:
        PLAIN_ROOM

cdef enum:
    GRAM = 4  # code points
    LEAST = 20  # MIN_GRAMS
    URL_POINT = 1  # stands for a URL
    MENTION_POINT = 2

cdef int LEVEL = isa_level()

if MIN_GRAMS != LEAST:
    raise ImportError("fastpath.simhash was compiled with another limit than fastpath.distances")


cdef inline uint32_t class_of(uint32_t point) noexcept nogil:
    """Return the class of a code point, quickly for letters of ASCII."""
    if 0x61 <= point <= 0x7A:
        return CLASS_WORD
    return code_point_class(point)


cdef inline uint32_t run_end(
    const Lane* lane, uint32_t at, uint32_t classes, bint inside
) noexcept nogil:
    """Return where code points end that have (or have not) one of the classes."""
    cdef uint32_t length
    while at < lane.size:
        if ((class_of(decode(lane.data + at, &length)) & classes) != 0) != inside:
            return at
        at += length
    return at


cdef inline bint starts_url(const uint8_t* at, uint32_t left) noexcept nogil:
    """Say whether `http://`, `https://` or `www.` stands here."""
    if at[0] == c"w":
        return left >= 4 and at[1] == c"w" and at[2] == c"w" and at[3] == c"."
    if left < 7 or at[1] != c"t" or at[2] != c"t" or at[3] != c"p":
        return False
    if at[4] == c"s":
        at += 1
        left -= 1
    return left >= 7 and at[4] == c":" and at[5] == c"/" and at[6] == c"/"


cdef uint32_t gram_points(const Lane* lane, uint32_t* out) noexcept nogil:
    """Write the code points whose grams are hashed; return how many, at most lane.size.

    `out` has room for PLAIN_ROOM more.
    """
    cdef uint32_t at = 0, n = 0, point, length, classes, end
    while at < lane.size:
        if n > 0 or lane.data[at] != 0x20:  # no gram begins with white space
            end = plain_end(LEVEL, lane.data, lane.size, at)
            plain_points(LEVEL, lane.data, at, end, out + n)
            n += end - at
            at = end
        point = decode(lane.data + at, &length)
        if (point == 0x68 or point == 0x77) and starts_url(lane.data + at, lane.size - at):
            out[n] = URL_POINT
            n += 1
            at = run_end(lane, at, CLASS_SPACE, False)
            continue
        classes = class_of(point)
        if classes & CLASS_SPACE:
            at = run_end(lane, at + length, CLASS_SPACE, True)
            if n > 0:
                out[n] = 0x20
                n += 1
            continue
        if classes & CLASS_DIGIT:
            point = 0x30
            at = run_end(lane, at + length, CLASS_DIGIT, True)
        elif point == 0x40:
            end = run_end(lane, at + 1, CLASS_WORD, True)
            if end > at + 1:
                point = MENTION_POINT
            at = end
        else:
            at += length
        out[n] = point
        n += 1
    return n - 1 if n > 0 and out[n - 1] == 0x20 else n


cdef int simhash_lane(Bump* bump, const Lane* folded, uint64_t* out) noexcept nogil:
    """Hash a folded lane; 0, or -1 when the arena has no memory."""
    cdef uint32_t* points
    cdef uint32_t count
    out[0] = 0
    if folded.size < LEAST + GRAM - 1:
        return 0
    points = <uint32_t*>bump_reserve(bump, (<size_t>folded.size + PLAIN_ROOM) * sizeof(uint32_t))
    if points == NULL:
        return -1
    count = gram_points(folded, points)
    if count >= LEAST + GRAM - 1:
        out[0] = simhash_grams(LEVEL, points, count - GRAM + 1)
    return 0


# --- For lists, benchmarks and tests -------------------------------------------------------------

cdef uint64_t hash_text(Arena arena, str text) except? 0:
    cdef bytes encoded = text.encode()
    cdef const uint8_t* data = <const uint8_t*>PyBytes_AS_STRING(encoded)
    cdef size_t size = <size_t>PyBytes_GET_SIZE(encoded)
    cdef Lane lane
    cdef uint64_t out
    cdef int failed
    bump_reset(&arena.bump, 1 << 20)
    with nogil:
        failed = fold(&arena.bump, data, size, &lane)
        if failed == 0:
            failed = simhash_lane(&arena.bump, &lane, &out)
    if failed:
        raise MemoryError
    return out


def simhash_of(str text not None):
    """Return the SimHash of a text; 0 where it is too short to have one."""
    return hash_text(Arena(), text)


def simhashes_of(texts):
    """Return the SimHashes of texts as an array of uint64."""
    cdef Arena arena = Arena()
    return array("Q", [hash_text(arena, text) for text in texts])


def gram_text_of(str text not None):
    """Return the text whose grams are hashed."""
    cdef bytes encoded = text.encode()
    cdef Arena arena = Arena()
    cdef Lane lane
    cdef uint32_t* points
    cdef uint32_t count, i
    if fold(
        &arena.bump, <const uint8_t*>PyBytes_AS_STRING(encoded),
        <size_t>PyBytes_GET_SIZE(encoded), &lane,
    ) != 0:
        raise MemoryError
    points = <uint32_t*>bump_reserve(
        &arena.bump, (<size_t>lane.size + PLAIN_ROOM) * sizeof(uint32_t)
    )
    if points == NULL:
        raise MemoryError
    count = gram_points(&lane, points)
    bump_commit(&arena.bump, count * sizeof(uint32_t))
    return "".join([chr(points[i]) for i in range(count)])
