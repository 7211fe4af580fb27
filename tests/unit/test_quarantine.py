"""What stood in a batch that the client cannot read is saved, and nothing else is lost."""

from __future__ import annotations

import random

import pytest

from fastpath.inflate import MAX_INFLATED_BYTES
from fastpath.records import BatchView
from tests.support.batches import ABORT, Headers, RawKey, batch, broken, marker, stamped
from worker.domain.dead_letter import DeadLetter, Reason
from worker.transport.kafka import quarantine
from worker.transport.kafka.quarantine import Rescued, rescue
from worker.transport.protocols import Partition, Quarantined

WHERE = Partition("posts", 3)
GOOD: tuple[bytes, bytes, Headers] = (b"k", b"v", [("h", b"1")])
POISON: tuple[bytes, bytes, Headers] = (b"p", b"w", [(RawKey("x"), b"2")])


def saved(buffer: bytes, at: int, end: int | None = None) -> Rescued:
    found = rescue(WHERE, buffer, at, end)
    assert found is not None
    return found


def offsets(found: Rescued) -> list[int]:
    """Return the offsets of what was read, in the order of the items."""
    return [
        item.offset(i)
        for item in found.items
        if isinstance(item, BatchView)
        for i in range(len(item))
    ]


def letters(found: Rescued) -> list[DeadLetter]:
    return [
        letter for item in found.items if isinstance(item, Quarantined) for letter in item.letters
    ]


def test_a_header_key_that_does_not_decode_takes_its_record_alone() -> None:
    found = saved(batch(10, [GOOD, POISON, GOOD]), 10)
    assert [type(item) for item in found.items] == [BatchView, Quarantined, BatchView]
    first = found.items[0]
    assert isinstance(first, BatchView)
    assert (first.time(0), first.key(0), first.value(0)) == (1_000, b"k", b"v")
    assert offsets(found) == [10, 12]
    (letter,) = letters(found)
    assert (letter.reason, letter.offset, letter.key) == (Reason.HEADER_INVALID, 11, b"p")
    assert b"\xff\xfe" in (letter.value or b""), "the record travels whole in the value"
    assert found.next == 13


def test_reading_goes_on_inside_a_batch() -> None:
    found = saved(batch(10, [POISON, GOOD, POISON]), 12)
    assert offsets(found) == []
    assert [letter.offset for letter in letters(found)] == [12]


def test_a_broken_checksum_takes_the_batch_and_its_bytes() -> None:
    bad, good = broken(batch(10, [GOOD] * 3)), batch(13, [GOOD])
    found = saved(batch(8, [GOOD] * 2) + bad + good, 8)
    assert offsets(found) == [8, 9]
    (letter,) = letters(found)
    assert (letter.reason, letter.offset, letter.value) == (Reason.RECORD_CORRUPT, 10, bad)
    assert found.next == 13


def test_aborted_batches_before_a_bad_one_stay_hidden() -> None:
    buffer = batch(0, [GOOD], producer_id=5) + marker(1, 5, ABORT) + broken(batch(2, [GOOD]))
    found = rescue(WHERE, buffer, 0, None, [(5, 0)])
    assert found is not None
    assert offsets(found) == []
    assert [letter.offset for letter in letters(found)] == [2]


def test_a_broken_header_cannot_skip_what_follows() -> None:
    for delta in (1_000_000, 1, -5):
        raw = bytearray(batch(10, [GOOD] * 3))
        raw[23:27] = delta.to_bytes(4, "big", signed=True)  # last_offset_delta
        assert saved(bytes(raw) + batch(13, [GOOD]), 10).next == 13
        assert saved(bytes(raw), 10, end=14).next == 11, "one further fails again, and loses none"


def test_a_broken_batch_whose_header_agrees_with_itself_is_passed_whole() -> None:
    assert saved(broken(batch(10, [GOOD] * 3)), 10, end=14).next == 13
    assert saved(broken(batch(10, [GOOD] * 3)), 11, end=12).next == 12


def test_a_broken_length_or_format_ends_in_a_letter() -> None:
    raw = batch(10, [GOOD] * 3)
    for bad in (raw[:8] + b"\0\0\0\x05" + raw[12:], stamped(raw, magic=7)):
        found = saved(batch(9, [GOOD]) + bad, 9)
        assert offsets(found) == [9]
        assert found.next > 10
        assert b"".join(letter.value or b"" for letter in letters(found)) == bad


def test_a_large_broken_batch_is_saved_in_pieces() -> None:
    bad = broken(batch(0, [(b"k", b"x" * (quarantine.MAX_PIECE_BYTES + 10), [])]))
    pieces = letters(saved(bad, 0))
    assert b"".join(letter.value or b"" for letter in pieces) == bad
    assert [dict(letter.headers)["weir.dlq.piece"] for letter in pieces] == [b"1/2", b"2/2"]


@pytest.mark.parametrize("codec", [1, 2, 3, 4])
def test_a_compressed_batch_is_read(codec: int) -> None:
    found = saved(batch(5, [GOOD, POISON], codec=codec), 5)
    assert offsets(found) == [5]
    assert [letter.offset for letter in letters(found)] == [6]


def test_a_bomb_is_not_inflated() -> None:
    raw = batch(5, [(b"k", bytes(MAX_INFLATED_BYTES), [])], codec=4)
    assert len(raw) < 10_000
    (letter,) = letters(saved(raw, 5))
    assert (letter.reason, letter.value) == (Reason.INFLATED_TOO_LARGE, raw)


def test_an_offset_beyond_the_buffer_finds_nothing() -> None:
    assert rescue(WHERE, b"", 0, None) is None
    assert rescue(WHERE, batch(0, [GOOD])[:-1], 0, None) is None


def test_any_damage_ends_in_a_letter_and_moves_on() -> None:
    seed = 20_260_131
    chance = random.Random(seed)
    raw = batch(100, [GOOD, (None, None, []), POISON, GOOD])
    for round_ in range(3_000):
        damaged = bytearray(raw)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(17, len(damaged))] = chance.randrange(256)
        found = rescue(WHERE, bytes(damaged), 100, 104)
        assert found is not None, (seed, round_)
        assert 100 < found.next <= 104, (seed, round_)
        assert letters(found), (seed, round_)
