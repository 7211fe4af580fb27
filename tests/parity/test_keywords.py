"""Both backends find the same matches: spelled-out cases, caps, limits, corpora."""

import csv
import dataclasses
import gzip
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import keywords as compiled
from fastpath import lanes as limits
from fastpath.errors import BuildError
from fastpath.lanes import MAX_LANE_BYTES, MAX_PATTERN_BYTES, VISITS_FIXED, VISITS_PER_BYTE
from fastpath.reference import keywords as twin
from fastpath.reference.text import fold_text
from fastpath.spec import MAX_ROWS, KeywordList, Match
from tests.support.requirements import require_shared
from tests.support.texts import PIECES, seeded_texts, texts

BACKENDS = pytest.mark.parametrize("backend", [twin, compiled], ids=["twin", "compiled"])

# Each case: its name, patterns, boundary, text, and per match: pattern, start, end, count.
BASICS = [
    ("no-patterns", [], "none", "abc", []),
    ("no-text", ["a"], "none", "", []),
    ("one-letter", ["a"], "none", "a", [(0, 0, 1, 1)]),
    ("one-letter-dense", ["a"], "none", "aaaa", [(0, 0, 1, 4)]),
    ("no-match", ["abc"], "none", "ab cab", []),
    ("whole-text", ["abc"], "none", "abc", [(0, 0, 3, 1)]),
    ("at-the-end", ["abc"], "none", "xxabc", [(0, 2, 5, 1)]),
    ("two-letters", ["ab", "bc"], "none", "abc", [(0, 0, 2, 1), (1, 1, 3, 1)]),
    ("folded", ["ScAm"], "none", "a SCAM ｓｃａｍ", [(0, 2, 6, 2)]),
    ("pattern-is-longer-than-text", ["abcdef"], "none", "abcde", []),
]
OVERLAPPING = [
    ("nested-suffix", ["abcd", "bcd"], "none", "xabcd", [(0, 1, 5, 1), (1, 2, 5, 1)]),
    (
        "nested-suffixes-of-all-lengths",
        ["abcd", "bcd", "cd", "d"],
        "none",
        "abcd",
        [(0, 0, 4, 1), (1, 1, 4, 1), (2, 2, 4, 1), (3, 3, 4, 1)],
    ),
    ("suffix-of-an-inner-state", ["abcde", "bc"], "none", "abcd", [(1, 1, 3, 1)]),
    ("suffix-through-two-links", ["xabcy", "abcz", "bc"], "none", "xabc", [(2, 2, 4, 1)]),
    ("nested-prefix", ["ab", "abcd"], "none", "abcd", [(0, 0, 2, 1), (1, 0, 4, 1)]),
    ("self-overlap", ["aba"], "none", "ababa", [(0, 0, 3, 2)]),
    ("failing-late", ["ababc"], "none", "abababc", [(0, 2, 7, 1)]),
    ("through-the-root", ["abcx", "cd"], "none", "abcd", [(1, 2, 4, 1)]),
    ("order-is-by-pattern", ["b", "a"], "none", "ab", [(0, 1, 2, 1), (1, 0, 1, 1)]),
]
BOUNDARIES = [
    ("word", ["scam"], "word", "scamper scam", [(0, 8, 12, 1)]),
    ("word-at-both-ends", ["scam"], "word", "scam", [(0, 0, 4, 1)]),
    ("word-in-signs", ["scam"], "word", "(scam)", [(0, 1, 5, 1)]),
    ("word-after-connector", ["scam"], "word", "a_scam scam_", []),
    ("word-beside-digit", ["scam"], "word", "1scam scam2", []),
    ("word-before-open-mark", ["q"], "word", "q\u0323 q", [(0, 3, 4, 1)]),
    ("word-beside-letter-of-other-script", ["scam"], "word", "жscam", []),
    ("word-beside-emoji", ["scam"], "word", "😀scam😀", [(0, 1, 5, 1)]),
    ("first-span-is-of-the-first-that-holds", ["ab"], "word", "xab ab ab", [(0, 4, 6, 2)]),
    ("prefix", ["scam"], "prefix", "scamper ascam", [(0, 0, 4, 1)]),
    ("none", ["scam"], "none", "xscamper", [(0, 1, 5, 1)]),
    ("sign-at-the-end", ["c++"], "word", "c++11 xc++", [(0, 0, 3, 1)]),
    ("sign-at-the-start", ["#ban"], "word", "x#ban #bank", [(0, 1, 5, 1)]),
    ("space-inside", ["kill you"], "word", "kill you!", [(0, 0, 8, 1)]),
    ("ignorable-is-no-boundary", ["scam"], "word", "scam\u200bper", []),
]
SCRIPTS = [
    ("cyrillic", ["спам"], "word", "СПАМ спамер", [(0, 0, 4, 1)]),
    ("greek-sigma", ["ΟΔΟΣ"], "word", "οδος οδοσ", [(0, 0, 4, 2)]),
    ("arabic", ["سكس"], "word", "قال سكس!", [(0, 4, 7, 1)]),
    ("hindi", ["हिन्दी"], "word", "हिन्दी", [(0, 0, 6, 1)]),
    ("korean", ["한국"], "word", "\u1112\u1161\u11ab국 한국어", [(0, 0, 4, 1)]),
    ("han-has-no-boundary", ["毒品"], "word", "买毒品吧", [(0, 1, 3, 1)]),
    ("kana-has-no-boundary", ["ばか"], "word", "あばかん", [(0, 1, 3, 1)]),
    ("prolonged-mark-has-none", ["エロー"], "word", "エローン", [(0, 0, 3, 1)]),
    ("half-width-kana", ["ガツ"], "word", "ｶﾞﾂ", [(0, 0, 3, 1)]),
    ("thai-lao-khmer-myanmar", ["ไทย", "ລາວ", "ខ្មែ", "မြန်"], "word", "กไทยก ກລາວກ កខ្មែក ကမြန်က",
     [(0, 1, 4, 1), (1, 7, 10, 1), (2, 13, 17, 1), (3, 20, 24, 1)]),
    ("mixed-ends", ["a字"], "word", "xa字 a字x", [(0, 4, 6, 1)]),
    ("astral", ["𝔘x"], "word", "ux 𝔘X", [(0, 0, 2, 2)]),
    ("two-bytes-share-a-lead", ["é", "è"], "none", "éèé", [(0, 0, 1, 2), (1, 1, 2, 1)]),
    ("never-inside-a-character", ["\u00a9"], "none", "\u0429©", [(0, 1, 2, 1)]),
]  # fmt: skip
FOLDING = [
    ("equal-after-folding", ["Straße", "STRASSE"], "word", "strasse", [(0, 0, 7, 1)]),
    ("expanded-inside", ["ffi"], "none", "oﬃce", [(0, 1, 2, 1)]),
    ("part-of-an-expansion", ["f"], "none", "xﬁ", [(0, 1, 2, 1)]),
    ("removed-inside", ["paypal"], "word", "pay\u200bpal", [(0, 0, 7, 1)]),
    ("composed", ["café"], "word", "cafe\u0301s cafe\u0301", [(0, 7, 12, 1)]),
    ("nul", ["\ufffd"], "none", "a\0b", [(0, 1, 2, 1)]),
    ("marks-dropped", ["ex"], "none", "e" + "\u0316" * 40 + "ex", [(0, 41, 43, 1)]),
]
CASES = [*BASICS, *OVERLAPPING, *BOUNDARIES, *SCRIPTS, *FOLDING]


def assert_equal(lists, batch):
    ours, theirs = compiled.Keywords(lists), twin.Keywords(lists)
    assert ours.notes == theirs.notes
    for text, found, expected in zip(
        batch, ours.find_all(batch), theirs.find_all(batch), strict=True
    ):
        assert found == expected, (lists, ascii(text))


@BACKENDS
@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_cases(backend, case):
    _, patterns, boundary, text, expected = case
    held = KeywordList("l", tuple(patterns), boundary=boundary)
    found = backend.Keywords([held]).find(text)
    assert found.matches == tuple(
        Match("l", patterns[pattern], "folded", start, end, count)
        for pattern, start, end, count in expected
    )
    assert not found.truncated


@BACKENDS
def test_without_lists_nothing_is_found(backend):
    keywords = backend.Keywords([])
    assert keywords.find("abc") == ((), 0, False)
    assert keywords.notes == ()


@BACKENDS
def test_an_empty_list_among_others(backend):
    lists = [KeywordList("none", ()), KeywordList("one", ("a",))]
    assert backend.Keywords(lists).find("a").matches == (Match("one", "a", "folded", 0, 1, 1),)


@BACKENDS
def test_rows_are_ordered_by_list_lane_pattern(backend):
    lists = [
        KeywordList("late", ("c", "Ab"), ("folded", "raw"), "none"),
        KeywordList("early", ("A", "B"), ("raw",), "none"),
    ]
    assert backend.Keywords(lists).find("Abc AB").matches == (
        Match("late", "c", "raw", 2, 3, 1),
        Match("late", "Ab", "raw", 0, 2, 1),
        Match("late", "c", "folded", 2, 3, 1),
        Match("late", "Ab", "folded", 0, 2, 2),
        Match("early", "A", "raw", 0, 1, 2),
        Match("early", "B", "raw", 5, 6, 1),
    )


@BACKENDS
def test_the_raw_lane_takes_patterns_as_they_are(backend):
    held = KeywordList("l", ("US", "e\u0301", "x\0"), ("raw",), "word")
    found = backend.Keywords([held]).find("us US é e\u0301 x\0")
    assert [match[1:] for match in found.matches] == [
        ("US", "raw", 3, 5, 1),
        ("e\u0301", "raw", 8, 10, 1),
        ("x\0", "raw", 11, 13, 1),
    ]


@BACKENDS
def test_a_pattern_in_two_lists_counts_in_both_by_their_own_boundaries(backend):
    lists = [KeywordList("w", ("ab",)), KeywordList("n", ("ab",), boundary="none")]
    found = backend.Keywords(lists).find("ab xab abx")
    assert [(match.list, match.count) for match in found.matches] == [("w", 1), ("n", 3)]
    assert found.visited == 4  # what does not stand is not looked at


@BACKENDS
def test_notes_tell_what_the_build_made_of_patterns(backend):
    lists = [
        KeywordList("w", ("scam", "SCAM", "毒a", "c++", "字"), ("raw", "folded")),
        KeywordList("p", ("a字", "字a"), boundary="prefix"),
        KeywordList("n", ("字", "字"), boundary="none"),
    ]
    assert backend.Keywords(lists).notes == (
        ("w", "毒a", "raw", "unbounded_start"),
        ("w", "c++", "raw", "unbounded_end"),
        ("w", "字", "raw", "unbounded_start"),
        ("w", "字", "raw", "unbounded_end"),
        ("w", "SCAM", "folded", "duplicate"),
        ("w", "毒a", "folded", "unbounded_start"),
        ("w", "c++", "folded", "unbounded_end"),
        ("w", "字", "folded", "unbounded_start"),
        ("w", "字", "folded", "unbounded_end"),
        ("p", "字a", "folded", "unbounded_start"),
        ("n", "字", "folded", "duplicate"),
    )


# Caps.


@BACKENDS
def test_a_list_has_at_most_32_rows_and_hides_nothing_of_another(backend):
    letters = tuple(chr(0x4E00 + i) for i in range(40))
    lists = [
        KeywordList("flood", letters, ("raw", "folded"), "none"),
        KeywordList("other", ("needle", letters[-1])),
    ]
    keywords = backend.Keywords(lists)
    exact = keywords.find("".join(letters[:16]))
    assert len(exact.matches) == MAX_ROWS
    assert not exact.truncated
    found = keywords.find("".join(letters[:33]) + letters[0] + " needle" + letters[-1])
    assert found.truncated
    flood = [match for match in found.matches if match.list == "flood"]
    # The first 32 in the order they are met: all of the raw lane, none of the folded one.
    assert [match.pattern for match in flood] == list(letters[:MAX_ROWS])
    assert {match.lane for match in flood} == {"raw"}
    assert flood[0].count == 2
    assert [m.pattern for m in found.matches if m.list == "other"] == ["needle", letters[-1]]


@BACKENDS
@pytest.mark.parametrize("lanes", [("folded",), ("raw", "folded")])
def test_outputs_visited_are_capped_by_lane(backend, lanes):
    # Nine nested patterns: each letter of a long run visits nine outputs, more than the eight
    # that a lane byte is granted.
    nested = tuple("a" * size for size in range(1, 10))
    keywords = backend.Keywords([KeywordList("l", nested, lanes, "none")])
    # The first eight letters visit 36, each further one nine: 9 n - 36 against 8 n + 64.
    within, beyond = keywords.find("a" * 100), keywords.find("a" * 101)
    budget = VISITS_FIXED + VISITS_PER_BYTE * 100
    assert (within.visited, within.truncated) == (len(lanes) * budget, False)
    budget += VISITS_PER_BYTE
    assert (beyond.visited, beyond.truncated) == (len(lanes) * budget, True)
    # Visited longest first, so it is the shortest pattern that lacks its last occurrence.
    counts = [match.count for match in beyond.matches if match.lane == "folded"]
    assert counts == [100, *(102 - size for size in range(2, 10))]


@BACKENDS
def test_what_stands_at_no_boundary_is_not_visited(backend):
    nested = tuple("a" * size for size in range(1, 12))
    for boundary, text in (("word", "a" * 200), ("prefix", "b" + "a" * 200)):
        found = backend.Keywords([KeywordList("l", nested, boundary=boundary)]).find(text)
        assert found == ((), 0, False)


def test_dense_text_is_linear():
    patterns = tuple("a" * size for size in range(1, 1_001))
    keywords = compiled.Keywords([KeywordList("l", patterns, boundary="none")])
    for size in (1_000, 20_000, 64_000):
        assert keywords.find("a" * size).visited == VISITS_FIXED + VISITS_PER_BYTE * size


@BACKENDS
def test_a_cut_lane_is_said_to_be_truncated(backend):
    text = "\ufdfa" * 8_000 + " scam"
    assert backend.Keywords([KeywordList("f", ("scam",))]).find(text) == ((), 0, True)
    raw = backend.Keywords([KeywordList("r", ("scam",), ("raw",))]).find(text)
    assert (len(raw.matches), raw.truncated) == (1, False)


@BACKENDS
def test_nothing_stands_behind_a_cut_lane(backend):
    # The letter that would follow was written, taken back for its mark, and then did not fit.
    text = " " * (MAX_LANE_BYTES - 5) + "scame\u0301"
    found = backend.Keywords([KeywordList("l", ("scam",))]).find(text)
    assert (len(found.matches), found.truncated) == (1, True)


# Limits of the build.


@BACKENDS
@pytest.mark.parametrize(
    ("held", "kind", "actual"),
    [
        (KeywordList("l", ("a", "")), "pattern bytes", 0),
        (KeywordList("l", ("\u200b\u2060",)), "pattern bytes", 0),
        (KeywordList("l", ("a" * (MAX_PATTERN_BYTES + 1),)), "pattern bytes", 1_025),
        (KeywordList("l", ("\ufdfa" * 32,)), "pattern bytes", 1_056),
        (KeywordList("l", ("a\ud800",)), "pattern encoding", "surrogates not allowed"),
        (KeywordList("l", ("a",), ()), "lanes of a list", 0),
        (KeywordList("l", ("a",), ("skelton",)), "lane", "skelton"),
        (KeywordList("l", ("a",), boundary="line"), "boundary", "line"),
    ],
    ids=["empty", "folds-to-nothing", "long", "folds-to-long", "surrogate", "no-lane", "lane",
         "boundary"],
)  # fmt: skip
def test_what_cannot_be_built_is_named(backend, held, kind, actual):
    with pytest.raises(BuildError, match="list 'l'") as raised:
        backend.Keywords([KeywordList("good", ("a",)), held])
    assert (raised.value.kind, raised.value.actual) == (kind, actual)


@BACKENDS
def test_the_longest_pattern_is_accepted(backend):
    pattern = "a" * MAX_PATTERN_BYTES
    found = backend.Keywords([KeywordList("l", (pattern,))]).find(pattern)
    assert found.matches == (Match("l", pattern, "folded", 0, MAX_PATTERN_BYTES, 1),)


def test_the_table_limit_holds_over_all_lanes(monkeypatch):
    lists = [KeywordList("l", ("abc", "abd"), ("raw", "folded"))]
    size = compiled.Keywords(lists).table_bytes
    assert size == 2 * compiled.Keywords([KeywordList("l", ("abc", "abd"))]).table_bytes
    monkeypatch.setattr(limits, "MAX_TABLE_BYTES", size)
    compiled.Keywords(lists)
    monkeypatch.setattr(limits, "MAX_TABLE_BYTES", size - 1)
    with pytest.raises(BuildError) as raised:
        compiled.Keywords(lists)
    assert (raised.value.kind, raised.value.actual) == ("keyword table bytes", size)


@BACKENDS
def test_the_pattern_limit_counts_every_lane(backend, monkeypatch):
    lists = [KeywordList("l", ("a", "b"), ("raw", "folded"))]
    monkeypatch.setattr(limits, "MAX_PATTERNS", 4)
    backend.Keywords(lists)
    monkeypatch.setattr(limits, "MAX_PATTERNS", 3)
    with pytest.raises(BuildError, match="patterns times lanes: limit 3, actual 4"):
        backend.Keywords(lists)


# Parity and laws.

alphabet = st.sampled_from(
    ["a", "b", "ab", "B", "é", "e\u0301", "字", " ", " \n", "\u3000", "_", "-", "ﬁ", "f", "i", "#"]
)
patterns = st.lists(alphabet, min_size=1, max_size=4).map("".join)
lanes = st.sampled_from([("raw",), ("folded",), ("raw", "folded")])


@st.composite
def keyword_list(draw):
    held = KeywordList(
        name=draw(st.sampled_from(["x", "y", "z"])),
        patterns=tuple(draw(st.lists(patterns, max_size=8))),
        lanes=draw(lanes),
        boundary=draw(st.sampled_from(["word", "prefix", "none"])),
        report=draw(st.sampled_from(["all", "leftmost-longest"])),
        exceptions=tuple(draw(st.lists(patterns, max_size=3))),
    )
    if draw(st.booleans()):
        each = st.lists(lanes, min_size=len(held.patterns), max_size=len(held.patterns))
        held = dataclasses.replace(held, pattern_lanes=tuple(draw(each)))
    return held


keyword_lists = st.lists(keyword_list(), max_size=4)


@given(keyword_lists, st.lists(st.lists(alphabet, max_size=30).map("".join), max_size=6))
@settings(max_examples=1_000)
def test_generated_lists_and_texts(lists, batch):
    assert_equal(lists, batch)


def random_lists(rng):
    return [
        KeywordList(
            f"l{index}",
            tuple(
                pattern
                for pattern in (
                    "".join(rng.choices(PIECES, k=rng.randint(1, 2))) for _ in range(30)
                )
                if folded_size(pattern)
            ),
            rng.choice([("raw",), ("folded",), ("raw", "folded")]),
            rng.choice(["word", "prefix", "none"]),
        )
        for index in range(rng.randint(1, 4))
    ]


def folded_size(pattern):
    return len(fold_text(pattern).encode())


def test_seeded_corpus():
    rng = random.Random(1_348)
    for round_number in range(40):
        assert_equal(random_lists(rng), list(seeded_texts(seed=round_number, count=300)))


@pytest.mark.shared
def test_real_lists_and_texts():
    lists = []
    for file in sorted(require_shared("data/wordlists").glob("*.txt")):
        words = tuple(word for word in file.read_text(encoding="utf-8").split("\n") if word)
        for boundary in ("word", "prefix", "none"):
            lists.append(KeywordList(f"{file.stem}-{boundary}", words, boundary=boundary))
    with gzip.open(
        require_shared("data/labeled_tweets.csv.gz"), "rt", encoding="utf-8", newline=""
    ) as lines:
        tweets = [row["tweet"] for row in csv.DictReader(lines)][::5]
    words = [word for held in lists for word in held.patterns][:: len(lists) // 3]
    assert_equal(lists, [*tweets, *words, " ".join(words)])
    found = compiled.Keywords(lists).find_all(tweets)
    assert sum(bool(one.matches) for one in found) > len(tweets) // 2


@given(texts, st.data())
@settings(max_examples=500)
def test_the_quoted_span_holds_the_pattern(text, data):
    lanes = (text.replace("\0", "\ufffd"), fold_text(text))
    lane = data.draw(st.sampled_from([lane for lane in lanes if lane] or ["x"]))
    start = data.draw(st.integers(0, len(lane) - 1))
    pattern = lane[start : data.draw(st.integers(start + 1, min(len(lane), start + 12)))]
    boundary = data.draw(st.sampled_from(["word", "prefix", "none"]))
    if not folded_size(pattern):
        pattern = "a"
    keywords = compiled.Keywords([KeywordList("l", (pattern,), ("raw", "folded"), boundary)])
    for match in keywords.find(text).matches:
        quoted = text[match.start : match.end]
        again = [found for found in keywords.find(quoted).matches if found.lane == match.lane]
        assert again, (ascii(text), ascii(pattern), match)


def test_a_result_depends_on_its_text_alone():
    rng = random.Random(4)
    lists = random_lists(rng)
    batch = list(seeded_texts(seed=5, count=400))
    scanner = compiled.Scanner(compiled.Keywords(lists))
    alone = {text: compiled.Keywords(lists).find(text) for text in batch}
    for size in (1, 7, 400):
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            assert scanner.find_all(part) == [alone[text] for text in part]


def test_one_table_serves_many_threads():
    keywords = compiled.Keywords(random_lists(random.Random(9)))
    batch = list(seeded_texts(seed=6, count=500))
    expected = keywords.find_all(batch)
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(keywords.find_all(batch))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4
