"""The folded lane against oracles that share nothing with it, and the laws it must keep."""

import bz2
from functools import cache
from itertools import pairwise

import pytest
import unicodedata2
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastpath import text as compiled
from fastpath.reference import text as twin
from fastpath.spec import MAX_MARKS
from fastpath.unicode_data import generate
from tests.support.requirements import require_unicode_data
from tests.support.texts import seeded_texts, texts

# Default_Ignorable_Code_Point of Unicode 15.0 (DerivedCoreProperties.txt), written out.
IGNORABLE = (
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5)),
    *((0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164)),
    *((0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8)),
    *((0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)


def is_ignorable(code_point: int) -> bool:
    return any(first <= code_point <= last for first, last in IGNORABLE)


@cache
def mapping_of(code_point: int) -> str:
    """Return NFKC_CF of one code point by its derivation: fold, normalise, remove, repeat."""
    text = chr(code_point) if code_point else "\ufffd"
    while True:
        kept = "".join(char for char in text if not is_ignorable(ord(char)))
        again = unicodedata2.normalize("NFKC", kept.casefold())
        if again == text:
            return text
        text = again


def casefold_oracle(text: str) -> str:
    """Return NFKC_Casefold of a text (The Unicode Standard 15.0, section 3.13, R5)."""
    mapped = "".join(mapping_of(ord(char)) for char in text)
    return unicodedata2.normalize("NFC", mapped)


def longest_run(text: str) -> int:
    """Return the longest run of non-starters as the lane counts them."""
    total = longest = 0
    for char in text:
        for part in unicodedata2.normalize("NFD", mapping_of(ord(char))):
            total = total + 1 if unicodedata2.combining(part) else 0
            longest = max(longest, total)
    return longest


def is_word(char: str) -> bool:
    category = unicodedata2.category(char)
    return (category[0] in "LMN" or category == "Pc") and ord(char) not in twin.UNSPACED


def assert_is_casefolded(text: str) -> None:
    view = compiled.view_folded(text)
    lane = view.data.decode()
    assert lane == casefold_oracle(text), ascii(text)
    assert list(view.word) == [is_word(char) for char in lane for _ in char.encode()], ascii(text)


def test_the_oracle_has_the_version_of_the_tables():
    assert unicodedata2.unidata_version == compiled.UNICODE_VERSION == twin.UNICODE_VERSION


def test_every_assigned_code_point_folds_as_the_standard_says():
    for start in range(0, 0x110000, 256):
        # A noncharacter or a code point of a later version has no case; U+0300 tries what it takes.
        chars = [
            chr(c)
            for c in range(start, start + 256)
            if not 0xD800 <= c < 0xE000
            and (unicodedata2.category(chr(c)) != "Cn" or is_ignorable(c))
        ]
        assert_is_casefolded("".join(f"{char}\u0300 a{char}\n" for char in chars))


def test_the_tables_hold_the_known_numbers():
    folds = {c: target for c, target in twin.FOLDS.items() if c}
    assert len(folds) == 10_491
    removed = {c for c, target in folds.items() if not target}
    assert len(removed) == 4_174
    assert removed == {c for first, last in IGNORABLE for c in range(first, last + 1)}
    growth = {c: len("".join(map(chr, target)).encode()) for c, target in folds.items()}
    longest = max(folds, key=lambda c: growth[c] / len(chr(c).encode()))
    assert (longest, len(folds[longest]), growth[longest]) == (0xFDFA, 18, 33)


@pytest.mark.unicode_data
def test_generated_tables_are_those_of_the_database():
    for path, content in generate.render(require_unicode_data()):
        assert path.read_text(encoding="ascii") == content, f"regenerate {path.name}"


@pytest.mark.unicode_data
def test_tables_of_another_version_are_refused(tmp_path):
    database = require_unicode_data()
    for source in database.glob("*.txt"):
        (tmp_path / source.name).symlink_to(source)
    derived = tmp_path / "DerivedNormalizationProps.txt"
    derived.unlink()
    derived.write_text("# DerivedNormalizationProps-16.0.0.txt\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"expected Unicode 15\.0\.0, the file begins .*16\.0\.0"):
        generate.render(tmp_path)


@pytest.mark.unicode_data
def test_normalization_test_file():
    checked = 0
    with bz2.open(require_unicode_data() / "NormalizationTest.txt.bz2", "rt") as lines:
        for line in lines:
            content = line.split("#")[0].strip()
            if not content or content.startswith("@"):
                continue
            columns = content.split(";")[:5]
            forms = ["".join(chr(int(part, 16)) for part in form.split()) for form in columns]
            for form in forms:
                assert_is_casefolded(form)
            # The canonical forms of a text have one folded lane, as have the compatible ones.
            folded = [compiled.fold_text(form) for form in forms]
            if "\u0345" not in unicodedata2.normalize("NFD", forms[0]):
                assert folded[0] == folded[1] == folded[2], content
            checked += 1
    assert checked == 19_074


@given(texts)
@settings(max_examples=1_000)
def test_texts_without_long_runs_are_casefolded_exactly(text):
    assume(all(unicodedata2.category(char) != "Cn" or is_ignorable(ord(char)) for char in text))
    assume(longest_run(text) <= MAX_MARKS)
    assert_is_casefolded(text)


def test_seeded_texts_without_long_runs_are_casefolded_exactly():
    checked = 0
    for text in seeded_texts(seed=15, count=20_000, longest=12):
        if longest_run(text) <= MAX_MARKS:
            assert_is_casefolded(text)
            checked += 1
    assert checked > 10_000


@given(texts)
@settings(max_examples=500)
def test_folding_is_idempotent(text):
    lane = compiled.fold_text(text)
    # U+0345 folds to a letter where it stands, so it may part marks that were one run.
    assert compiled.fold_text(lane) == lane


@given(texts)
@settings(max_examples=500)
def test_no_lane_has_a_long_run(text):
    lane = compiled.fold_text(text)
    assert longest_run(lane) <= MAX_MARKS


@given(st.text(st.characters(codec="utf-8"), max_size=20), st.integers(31, 200))
@settings(max_examples=100)
def test_a_longer_run_adds_nothing_but_the_count(text, marks):
    short = compiled.view_folded(f"{text}a" + "\u0301" * MAX_MARKS + text)
    long = compiled.view_folded(f"{text}a" + "\u0301" * marks + text)
    assert short.data == long.data
    # Marks at the head of `text` would have belonged to the run of 30 already.
    assert long.marks_dropped - short.marks_dropped == marks - MAX_MARKS


# Each forces another inner loop: reordering, blocked marks, expansion, taking composites apart.
HOSTILE = [
    "\u0301",
    "\u0301\u0323",
    "a" + "".join(chr(c) for c in (0x345, 0x35D, 0x301, 0x323, 0x334)) * 6,
    "a" + "\u0301" * 15 + "\u0323" * 15,
    "é\u0323",
    "\u0ddd\u0301",
    "\ufdfa",
    "\u1112\u1161\u11ab",
    "\u09c7\u09be",
    "\u0f71\u0f72",
    "\u200d",
    "e\u0301",
    "A",
]


@pytest.mark.parametrize("unit", HOSTILE, ids=ascii)
def test_work_is_linear_in_the_text(unit):
    sizes = [4_096, 8_192, 16_384, 32_768, 65_536]
    work = [compiled.folding_work(unit * (size // len(unit.encode()))) for size in sizes]
    for smaller, larger in pairwise(work):
        assert larger <= 2.05 * smaller
    assert work[-1] <= 10 * sizes[-1]


@given(texts, st.data())
@settings(max_examples=500)
def test_a_quoted_span_folds_to_what_it_quotes(text, data):
    lane = compiled.fold_text(text)
    assume(lane)
    start = data.draw(st.integers(0, len(lane) - 1))
    end = data.draw(st.integers(start + 1, len(lane)))
    spans = compiled.spans_folded(text)
    first = spans[len(lane[:start].encode())][0]
    last = spans[len(lane[:end].encode()) - 1][1]
    assert 0 <= first < last <= len(text)
    assert lane[start:end] in compiled.fold_text(text[first:last])


@given(texts)
@settings(max_examples=300)
def test_spans_move_forward(text):
    spans = compiled.spans_folded(text)
    assert list(spans) == sorted(spans)
    assert [end for _, end in spans] == sorted(end for _, end in spans)
