"""Packed entries and state records survive the trip, and no bytes do anything else than that."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastpath import CorruptImage, changelog
from fastpath.reference import changelog as twin
from fastpath.spec import Entry
from worker.state.changelog import (
    GENESIS,
    Claim,
    Delta,
    Slice,
    StateTooLargeError,
    chain_hash,
    chained_content,
    decode,
    encode_claim,
    encode_delta,
    encode_slice,
)

KEYS = st.binary(min_size=16, max_size=16)
ENTRIES = st.lists(st.builds(Entry, KEYS, st.binary(max_size=200), st.booleans()), max_size=20)
U64 = st.integers(0, 2**64 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
U32 = st.integers(0, 2**32 - 1)


@given(ENTRIES, st.integers(1, 500))
def test_entries_survive_packing_and_splitting(entries: list[Entry], limit: int) -> None:
    packed = changelog.pack(entries)
    assert packed == twin.pack(entries)
    assert changelog.unpack(packed) == entries
    pieces = changelog.split(packed, limit)
    assert pieces == twin.split(packed, limit)
    assert [entry for piece in pieces for entry in changelog.unpack(piece)] == entries
    assert all(len(piece) <= limit or len(changelog.unpack(piece)) == 1 for piece in pieces)


@given(ENTRIES, st.data())
@example([Entry(b"k" * 16, b"v" * 300)], None)
def test_cut_or_changed_entries_are_judged_as_the_twin_judges_them(
    entries: list[Entry], data: st.DataObject | None
) -> None:
    packed = bytearray(changelog.pack(entries))
    if data is None:
        packed[17] |= 0x80  # a varint that is longer than it need be
    elif packed:
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(0, 255))
        del packed[data.draw(st.integers(0, len(packed))) :]
    try:
        due: list[Entry] | None = twin.unpack(bytes(packed))
    except CorruptImage:
        due = None
    if due is not None:
        assert changelog.unpack(bytes(packed)) == due
        return
    for read in (changelog.unpack, lambda p: changelog.split(p, 40), lambda p: twin.split(p, 40)):
        with pytest.raises(CorruptImage):
            read(bytes(packed))


@given(I64)
def test_signs_fold_into_the_lowest_bit(number: int) -> None:
    assert twin.unzigzag(twin.zigzag(number)) == number


@given(
    st.builds(
        Claim, st.text(max_size=40), st.integers(-(2**31), 2**31 - 1), U64, U64, I64, U64, U32, U32,
        st.integers(0, 65_535),
    )
)  # fmt: skip
def test_a_claim_survives(claim: Claim) -> None:
    key, value = encode_claim(claim)
    assert (key, decode(value)) == (b"C", claim)


@given(U64, U64, I64, I64, I64, KEYS, st.integers(0, 2**32 - 1), ENTRIES, KEYS)
def test_a_delta_survives_in_chained_chunks(
    epoch: int, seq: int, in_from: int, in_next: int, time: int, half: bytes, position: int,
    entries: list[Entry], chain: bytes,
) -> None:  # fmt: skip
    packed, bundle = changelog.pack(entries), half * 2
    records, after = encode_delta(
        epoch=epoch, seq=seq, in_from=in_from, in_next=in_next, stream_time=time, bundle=bundle,
        position=position, entries=packed, chain=chain, limit=450,
    )  # fmt: skip
    chunks = [decode(value) for _, value in records]
    assert len({key for key, _ in records}) == len(records)
    assert all(len(value) <= 450 for _, value in records)
    for at, (chunk, (_, value)) in enumerate(zip(chunks, records, strict=True)):
        assert isinstance(chunk, Delta)
        chain = chain_hash(chain, chained_content(value))
        assert chunk == Delta(
            epoch, seq, in_from, in_next, time, bundle, position, at, len(chunks), chunk.entries,
            chain,
        )  # fmt: skip
    assert chain == after
    assert b"".join(c.entries for c in chunks if isinstance(c, Delta)) == packed


@given(st.integers(0, 65_535), U64, U64, I64, ENTRIES)
def test_a_slice_survives_in_chunks(
    slice_: int, epoch: int, as_of: int, time: int, entries: list[Entry]
) -> None:
    packed = changelog.pack(entries)
    records = encode_slice(
        slice_=slice_, epoch=epoch, as_of_seq=as_of, stream_time=time, entries=packed, limit=300
    )
    chunks = [decode(value) for _, value in records]
    assert chunks == [
        Slice(slice_, epoch, as_of, time, at, len(chunks), chunk.entries)
        for at, chunk in enumerate(chunks)
        if isinstance(chunk, Slice)
    ]
    assert b"".join(c.entries for c in chunks if isinstance(c, Slice)) == packed


def test_an_entry_larger_than_a_record_is_refused() -> None:
    entries = changelog.pack([Entry(b"k" * 16, b"v" * 1_000)])
    with pytest.raises(StateTooLargeError, match="one entry of 1018 bytes; a record holds 958"):
        encode_slice(slice_=1, epoch=1, as_of_seq=1, stream_time=0, entries=entries, limit=1_004)


@given(st.data())
def test_any_damage_to_a_record_is_noticed(data: st.DataObject) -> None:
    records, _ = encode_delta(
        epoch=1, seq=2, in_from=3, in_next=4, stream_time=5, bundle=b"b" * 32, position=2,
        entries=changelog.pack([Entry(b"k" * 16, b"value")]), chain=GENESIS,
    )  # fmt: skip
    value = bytearray(records[0][1])
    place = data.draw(st.integers(0, len(value) - 1))
    if data.draw(st.booleans()):
        value[place] ^= data.draw(st.integers(1, 255))
    else:
        del value[place:]
    with pytest.raises(CorruptImage):
        decode(bytes(value))


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_corruption(noise: bytes) -> None:
    for read in (decode, changelog.unpack, twin.unpack):
        try:
            read(noise)
        except CorruptImage:
            continue
