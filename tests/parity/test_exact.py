"""Sets of digests find what a dictionary finds; list files are read as Python would read them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import BuildError
from fastpath.exact import Digests, DigestSet, pack_digests, read_digests, without_repeats

KEY = b"identity key 16b"


def digests(rng: random.Random, count: int, width: int) -> list[str]:
    return [rng.randbytes(width).hex() for _ in range(count)]


@pytest.mark.parametrize("width", [16, 32])
@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 700, 20_000])
def test_a_set_finds_what_a_dictionary_finds(width: int, count: int) -> None:
    rng = random.Random(count)
    entries = digests(rng, count, width)
    entries += rng.sample(entries, count // 5)  # the first of equal entries is found
    first: dict[str, int] = {}
    for place, entry in enumerate(entries):
        first.setdefault(entry, place)
    queries = entries[:500] + digests(rng, 500, width)
    found = DigestSet(pack_digests(entries, width), KEY).find(pack_digests(queries, width))
    assert list(found) == [first.get(query, -1) for query in queries]


def test_digests_that_differ_late_are_apart() -> None:
    """Placement looks at 16 bytes; the rest is compared."""
    same = "ab" * 16
    entries = [same + f"{n:032x}" for n in range(60)]
    held = DigestSet(pack_digests(entries, 32), KEY)
    assert list(held.find(pack_digests(entries, 32))) == list(range(60))
    assert list(held.find(pack_digests([same + "f" * 32], 32))) == [-1]
    assert held.longest_run >= 60


def test_crowded_placement_is_refused() -> None:
    entries = ["ab" * 16 + f"{n:032x}" for n in range(4_097)]
    with pytest.raises(BuildError, match="longest run"):
        DigestSet(pack_digests(entries, 32), KEY)


def test_the_key_changes_no_result() -> None:
    rng = random.Random(2)
    held = pack_digests(digests(rng, 3_000, 32), 32)
    assert DigestSet(held, KEY).find(held) == DigestSet(held, bytes(16)).find(held)


def python_reads(text: str, width: int, column: int) -> list[str] | None:
    entries = []
    for line in text.split("\n"):
        stripped = line.strip(" \t\r")
        if not stripped or stripped.startswith("#"):
            continue
        field = stripped
        if column >= 0:
            fields = stripped.split(",")
            field = fields[column].strip(" \t\r") if column < len(fields) else ""
        if len(field) != 2 * width or any(c not in "0123456789abcdefABCDEF" for c in field):
            return None
        entries.append(field.lower())
    return entries


lines = st.lists(
    st.sampled_from([
        "ab" * 16, "AB" * 16, " " + "cd" * 16 + "\t", "", "# note", "  #", "x,y," + "12" * 16,
        "12" * 16 + ",x,y", ",," + "00" * 16 + ",z", "\r", "g" * 32, "ab" * 15, "ab" * 17, ",",
        "a,b", "\x0b",
    ]),
    max_size=8,
)  # fmt: skip


@settings(max_examples=1_500)
@given(lines, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.sampled_from([-1, 0, 2]))
def test_files_are_read_as_python_reads_them(
    drawn: list[str], newline: str, ends: bool, column: int
) -> None:
    text = newline.join(drawn) + (newline if ends else "")
    due = python_reads(text, 16, column)
    read = read_digests(text.encode(), 16, column)
    if due is None:
        assert isinstance(read, tuple)
        broken = text.split("\n")[read[0] - 1]
        assert python_reads(broken, 16, column) is None
    else:
        assert isinstance(read, Digests)
        assert list(read) == due


@settings(max_examples=500)
@given(st.binary(max_size=200), st.sampled_from([16, 32]), st.integers(-1, 3), st.integers(0, 220))
def test_any_bytes_are_read_or_refused(content: bytes, width: int, column: int, start: int) -> None:
    read = read_digests(content, width, column, start)
    assert isinstance(read, (Digests, tuple))


def test_digests_are_a_sequence_of_hex() -> None:
    rng = random.Random(4)
    entries = digests(rng, 9, 16)
    held = pack_digests(entries, 16)
    assert (list(held), held[-1], len(held)) == (entries, entries[-1], 9)
    assert held[2:4] == tuple(entries[2:4])
    assert held == read_digests("\n".join(entries).upper().encode(), 16)
    assert hash(held) == hash(pack_digests(entries, 16))
    assert held != pack_digests(entries[:-1], 16)
    assert entries[3] in held
    with pytest.raises(IndexError):
        held[9]


def test_repeats_go_and_the_first_stays() -> None:
    rng = random.Random(5)
    entries = digests(rng, 1_000, 32)
    repeated = entries[:600] + entries[300:]
    assert list(without_repeats(pack_digests(repeated, 32), KEY)) == entries


def test_entries_of_another_length_are_refused() -> None:
    with pytest.raises(BuildError, match="bytes of a digest"):
        pack_digests(["ab" * 15], 16)
