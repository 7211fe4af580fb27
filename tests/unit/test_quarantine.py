"""What stood in a batch that the client cannot read is saved, and nothing else is lost."""

from __future__ import annotations

import random

import pytest

from tests.support.batches import CODEC_GZIP, RawKey, batch, broken
from worker.domain.dead_letter import Reason
from worker.transport.kafka import quarantine
from worker.transport.kafka.quarantine import Rescued, rescue
from worker.transport.protocols import Partition

WHERE = Partition("posts", 3)
GOOD = (b"k", b"v", [("h", b"1")])
POISON = (b"p", b"w", [(RawKey("x"), b"2")])


def saved(buffer: bytes, at: int, end: int | None = None) -> Rescued:
    found = rescue(WHERE, buffer, at, end)
    assert found is not None
    return found


def test_a_header_key_that_does_not_decode_takes_its_record_alone() -> None:
    raw = batch(10, [GOOD, POISON, GOOD])
    found = saved(raw, 10)
    assert [(r.offset, r.time, r.key, r.value, r.headers) for r in found.records] == [
        (10, 1_000, b"k", b"v", (("h", b"1"),)),
        (12, 1_002, b"k", b"v", (("h", b"1"),)),
    ]
    (letter,) = found.letters
    assert (letter.reason, letter.offset, letter.key) == (Reason.HEADER_INVALID, 11, b"p")
    assert b"\xff\xfe" in (letter.value or b""), "the record travels whole in the value"
    assert found.next == 13


def test_reading_goes_on_inside_a_batch() -> None:
    found = saved(batch(10, [POISON, GOOD, POISON]), 12)
    assert found.records == ()
    assert [letter.offset for letter in found.letters] == [12]


def test_a_broken_checksum_takes_the_batch_and_its_bytes() -> None:
    bad, good = broken(batch(10, [GOOD] * 3)), batch(13, [GOOD])
    found = saved(bad + good, 10)
    assert found.records == ()
    (letter,) = found.letters
    assert (letter.reason, letter.offset, letter.value) == (Reason.RECORD_CORRUPT, 10, bad)
    assert found.next == 13


def test_a_broken_header_cannot_skip_what_follows() -> None:
    raw = bytearray(batch(10, [GOOD] * 3))
    raw[23:27] = (1_000_000).to_bytes(4, "big")  # last_offset_delta
    assert saved(bytes(raw) + batch(13, [GOOD]), 10).next == 13
    assert saved(bytes(raw), 10, end=14).next == 14
    raw[23:27] = (-5).to_bytes(4, "big", signed=True)
    assert saved(bytes(raw), 10, end=14).next == 11


def test_a_large_broken_batch_is_saved_in_pieces() -> None:
    bad = broken(batch(0, [(b"k", b"x" * (quarantine.MAX_PIECE_BYTES + 10), [])]))
    letters = saved(bad, 0).letters
    assert b"".join(letter.value or b"" for letter in letters) == bad
    assert [dict(letter.headers)["weir.dlq.piece"] for letter in letters] == [b"1/2", b"2/2"]


def test_a_compressed_batch_is_read() -> None:
    found = saved(batch(5, [GOOD, POISON], codec=CODEC_GZIP), 5)
    assert [r.offset for r in found.records] == [5]
    assert [letter.offset for letter in found.letters] == [6]


def test_a_bomb_is_not_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_INFLATED_BYTES", 100_000)
    raw = batch(5, [(b"k", b"\0" * 200_000, [])], codec=CODEC_GZIP)
    assert len(raw) < 1_000
    (found,) = quarantine.batches(raw)
    with pytest.raises(quarantine.InflatedTooLargeError, match="more than 100000"):
        quarantine.check_inflation(found)
    (letter,) = saved(raw, 5).letters
    assert (letter.reason, letter.value) == (Reason.INFLATED_TOO_LARGE, raw)


def test_an_offset_beyond_the_buffer_finds_nothing() -> None:
    assert rescue(WHERE, batch(0, [GOOD]), 1, None) is None
    assert rescue(WHERE, b"", 0, None) is None


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
        assert 100 < found.next <= 104 or found.letters == (), (seed, round_)
        assert found.records or found.letters, (seed, round_)
