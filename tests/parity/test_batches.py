"""The compiled index of record batches and its twin agree on every buffer, whole or damaged."""

from __future__ import annotations

import contextlib
import gzip

import cramjam
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastpath import inflate as inflating
from fastpath.batches import RecordBatches
from fastpath.inflate import InflatedTooLargeError, InflateError, inflate
from fastpath.reference.batches import Reading
from tests.support.batch_readings import read
from tests.support.batches import (
    ABORT,
    COMMIT,
    COMPRESSORS,
    CONTROL,
    HEADER_BYTES,
    LOG_APPEND_TIME,
    Headers,
    RawKey,
    batch,
    broken,
    compressed,
    marker,
    stamped,
    xerial,
)

GOOD: tuple[bytes, bytes, Headers] = (b"k", b"v", [])


def offsets(reading: Reading) -> list[int]:
    return [record.offset for record in reading.records]


# Whole buffers.


def test_records_are_shown_as_they_were_written() -> None:
    written: list[tuple[bytes | None, bytes | None, Headers]] = [
        (b"k", b"v", [("a", b"1"), ("ü", b"")]),
        (None, b"", []),
        (b"", None, []),
        (b"x" * 300, b"y" * 70_000, []),
    ]
    found = read(batch(10, written) + batch(14, [GOOD]))
    assert [(r.offset, r.time, r.key, r.value) for r in found.records] == [
        *((10 + i, 1_000 + i, key, value) for i, (key, value, _) in enumerate(written)),
        (14, 1_000, b"k", b"v"),
    ]
    assert found.records[0].headers == ((b"a", b"1"), ("ü".encode(), b""))
    assert (found.next_offset, found.error) == (15, None)


def test_a_view_keeps_the_bytes_alive() -> None:
    view = RecordBatches("t", 0, b"".join([batch(0, [GOOD] * 3)])).read()
    assert view is not None
    part = view.slice(1, 3)
    del view
    assert (part.value(1), part.offset(1)) == (b"v", 2)


def test_append_time_is_the_batchs_own() -> None:
    raw = batch(0, [GOOD, GOOD])
    raw = stamped(raw, attributes=LOG_APPEND_TIME, max_timestamp=77)
    assert [record.time for record in read(raw).records] == [77, 77]


def test_a_fetch_may_land_inside_a_batch() -> None:
    buffer = batch(0, [GOOD] * 4) + batch(4, [GOOD] * 2)
    for first in range(6):
        assert offsets(read(buffer, fetch_offset=first)) == list(range(first, 6))


def test_compaction_leaves_holes_and_they_are_crossed() -> None:
    raw = batch(0, [GOOD] * 3, deltas=[1, 5, 6])
    raw = stamped(raw, last_offset_delta=9)
    found = read(raw + stamped(batch(20, [GOOD]), last_offset_delta=4))
    assert (offsets(found), found.next_offset) == ([1, 5, 6, 20], 25)


def test_an_empty_batch_moves_the_offset_alone() -> None:
    raw = stamped(batch(0, [GOOD])[:HEADER_BYTES], record_count=0, last_offset_delta=6)
    found = read(raw)
    assert (found.records, found.next_offset, found.error) == ([], 7, None)


def transactions() -> bytes:
    """Producer 1 aborts, then commits; producer 2 commits in between."""
    return (
        batch(0, [GOOD] * 2, producer_id=1)
        + batch(2, [GOOD], producer_id=2)
        + batch(3, [GOOD], producer_id=1)
        + marker(4, 2, COMMIT)
        + marker(5, 1, ABORT)
        + batch(6, [GOOD], producer_id=1)
        + marker(7, 1, COMMIT)
        + batch(8, [GOOD])
    )


def test_aborted_transactions_are_passed_over() -> None:
    found = read(transactions(), aborted=[(1, 0)])
    assert (offsets(found), found.next_offset) == ([2, 6, 8], 9)


def test_without_isolation_only_markers_are_hidden() -> None:
    assert offsets(read(transactions())) == [0, 1, 2, 3, 6, 8]


def test_a_buffer_of_aborted_records_alone_moves_on() -> None:
    found = read(batch(0, [GOOD] * 5, producer_id=1), aborted=[(1, 0)])
    assert (found.records, found.next_offset) == ([], 5)


def test_producers_of_the_same_transaction_time_are_kept_apart() -> None:
    buffer = b"".join(batch(n, [GOOD], producer_id=n) for n in range(40))
    buffer += b"".join(marker(40 + n, n, ABORT) for n in range(0, 40, 2))
    aborted = [(n, n) for n in range(38, -1, -2)]
    assert offsets(read(buffer, aborted=aborted)) == list(range(1, 40, 2))


def test_a_cut_batch_is_left_for_the_next_fetch() -> None:
    whole, cut = batch(0, [GOOD]), batch(1, [GOOD])
    for size in range(len(cut)):
        found = read(whole + cut[:size])
        assert (offsets(found), found.next_offset, found.error) == ([0], 1, None)


# Compression.


@pytest.mark.parametrize("codec", COMPRESSORS)
def test_each_codec_is_read(codec: int) -> None:
    records: list[tuple[bytes, bytes, Headers]] = [
        (b"k%d" % n, b"value %d" % n * 9, []) for n in range(3_000)
    ]
    found = read(batch(0, records, codec=codec) + batch(3_000, records, codec=codec))
    assert len(found.records) == 6_000
    assert found.records[2_999].value == records[2_999][1]


def test_raw_snappy_and_gzip_in_members_are_read() -> None:
    raw = batch(0, [GOOD] * 40)
    assert len(read(compressed(raw, 2, lambda b: bytes(cramjam.snappy.compress_raw(b)))).records)
    halves = compressed(raw, 1, lambda b: gzip.compress(b[:90]) + gzip.compress(b[90:]))
    assert len(read(halves).records) == 40


@pytest.mark.parametrize("codec", COMPRESSORS)
def test_no_codec_inflates_past_the_cap(codec: int) -> None:
    body = bytes(1_000_000)
    packed = COMPRESSORS[codec](body)
    assert inflate(codec, packed, len(body)) == body
    for cap in (len(body) - 1, len(body) // 2, 10, 0):
        with pytest.raises(InflatedTooLargeError):
            inflate(codec, packed, cap)
    if codec == 2:
        with pytest.raises(InflatedTooLargeError):
            inflate(codec, bytes(cramjam.snappy.compress_raw(body)), 10)


@pytest.mark.parametrize("codec", COMPRESSORS)
@settings(max_examples=60)
@given(st.data())
def test_damaged_compression_is_an_error_or_bytes_within_the_cap(
    codec: int, data: st.DataObject
) -> None:
    packed = bytearray(COMPRESSORS[codec](b"some bytes " * 300))
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    packed = packed[: data.draw(st.integers(0, len(packed)))]
    with contextlib.suppress(InflateError):
        assert len(inflate(codec, bytes(packed), 4_000)) <= 4_000


def test_a_bomb_is_refused_by_name() -> None:
    bomb = batch(5, [(b"k", bytes(inflating.MAX_INFLATED_BYTES), [])], codec=1)
    found = read(batch(0, [GOOD] * 5) + bomb + batch(6, [GOOD]))
    assert (offsets(found), found.next_offset) == ([0, 1, 2, 3, 4], 5)
    assert found.error == "inflated_too_large"


def test_inflated_batches_are_shared_out_over_views() -> None:
    large = batch(0, [(None, bytes(9 << 20), [])], codec=4)
    buffer = b"".join(stamped(large, base_offset=n) for n in range(3)) + batch(3, [GOOD])
    reader = RecordBatches("t", 0, buffer)
    views = []
    while not reader.ended:
        views.append(reader.read())
    assert [len(view) for view in views if view] == [1, 1, 2]
    assert reader.next_offset == 4


# Damage.


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (broken(batch(4, [GOOD])), "checksum"),
        (stamped(batch(4, [GOOD]), magic=3), "magic"),
        (stamped(batch(4, [GOOD]), last_offset_delta=-1), "offsets"),
        (stamped(batch(4, [GOOD]), base_offset=-1), "offsets"),
        (stamped(batch(4, [GOOD]), base_offset=2**63 - 1), "offsets"),
        (batch(3, [GOOD]), "offsets"),
        (stamped(batch(4, [GOOD]), record_count=-1), "count"),
        (stamped(batch(4, [GOOD]), record_count=2), "count"),
        (stamped(batch(4, [GOOD] * 8), record_count=7), "record"),
        (stamped(batch(4, [GOOD] * 8), record_count=9), "record"),
        (stamped(batch(4, [GOOD]), record_count=2**31 - 1), "count"),
        (stamped(batch(4, [GOOD]), attributes=1), "codec"),
        (stamped(batch(4, [GOOD]), attributes=7), "codec"),
        (stamped(batch(4, [GOOD] * 2), last_offset_delta=0), "record"),
        (stamped(batch(4, [GOOD] * 2), first_timestamp=2**63 - 1), "record"),
        (batch(4, [(b"k", b"v", [(RawKey("x"), b"")])]), "header_key"),
        (batch(4, [(b"k", b"v", [("x" * 70 + RawKey("x"), b"")])]), None),
        (batch(4, [GOOD])[:8] + (3).to_bytes(4, "big") + batch(4, [GOOD])[12:], "length"),
        (batch(4, [GOOD])[:8] + (48).to_bytes(4, "big") + batch(4, [GOOD])[12:], "length"),
        (batch(4, [GOOD])[:8] + b"\xff\xff\xff\xff" + batch(4, [GOOD])[12:], "length"),
    ],
)
def test_what_is_broken_has_a_name_and_the_good_stays(raw: bytes, error: str | None) -> None:
    found = read(batch(0, [GOOD] * 4) + raw + batch(20, [GOOD]))
    assert found.error == error
    if error:
        assert (offsets(found), found.next_offset) == ([0, 1, 2, 3], 4)


# A record that is two bytes shorter than its fields, a key that wraps, and other lies.
LIES = {
    "varint of six bytes": b"\x80\x80\x80\x80\x80\x00",
    "varint above 32 bits": b"\xff\xff\xff\xff\x1f",
    "length past the end": b"\x7e",
    "negative length": b"\x01",
    "no length": b"",
    "empty record": b"\x00",
    "key length wraps": b"\x18\x00\x00\x00\xfe\xff\xff\xff\x0fvvv\x00",
    "key length below -1": b"\x0e\x00\x00\x00\x03\x02v\x00",
    "headers below 0": b"\x0e\x00\x00\x00\x01\x01\x01\x00",
    "more headers than bytes": b"\x0c\x00\x00\x00\x01\x01\x7e",
    "null header key": b"\x10\x00\x00\x00\x01\x01\x02\x01\x01",
    "bytes after the headers": b"\x0e\x00\x00\x00\x01\x01\x00\x00",
    "time of eleven bytes": b"\x20\x00" + b"\x80" * 10 + b"\x00\x00\x01\x01\x00",
    "time above 64 bits": b"\x1e\x00" + b"\xff" * 9 + b"\x03\x00\x01\x01\x00",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_inside_a_record_is_found(lie: str) -> None:
    raw = batch(0, [GOOD])[:HEADER_BYTES] + LIES[lie]
    raw += bytes(max(7 - len(LIES[lie]), 0))
    found = read(stamped(raw))
    assert (found.records, found.error) == ([], "record")


def test_the_smallest_and_the_widest_record_are_read() -> None:
    head = batch(0, [GOOD])[:HEADER_BYTES]
    assert len(read(stamped(head + b"\x0c\x00\x00\x00\x01\x01\x00")).records) == 1
    wide = b"\x1e\x00" + b"\xff" * 9 + b"\x01" + b"\x00\x01\x01\x00"
    wide = bytes([2 * (len(wide) - 1)]) + wide[1:]
    (record,) = read(stamped(head + wide, first_timestamp=-1, attributes=0)).records or [None]
    assert record is None or record.time < 0


def test_a_buffer_that_moves_nothing_is_an_error() -> None:
    """Fetched again it would come again, for ever."""
    assert read(batch(0, [GOOD]), fetch_offset=1).error == "offsets"
    assert read(b"", fetch_offset=1).error is None


def test_old_formats_are_left_to_the_client() -> None:
    old = stamped(batch(4, [GOOD]), magic=1)
    found = read(batch(0, [GOOD]) + old)
    assert (offsets(found), found.error) == ([0], "old")


# Any bytes.

keys = st.none() | st.binary(max_size=4)
headers = st.lists(
    st.tuples(st.text(max_size=3) | st.just(RawKey("x")), st.binary(max_size=2)), max_size=2
)
written = st.lists(st.tuples(keys, st.none() | st.binary(max_size=9), headers), max_size=5)


@st.composite
def buffers(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int]]]:
    """Draw batches of every kind, in order, with gaps, and the transactions that were aborted."""
    at, parts, aborted = 0, [], []
    for _ in range(draw(st.integers(1, 4))):
        producer = draw(st.integers(-1, 2))
        records = draw(written)
        gaps = draw(st.lists(st.integers(1, 4), min_size=len(records), max_size=len(records)))
        deltas = [sum(gaps[: i + 1]) - 1 for i in range(len(gaps))]
        raw = batch(at, records, deltas=deltas, producer_id=producer)
        span = draw(st.integers(deltas[-1] if deltas else 0, 20))
        raw = stamped(raw, last_offset_delta=span)
        if draw(st.booleans()):
            attributes = int.from_bytes(raw[21:23], "big") | draw(
                st.sampled_from([LOG_APPEND_TIME, CONTROL, 0])
            )
            raw = stamped(raw, attributes=attributes)
        codec = draw(st.integers(0, 4))
        parts.append(compressed(raw, codec) if codec else raw)
        if producer >= 0 and draw(st.booleans()):
            aborted.append((producer, at))
        at += span + 1
        if producer >= 0 and draw(st.booleans()):
            parts.append(marker(at, producer, draw(st.sampled_from([ABORT, COMMIT]))))
            at += 1
    return b"".join(parts), aborted


@settings(max_examples=300)
@given(buffers(), st.integers(0, 30), st.booleans(), st.booleans())
def test_whole_buffers_agree(
    drawn: tuple[bytes, list[tuple[int, int]]], first: int, committed: bool, keys_checked: bool
) -> None:
    buffer, aborted = drawn
    read(
        buffer,
        fetch_offset=first,
        aborted=aborted if committed else None,
        check_header_keys=keys_checked,
    )


@settings(max_examples=600)
@given(
    buffers(),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    st.booleans(),
    st.integers(0, 5),
)
@example((batch(0, [GOOD]), []), [(HEADER_BYTES, 0xFF)], False, 0)
def test_damaged_buffers_agree(
    drawn: tuple[bytes, list[tuple[int, int]]],
    damage: list[tuple[int, int]],
    check_crcs: bool,
    cut: int,
) -> None:
    buffer, aborted = drawn
    damaged = bytearray(buffer)
    for place, byte in damage:
        damaged[place % len(damaged)] = byte
    read(bytes(damaged[: len(damaged) - cut]), check_crcs=check_crcs, aborted=aborted)


@settings(max_examples=200)
@given(st.binary(max_size=40), st.integers(0, 3), st.booleans())
def test_any_records_under_a_good_checksum_agree(body: bytes, count: int, append: bool) -> None:
    raw = batch(0, [GOOD])[:HEADER_BYTES] + body
    attributes = LOG_APPEND_TIME if append else 0
    read(stamped(raw, record_count=count, last_offset_delta=9, attributes=attributes))


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_bytes_agree(buffer: bytes) -> None:
    read(buffer, check_crcs=False)
    read(xerial(buffer), check_crcs=False)
