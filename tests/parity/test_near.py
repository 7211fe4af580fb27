"""SimHashes equal the twin's; indexes find what brute force finds, and the twin where runs fill."""

from __future__ import annotations

import itertools
import random
from array import array
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import BuildError
from fastpath.distances import (
    BRUTE_PDQS,
    MAX_PENDING_PDQ,
    MAX_PENDING_SIMHASH,
    MAX_RUN_PDQ,
    NearFound,
)
from fastpath.near import PdqIndex, SimHashIndex
from fastpath.reference import near as twin
from fastpath.reference.text import fold_text
from fastpath.simhash import gram_text_of, simhash_of, simhashes_of
from tests.support import isa_levels
from tests.support.texts import seeded_texts

TEXTS = (
    "", " ", "short", "x" * 22, "x" * 23, "é" * 23, "漢字" * 30, " a  b\t\n c " * 9,
    "see http://a.b/c and HTTPS://x.y www.z.example wwww. http:/ https:// end of it all",
    "@you @ @@me e@mail.example 12 345 ٣٤ 1a2b3c4d5e6f7g8h9i0j and so on and on",
    "\u3000leading and trailing white space\u2003\u2003", "e\u0301" * 40, "\0" * 40,
    "😀👩‍👩‍👧" * 20,
    "the quick brown fox jumps over the lazy dog " * 40,
)  # fmt: skip


def hits(found: NearFound, query: int) -> list[tuple[int, int]]:
    span = slice(found.starts[query], found.starts[query + 1])
    return list(zip(found.entries[span], found.distances[span], strict=True))


def brute(hashes: Sequence[int], query: int, radius: int) -> list[tuple[int, int]]:
    near = ((entry, (held ^ query).bit_count()) for entry, held in enumerate(hashes))
    return [(entry, distance) for entry, distance in near if distance <= radius]


def pdq_bytes(hashes: Sequence[int]) -> bytes:
    return b"".join(each.to_bytes(32, "little") for each in hashes)


def flip(rng: random.Random, value: int, bits: int, count: int) -> int:
    for bit in rng.sample(range(bits), count):
        value ^= 1 << bit
    return value


# --- SimHash -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*TEXTS, *seeded_texts(5, 200)])
def test_simhash_equals_the_twins(text: str) -> None:
    lane = fold_text(text)
    assert gram_text_of(text) == twin.gram_text(lane)
    assert simhash_of(text) == twin.simhash(lane)


pieces = st.lists(
    st.sampled_from((
        *TEXTS[2:12], "http://", "https://", "www.", "h", "w", "@", "a", "0", "9", "٣", " ",
        "\u3000", "\n", "é", "漢", "\u0301", "_", "\u200d", "ß", "ﬁ",
    )) | st.text(st.characters(codec="utf-8"), max_size=12),
    max_size=20,
).map("".join)  # fmt: skip


@settings(max_examples=2_000)
@given(pieces)
def test_simhash_equals_the_twins_on_drawn_texts(text: str) -> None:
    lane = fold_text(text)
    assert gram_text_of(text) == twin.gram_text(lane)
    assert simhash_of(text) == twin.simhash(lane)


def test_counts_of_more_than_a_byte_are_exact() -> None:
    """The vector kernels count in few bits and carry over every 240 or 255 grams."""
    rng = random.Random(1)
    for size in (*range(236, 264), *range(476, 492), 509, 510, 511, 512, 513, 1_020, 5_000):
        text = "".join(rng.choices("abc ", k=size - 1)) + "z"
        assert simhash_of(text) == twin.simhash(fold_text(text)), size
    for size in (*range(23, 36), *range(236, 250)):  # one gram alone: every counter at its most
        assert simhash_of("x" * size) == twin.gram_hash("xxxx"), size
    assert simhash_of("x" * 60_000) == twin.simhash("x" * 60_000) == twin.gram_hash("xxxx")


def test_only_long_enough_texts_have_one() -> None:
    assert simhash_of("abcdefghijklmnopqrstuv") == 0  # 19 grams
    assert simhash_of("abcdefghijklmnopqrstuvw") != 0


def test_what_the_placeholders_hide_changes_nothing() -> None:
    form = "Dear {} your code is {} please visit {} before midnight or lose the prize"
    one = form.format("@anna", "123", "http://a.example/x")
    other = form.format("@bert_2", "98765", "https://b.example/y?z")
    assert simhash_of(one) == simhash_of(other) != 0


def test_similar_texts_are_near_and_others_far() -> None:
    rng = random.Random(3)
    letters = "etaoinshrdlu     "
    texts = ["".join(rng.choices(letters, k=280)) for _ in range(300)]
    edited = [text[:140] + "!" + text[140:] for text in texts]
    hashes, near = simhashes_of(texts), simhashes_of(edited)
    distances = [(a ^ b).bit_count() for a, b in zip(hashes, near, strict=True)]
    assert sum(distances) / len(distances) < 6
    apart = [(a ^ b).bit_count() for a, b in itertools.pairwise(hashes)]
    assert 29 < sum(apart) / len(apart) < 35
    ones = [sum(each >> bit & 1 for each in hashes) for bit in range(64)]
    assert min(ones) > 90
    assert max(ones) < 210


# --- Indexes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", range(8))
@pytest.mark.parametrize("count", [0, 1, 33, 3_000])
def test_simhash_index_equals_brute_force(radius: int, count: int) -> None:
    rng = random.Random(radius)
    hashes = [rng.getrandbits(64) for _ in range(count)]
    hashes += hashes[: count // 10]  # the same hash at several entries
    queries = [flip(rng, hash_, 64, rng.randrange(10)) for hash_ in hashes[:200]]
    queries += [rng.getrandbits(64), 0, 2**64 - 1]
    found = SimHashIndex(array("Q", hashes), radius).query(array("Q", queries))
    for place, query in enumerate(queries):
        assert hits(found, place) == brute(hashes, query, radius)
    assert found.capped == bytes(len(queries))


@pytest.mark.parametrize("radius", [0, 1, 15, 16, 30, 31])
@pytest.mark.parametrize("count", [0, 1, 9, 2_001, BRUTE_PDQS + 1])
def test_pdq_index_equals_brute_force(radius: int, count: int) -> None:
    rng = random.Random(radius)
    hashes = [rng.getrandbits(256) for _ in range(count)]
    queries = [flip(rng, hash_, 256, rng.randrange(36)) for hash_ in hashes[:40]]
    queries += [rng.getrandbits(256), 0, 2**256 - 1]
    found = PdqIndex(pdq_bytes(hashes), radius).query(pdq_bytes(queries))
    for place, query in enumerate(queries):
        assert hits(found, place) == brute(hashes, query, radius)


def test_every_way_to_spread_the_bits_is_found() -> None:
    """Distances at the radius, the differing bits spread evenly, bunched and anyhow."""
    rng = random.Random(7)
    hashes = [rng.getrandbits(256) for _ in range(BRUTE_PDQS + 1)]
    index = PdqIndex(pdq_bytes(hashes), 31)
    queries, due = [], []
    for entry in range(400):
        sizes = [0] * 16
        kind = rng.randrange(3)
        for bit in range(31):
            sizes[bit % 16 if kind == 0 else rng.randrange(16 if kind == 1 else 4)] += 1
        query = hashes[entry]
        for word, size in enumerate(sizes):
            for bit in rng.sample(range(16), min(size, 16)):
                query ^= 1 << (16 * word + bit)
        queries.append(query)
        due.append((entry, (query ^ hashes[entry]).bit_count()))
    found = index.query(pdq_bytes(queries))
    assert [hits(found, place) for place in range(400)] == [[each] for each in due]


def test_regression_pairs_within_radii_are_counted_alike() -> None:
    """Clusters of images as services see them: copies, crops, and pictures that share nothing."""
    rng = random.Random(11)
    hashes = []
    for _ in range(50):
        seed = rng.getrandbits(256)
        hashes += [seed] + [
            flip(rng, seed, 256, rng.choice((0, 4, 10, 22, 31, 40))) for _ in range(26)
        ]
    needles = [flip(rng, rng.choice(hashes), 256, rng.randrange(20)) for _ in range(100)]
    padding = [rng.getrandbits(256) for _ in range(BRUTE_PDQS)]
    for radius in (0, 10, 15, 20, 25, 31):
        pairs = sum(len(brute(hashes, needle, radius)) for needle in needles)
        found = PdqIndex(pdq_bytes(hashes + padding), radius).query(pdq_bytes(needles))
        near = [entry for entry in found.entries if entry < len(hashes)]
        assert len(near) == pairs
        assert pairs > 50 or radius < 15


def test_full_runs_are_capped_marked_and_equal_to_the_twin() -> None:
    """Templated entries share words: buckets fill, and what is still found is defined."""
    rng = random.Random(5)
    base = rng.getrandbits(256)
    low = 2**96 - 1
    skewed = [(base & ~low) | (rng.getrandbits(96) & low) for _ in range(MAX_RUN_PDQ + 200)]
    hashes = [rng.getrandbits(256) for _ in range(BRUTE_PDQS)] + skewed
    rng.shuffle(hashes)
    index, due = PdqIndex(pdq_bytes(hashes), 31), twin.pdq_index(hashes, 31)
    assert index.longest_run == due.longest_run >= MAX_RUN_PDQ + 200
    assert index.capped_runs == len(due.full) >= 10
    queries = [flip(rng, each, 256, rng.randrange(32)) for each in skewed[-60:]]
    queries += [rng.getrandbits(256) for _ in range(20)]
    found = index.query(pdq_bytes(queries))
    for place, query in enumerate(queries):
        assert (hits(found, place), bool(found.capped[place])) == due.query(query)
    assert 0 < sum(found.capped) < len(queries)


def test_full_runs_of_simhashes_equal_the_twin() -> None:
    rng = random.Random(6)
    fixed = rng.getrandbits(64) & ~(2**20 - 1)
    hashes = [fixed | rng.getrandbits(20) for _ in range(5_000)]
    for radius in (3, 7):
        index, due = SimHashIndex(array("Q", hashes), radius), twin.simhash_index(hashes, radius)
        assert index.capped_runs == len(due.full) > 0
        queries = [flip(rng, each, 64, rng.randrange(8)) for each in hashes[-30:]]
        queries.append(rng.getrandbits(64))
        found = index.query(array("Q", queries))
        for place, query in enumerate(queries):
            assert (hits(found, place), bool(found.capped[place])) == due.query(query)


@settings(max_examples=300)
@given(st.data())
def test_added_entries_are_found_before_and_after_the_merge(data: st.DataObject) -> None:
    words = st.integers(0, 2**64 - 1) | st.integers(0, 15)
    first = data.draw(st.lists(words, max_size=30))
    parts = data.draw(st.lists(st.lists(words, max_size=10), max_size=4))
    radius = data.draw(st.integers(0, 7))
    queries = data.draw(st.lists(words, max_size=5))
    every = first + [each for part in parts for each in part]
    index = SimHashIndex(array("Q", first), radius)
    pdqs = PdqIndex(pdq_bytes(first), radius)
    for part in parts:
        index.add(array("Q", part))
        pdqs.add(pdq_bytes(part))
    assert len(index) == len(pdqs) == len(every)
    for state in (index, index.merged()):
        found = state.query(array("Q", queries))
        assert [hits(found, i) for i in range(len(queries))] == [
            brute(every, query, radius) for query in queries
        ]
    for held in (pdqs, pdqs.merged()):
        found = held.query(pdq_bytes(queries))
        assert [hits(found, i) for i in range(len(queries))] == [
            brute(every, query, radius) for query in queries
        ]
    assert index.merged().pending == pdqs.merged().pending == 0


def test_added_entries_stand_behind_a_built_index() -> None:
    rng = random.Random(9)
    hashes = [rng.getrandbits(256) for _ in range(BRUTE_PDQS + 1)]
    added = [flip(rng, hashes[0], 256, count) for count in (3, 31)]
    index = PdqIndex(pdq_bytes(hashes), 31)
    index.add(pdq_bytes(added))
    end = len(hashes)
    due = brute(hashes + added, hashes[0], 31)
    assert due == [(0, 0), (end, 3), (end + 1, 31)]
    assert hits(index.query(pdq_bytes(hashes[:1])), 0) == due
    assert hits(index.merged().query(pdq_bytes(hashes[:1])), 0) == due


def test_limits_are_checked_when_built() -> None:
    for radius in (-1, 8):
        with pytest.raises(BuildError, match="simhash radius"):
            SimHashIndex(array("Q"), radius)
    for radius in (-1, 32):
        with pytest.raises(BuildError, match="pdq radius"):
            PdqIndex(b"", radius)
    with pytest.raises(BuildError, match="bytes of pdq hashes"):
        PdqIndex(bytes(33), 31)
    with pytest.raises(BuildError, match="pending simhashes"):
        SimHashIndex(array("Q"), 3).add(array("Q", bytes(8 * (MAX_PENDING_SIMHASH + 1))))
    with pytest.raises(BuildError, match="pending pdq"):
        PdqIndex(b"", 3).add(bytes(32 * (MAX_PENDING_PDQ + 1)))


@pytest.mark.parametrize("level", isa_levels.LOWER)
def test_lower_instruction_sets_pass_these_tests(level: str) -> None:
    isa_levels.pass_at(level, __file__, "not instruction_sets")
