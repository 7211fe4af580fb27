"""Batch views index bytes in place; packed sightings come back, and broken ones never do."""

from __future__ import annotations

import crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath.columns import Sighting
from fastpath.errors import BuildError, CorruptImage
from fastpath.records import (
    ENTRY_BYTES,
    HEADER_BYTES,
    MAX_PACKED_BYTES,
    BatchView,
    SightingPacker,
    count_lines,
    unpack_sightings,
)
from fastpath.reference.records import pack_sightings, partition_of
from fastpath.spec import FINGERPRINT_TYPES

DIGEST = bytes(range(32))
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)
int64 = st.integers(-(2**63), 2**63 - 1)
sightings = st.builds(
    Sighting,
    type=st.sampled_from(FINGERPRINT_TYPES),
    fingerprint=st.binary(min_size=16, max_size=16),
    account=ids,
    account_created_at=st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
    post=ids,
    revision=st.integers(0, 2**32 - 1),
    time=int64,
    text_digest=st.binary(min_size=16, max_size=16),
    simhash=st.integers(0, 2**64 - 1),
    partition=st.integers(0, 2**32 - 1),
    offset=int64,
)


def many(count: int, account: str = "a") -> list[Sighting]:
    return [
        Sighting("url", n.to_bytes(16, "little"), account, None, f"p{n}", 0, n, b"d" * 16, 0, 1, n)
        for n in range(count)
    ]


@settings(max_examples=150)
@given(st.lists(sightings, max_size=30), st.integers(1, 9), st.text(max_size=20))
def test_packed_sightings_come_back(drawn: list[Sighting], partitions: int, topic: str) -> None:
    packed = SightingPacker(topic, DIGEST, partitions).pack(drawn)
    assert packed == pack_sightings(topic, DIGEST, partitions, drawn)
    found: list[Sighting] = []
    for held in packed:
        record = unpack_sightings(held.value)
        assert (record.topic, record.bundle_digest) == (topic, DIGEST)
        assert held.count == len(record.sightings)
        assert held.first_offset == record.sightings[0].offset
        assert {partition_of(s.fingerprint, partitions) for s in record.sightings} == {
            held.partition
        }
        found += record.sightings
    assert found == sorted(drawn, key=lambda s: partition_of(s.fingerprint, partitions))


def test_records_stay_below_the_size_limit() -> None:
    drawn = many(9_000, "x" * 200)
    packed = SightingPacker("posts", DIGEST, 2).pack(drawn)
    assert packed == pack_sightings("posts", DIGEST, 2, drawn)
    assert all(len(held.value) <= MAX_PACKED_BYTES for held in packed)
    full = [held for held in packed if len(held.value) > MAX_PACKED_BYTES - 2 * ENTRY_BYTES - 500]
    assert len(packed) - len(full) <= 2  # one open record of each partition
    assert [h.partition for h in packed] == sorted(h.partition for h in packed)
    joined = [s for held in packed for s in unpack_sightings(held.value).sightings]
    assert sorted(joined, key=lambda s: s.offset) == drawn


def test_a_packer_starts_again() -> None:
    packer = SightingPacker("posts", DIGEST, 3)
    first = packer.pack(many(10))
    assert packer.pack(many(10)) == first
    assert packer.pack([]) == []


VALUE = SightingPacker("posts", DIGEST, 1).pack(many(3))[0].value


@pytest.mark.parametrize("size", range(len(VALUE)))
def test_truncated_sightings_are_refused(size: int) -> None:
    with pytest.raises(CorruptImage):
        unpack_sightings(VALUE[:size])


@pytest.mark.parametrize("place", [p for p in range(len(VALUE)) if not 16 <= p < HEADER_BYTES])
def test_a_flipped_bit_is_refused(place: int) -> None:
    """Everywhere but in the bundle digest, which any 32 bytes may be."""
    for bit in range(8):
        broken = bytearray(VALUE)
        broken[place] ^= 1 << bit
        with pytest.raises(CorruptImage):
            unpack_sightings(bytes(broken))


@pytest.mark.parametrize("tail", [b"\0", b"x" * ENTRY_BYTES])
def test_bytes_after_the_end_are_refused(tail: bytes) -> None:
    with pytest.raises(CorruptImage):
        unpack_sightings(VALUE + tail)
    with pytest.raises(CorruptImage):
        unpack_sightings(with_crc(VALUE + tail))


def with_crc(value: bytes) -> bytes:
    """Repair the checksum, so that what is broken has to be found by itself."""
    body = value[HEADER_BYTES:]
    return value[:12] + crc32c.crc32c(body).to_bytes(4, "little") + value[16:]


START = HEADER_BYTES + len("posts")
LIES = {
    "topic longer than the record": (6, b"\xff\xff"),
    "topic longer by one": (6, b"\x06"),
    "more entries than bytes": (8, b"\xff\xff\xff\xff"),
    "one entry more": (8, b"\x04"),
    "one entry less": (8, b"\x02"),
    "entry too long": (START, b"\xff\xff"),
    "entry too short": (START, b"\x01\x00"),
    "type 0": (START + 2, b"\x00"),
    "type 6": (START + 2, b"\x06"),
    "reserved byte": (START + 3, b"\x01"),
    "account too long": (START + 76, b"\xff\xff"),
    "post too long": (START + 78, b"\xff\xff"),
    "account not UTF-8": (START + 80, b"\xff"),
    "topic not UTF-8": (HEADER_BYTES, b"\xff"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_under_a_good_checksum_is_refused(lie: str) -> None:
    place, written = LIES[lie]
    broken = VALUE[:place] + written + VALUE[place + len(written) :]
    with pytest.raises(CorruptImage):
        unpack_sightings(with_crc(broken))


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: VALUE[:60] + tail))
def test_any_bytes_are_read_or_refused(value: bytes) -> None:
    for candidate in (value, with_crc(value) if len(value) >= HEADER_BYTES else value):
        try:
            unpack_sightings(candidate)
        except CorruptImage:
            continue


def test_a_packer_refuses_what_cannot_be_written() -> None:
    with pytest.raises(BuildError, match="bundle digest"):
        SightingPacker("t", b"", 1)
    with pytest.raises(BuildError, match="partitions"):
        SightingPacker("t", DIGEST, 0)
    with pytest.raises(BuildError, match="topic"):
        SightingPacker("t" * 65_536, DIGEST, 1)
    with pytest.raises(ValueError, match="256"):
        SightingPacker("t", DIGEST, 1).pack(many(1, "x" * 257))


optional = st.none() | st.binary(max_size=20)


@given(st.lists(st.tuples(optional, optional, int64, int64), max_size=20), st.data())
def test_views_hand_back_what_they_hold(
    drawn: list[tuple[bytes | None, bytes | None, int, int]], data: st.DataObject
) -> None:
    columns = list(zip(*drawn, strict=True)) or [(), (), (), ()]
    view = BatchView.from_records("t", 7, *columns)
    start = data.draw(st.integers(-2, len(drawn) + 2))
    stop = data.draw(st.integers(-2, len(drawn) + 2))
    for part, due in (
        (view, drawn),
        (view.slice(start, stop), drawn[max(start, 0) : max(stop, 0)]),
    ):
        assert (part.topic, part.partition, len(part)) == ("t", 7, len(due))
        assert [
            (part.key(i), part.value(i), part.time(i), part.offset(i)) for i in range(len(part))
        ] == due


def test_a_slice_keeps_its_bytes_alive() -> None:
    view = (
        BatchView.from_records("t", 0, [b"k" * 100], [bytes(100)], [1], [2]).slice(0, 1).slice(0, 1)
    )
    assert view.key(0) == b"k" * 100


@given(
    st.lists(st.sampled_from([b"", b"{}", b" ", b"\t", b"x\r", b"\r", b'{"a": 1}', b"\xff"])),
    st.booleans(),
)
def test_lines_equal_pythons(lines: list[bytes], ends: bool) -> None:
    data = b"\n".join(lines) + (b"\n" if ends else b"")
    view = BatchView.from_lines("f", data, 5)
    due = [
        (line.removesuffix(b"\r"), number)
        for number, line in enumerate(data.split(b"\n"), 5)
        if line.strip(b" \t\r")
    ]
    assert [(view.value(i), view.offset(i)) for i in range(len(view))] == due
    assert all(view.key(i) is None and view.time(i) == 0 for i in range(len(view)))
    assert count_lines(data) == data.count(b"\n")


def test_views_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        BatchView.from_records("t", 0, [None], [], [], [])
    with pytest.raises(TypeError):
        BatchView.from_records("t", 0, ["text"], [b""], [0], [0])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        BatchView()
    view = BatchView.from_records("t", 0, [], [], [], [])
    for read in (view.value, view.key, view.time, view.offset):
        for index in (-1, 0):
            with pytest.raises(IndexError):
                read(index)
