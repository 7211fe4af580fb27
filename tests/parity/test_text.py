"""The compiled lanes equal the twin's, byte for byte, offsets and word bits included."""

import csv
import gzip
import itertools

import pytest
from hypothesis import given, settings

from fastpath import text as compiled
from fastpath.lanes import MAX_LANE_BYTES
from fastpath.reference import text as twin
from tests.support.requirements import require_shared
from tests.support.texts import PIECES, seeded_texts, texts

BACKENDS = pytest.mark.parametrize("backend", [twin, compiled], ids=["twin", "compiled"])
FUNCTIONS = (
    "view_raw",
    "view_folded",
    "fold_text",
    "spans_raw",
    "spans_folded",
    "normalised_text",
    "trim_text",
)


def assert_equal(text: str) -> None:
    for name in FUNCTIONS:
        assert getattr(compiled, name)(text) == getattr(twin, name)(text), (name, ascii(text))


# name, text, folded lane
FOLDS = [
    ("empty", "", ""),
    ("ascii", "Hello, WORLD_7!", "hello, world_7!"),
    ("ascii-block-edges", "@AZ[`az{" * 2, "@az[`az{" * 2),
    ("nul-shows-as-replacement", "a\0b", "a\ufffdb"),
    ("full-width", "ＳＣＡＭ　２", "scam 2"),
    ("sharp-s", "Straße STRASSE ẞ", "strasse strasse ss"),
    ("greek-final-sigma", "ΣΊΣΥΦΟΣ ς", "σίσυφοσ σ"),
    ("iota-subscript", "ᾼ", "αι"),
    ("dotted-capital-i", "İ", "i\u0307"),
    ("ligature", "oﬃce", "office"),
    ("longest-mapping", "\ufdfa", "صلى الله عليه وسلم"),
    ("ignorables-go", "pay\u200bp\u00ada\u2060l\ufe0f\U000e0041", "paypal"),
    ("grapheme-joiner-does-not-part-marks", "a\u0323\u034f\u0301", "ạ\u0301"),
    ("ignorable-between-base-and-mark", "e\u200d\u0301", "é"),
    ("ascii-base-then-mark", "cafe\u0301s", "cafés"),
    ("ascii-block-then-mark", "abcdefge\u0301", "abcdefgé"),
    ("ascii-base-changes-class", "a=\u0338b", "a≠b"),
    ("reordered-then-composed", "a\u0301\u0323", "ạ\u0301"),
    ("composite-opened-by-lower-mark", "é\u0323", "ẹ\u0301"),
    ("composite-keeps-what-is-blocked", "é\u0301", "é\u0301"),
    ("blocked-by-equal-class", "a\u0305\u0301", "a\u0305\u0301"),
    ("marks-without-base", "\u0301\u0323a", "\u0323\u0301a"),
    ("excluded-composite-stays-open", "\u0958", "\u0915\u093c"),
    ("non-starter-decomposition", "a\u0344", "ä\u0301"),
    ("hangul-jamo", "\u1112\u1161\u11ab", "한"),
    ("hangul-syllable-and-tail", "하\u11ab", "한"),
    ("hangul-full-syllable-takes-no-tail", "한\u11ab", "한\u11ab"),
    ("hangul-mark-between", "\u1112\u0301\u1161", "\u1112\u0301\u1161"),
    ("half-width-kana", "ｶﾞｯﾂ", "ガッツ"),
    ("half-width-hangul", "\uffa1\uffc2", "가"),
    ("starter-second-part", "\u09c7\u09be", "\u09cb"),
    ("starter-second-part-after-mark", "\u0dd9\u0dcf\u0dca", "\u0ddd"),
    ("starter-second-part-blocked", "\u09c7\u0301\u09be", "\u09c7\u0301\u09be"),
    ("astral-second-part", "\U00011131\U00011127", "\U0001112e"),
    ("compatibility-ideograph", "豈", "豈"),
    ("braille-blank-stays", "a\u2800b", "a\u2800b"),
    ("thirty-marks", "e" + "\u0316" * 30, "e" + "\u0316" * 30),
    ("thirty-first-mark-dropped", "e" + "\u0316" * 31 + "x", "e" + "\u0316" * 30 + "x"),
    ("composite-counts-its-mark", "é" + "\u0316" * 30, "é" + "\u0316" * 29),
    ("run-ends-at-starter", ("e" + "\u0316" * 30) * 2, ("e" + "\u0316" * 30) * 2),
    ("run-survives-ignorables", "e" + "\u0316\u200d" * 31, "e" + "\u0316" * 30),
    ("text-begins-with-marks", "\u0316" * 31 + "a", "\u0316" * 30 + "a"),
]


@BACKENDS
@pytest.mark.parametrize(
    ("text", "folded"), [case[1:] for case in FOLDS], ids=[c[0] for c in FOLDS]
)
def test_folded_lane(backend, text, folded):
    assert backend.fold_text(text) == folded
    assert backend.view_folded(text).data == folded.encode()


# name, text, marks dropped
DROPS = [
    ("none", "e" + "\u0316" * 30, 0),
    ("one", "e" + "\u0316" * 31, 1),
    ("decomposed-marks-count", "a" + "\u0344" * 16, 2),
    ("every-run-for-itself", ("e" + "\u0316" * 33) * 3, 9),
    ("ignorables-do-not-count", "e" + "\u200d" * 90, 0),
]


@BACKENDS
@pytest.mark.parametrize(
    ("text", "dropped"), [case[1:] for case in DROPS], ids=[c[0] for c in DROPS]
)
def test_dropped_marks(backend, text, dropped):
    assert backend.view_folded(text).marks_dropped == dropped
    assert backend.view_raw(text).marks_dropped == 0


# name, text, per code point of the folded lane the source [start, end)
SPANS = [
    ("ascii", "abc", [(0, 1), (1, 2), (2, 3)]),
    ("expanded", "xﬁy", [(0, 1), (1, 2), (1, 2), (2, 3)]),
    ("removed", "a\u200bb", [(0, 1), (2, 3)]),
    ("composed", "xe\u0301y", [(0, 1), (1, 3), (3, 4)]),
    ("composed-around-ignorable", "e\u200d\u0301y", [(0, 3), (3, 4)]),
    ("cluster-with-open-marks", "q\u0323\u0301y", [(0, 3), (0, 3), (0, 3), (3, 4)]),
    ("expanded-then-mark", "ﬀ\u0307y", [(0, 1), (0, 2), (2, 3)]),
    ("dropped-marks-belong-to-none", "e" + "\u0316" * 31 + "y", [(0, 31)] * 31 + [(32, 33)]),
    ("hangul", "\u1112\u1161\u11aby", [(0, 3), (3, 4)]),
    ("long-ascii-run", "A" * 20 + "é", [(i, i + 1) for i in range(21)]),
    ("nul", "\0a", [(0, 1), (1, 2)]),
]


@BACKENDS
@pytest.mark.parametrize(("text", "spans"), [case[1:] for case in SPANS], ids=[c[0] for c in SPANS])
def test_source_spans(backend, text, spans):
    lane = backend.fold_text(text)
    per_byte = [span for span, char in zip(spans, lane, strict=True) for _ in char.encode()]
    assert backend.spans_folded(text) == tuple(per_byte)


@BACKENDS
def test_source_spans_of_the_raw_lane(backend):
    assert (
        backend.spans_raw("a\0é\u0301") == ((0, 1),) + ((1, 2),) * 3 + ((2, 3),) * 2 + ((3, 4),) * 2
    )


# name, text, one character per code point of the folded lane: w where it belongs to a word
WORDS = [
    ("ascii", "a_Z-9 @[`{/:", "www.w......."),
    ("ascii-blocks", "aaaaaaa!bbbbbbb?x", "wwwwwww.wwwwwww.w"),
    ("marks-and-connectors", "x\u0301 \u203f!", "ww.w."),
    ("scripts", "字é٣ไ☃😀", ".ww..."),
    ("combining-sign-that-takes-space", "\u093f\u20dd", "ww"),
    ("replacement", "\0a", ".w"),
    ("class-of-the-composite", "a=\u0338b", "w.w"),
    ("number-forms", "①⅓ↂ", "ww.ww"),
]


@BACKENDS
@pytest.mark.parametrize(("text", "word"), [case[1:] for case in WORDS], ids=[c[0] for c in WORDS])
def test_word_bits(backend, text, word):
    view = backend.view_folded(text)
    lane = view.data.decode()
    assert len(lane) == len(word)
    per_byte = [mark == "w" for mark, char in zip(word, lane, strict=True) for _ in char.encode()]
    assert list(view.word) == per_byte


# name, text, normalised, content
NORMALISED = [
    ("empty", "", "", False),
    ("only-signs", " !?☃\n", "", False),
    ("words", "Buy NOW, é!", "buynowé", True),
    ("url", "see https://Evil.example/a?b=1 now", "see\x01now", True),
    ("url-at-end", "x http://a", "x\x01", True),
    ("www", "x www.a.b\u3000y", "x\x01y", True),
    ("url-alone", "https://a.b/c", "\x01", False),
    ("scheme-alone", "http://", "\x01", False),
    ("not-a-scheme", "http:/a httpx://b ww.c", "httpahttpxbwwc", True),
    ("mention", "hi @Bob_9!", "hi\x02", True),
    ("mention-alone", "@bob", "\x02", False),
    ("at-sign-alone", "a @ b@", "ab", True),
    ("full-width-mention", "＠bob x", "\x02x", True),
    ("digits", "call 555-0123", "call00", True),
    ("digits-of-any-script", "a12٣४b", "a0b", True),
    ("digits-alone-are-no-content", "12 34", "00", False),
    ("other-numbers-stay", "Ⅷ ㉈", "viii㉈", True),
    ("mark-alone-is-no-content", "\u0301", "\u0301", False),
    ("marks-stay", "हिन्दी", "हिन्दी", True),
    ("url-ends-at-any-white-space", "http://a\u0085b", "\x01b", True),
    # The first word bits behind this lane read as a full stop.
    ("url-is-not-read-past-the-end", "!abc!d!!www", "abcdwww", True),
    ("url-in-a-word", "xhttp://a b", "x\x01b", True),
]


@BACKENDS
@pytest.mark.parametrize(
    ("text", "data", "content"), [case[1:] for case in NORMALISED], ids=[c[0] for c in NORMALISED]
)
def test_normalised_text(backend, text, data, content):
    assert backend.normalised_text(text) == (data.encode(), content)


@BACKENDS
@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("", ""),
        (" \t\n\u3000\u0085", ""),
        ("x", "x"),
        ("\u2028 é b \u00a0", "é b"),
        ("\u200bx", "\u200bx"),
    ],
)
def test_trim(backend, text, inner):
    assert backend.trim_text(text) == inner


# The output budget: the lane ends at the last code point that fits.
# Each case: its name, text, what the lane holds, marks dropped, whether it is cut.
FULL = MAX_LANE_BYTES
BUDGET = [
    ("ascii-fits", "A" * FULL, "a" * FULL, 0, False),
    ("ascii-over", "A" * (FULL + 1), "a" * FULL, 0, True),
    ("ascii-block-over", "A" * (FULL - 3) + "B" * 8, "a" * (FULL - 3) + "bbb", 0, True),
    ("ascii-block-cut", "é" + "A" * FULL, "é" + "a" * (FULL - 2), 0, True),
    ("composed-fits", "a" * (FULL - 2) + "e\u0301", "a" * (FULL - 2) + "é", 0, False),
    ("composed-over", "a" * (FULL - 1) + "e\u0301", "a" * (FULL - 1), 0, True),
    ("over-and-dropped", "a" * FULL + "\u0316" * 40 + "b", "a" * FULL, 10, True),
    ("nothing-after-cut", "a" * (FULL - 1) + "éb", "a" * (FULL - 1), 0, True),
    ("runs-end-after-cut", "a" * FULL + ("\u0316" * 20 + "b") * 3, "a" * FULL, 0, True),
    ("expansion", "\u2167" * 70_000, "viii" * (FULL // 4), 0, True),
]


@pytest.mark.parametrize(
    ("text", "lane", "dropped", "cut"), [case[1:] for case in BUDGET], ids=[c[0] for c in BUDGET]
)
def test_output_budget(text, lane, dropped, cut):
    view = compiled.view_folded(text)
    assert view.data == lane.encode()
    assert (len(view.word), view.marks_dropped, view.truncated) == (len(view.data), dropped, cut)


@BACKENDS
def test_output_budget_of_the_raw_lane(backend):
    pairs = "é" * (FULL // 2)
    for text, size, cut in ((pairs, FULL, False), (f"a{pairs}", FULL - 1, True)):
        view = backend.view_raw(text)
        assert view.data == text.encode()[:size]
        assert view.truncated == cut


def test_the_twin_keeps_the_same_budget():
    for text in ("a" * (FULL - 1) + "éb", "a" * FULL + ("\u0316" * 20 + "b") * 3):
        assert twin.view_folded(text) == compiled.view_folded(text)
        assert twin.view_raw(text) == compiled.view_raw(text)


def test_offsets_end_with_a_cut_lane():
    text = "\ufdfa" * 10_000
    assert compiled.spans_folded(text) == twin.spans_folded(text)
    text = "\0" * 90_000
    assert compiled.spans_raw(text) == twin.spans_raw(text)


def test_every_piece_beside_every_other():
    for pair in itertools.product(PIECES, repeat=2):
        assert_equal("".join(pair))


# Ranges of unified ideographs, Hangul, private use and nothing: alike inside, so only their ends
# are compared here; tests/property/test_folded_text.py holds every code point to its oracle.
UNIFORM = (
    *((0x3440, 0x4D80), (0x4E40, 0x9FC0), (0xAC40, 0xD780), (0xD800, 0xE000), (0xE040, 0xF8C0)),
    *((0x17040, 0x18CC0), (0x20040, 0x2F7C0), (0x2FA40, 0xE0000), (0xE1000, 0x10FFC0)),
)


def test_every_code_point():
    # One string per block of 64: each code point as a base, under a mark, and after a letter.
    for start in range(0, 0x110000, 64):
        if any(first <= start < last for first, last in UNIFORM):
            continue
        text = "".join(f"{chr(c)}\u0323a{chr(c)} " for c in range(start, start + 64))
        assert compiled.view_folded(text) == twin.view_folded(text), hex(start)
        assert compiled.view_raw(text) == twin.view_raw(text), hex(start)


def test_seeded_corpus():
    for text in seeded_texts(seed=20_210_108, count=5_000):
        assert_equal(text)


@given(texts)
@settings(max_examples=500)
def test_generated_texts(text):
    assert_equal(text)


@pytest.mark.shared
def test_real_texts():
    path = require_shared("data/labeled_tweets.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        tweets = [row["tweet"] for row in csv.DictReader(lines)]
    assert len(tweets) == 14_746
    words = [
        line
        for file in sorted(require_shared("data/wordlists").glob("*.txt"))
        for line in file.read_text(encoding="utf-8").split("\n")
        if line
    ]
    assert len(words) == 1_649
    for text in itertools.chain(tweets[::10], words):
        assert_equal(text)
