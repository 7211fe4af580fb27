"""A table of cases that both backends must find alike: options of lists, white space, deep states.

Each case: its name, the list without its name, the text, and per match what it quotes, where it
starts and how often it stands.
"""

import threading

import pytest

from fastpath import keywords as compiled
from fastpath import lanes as limits
from fastpath.errors import BuildError
from fastpath.lanes import VISITS_FIXED, VISITS_PER_BYTE
from fastpath.reference import keywords as twin
from fastpath.spec import KeywordList, Match

BACKENDS = pytest.mark.parametrize("backend", [twin, compiled], ids=["twin", "compiled"])
LONGEST = {"report": "leftmost-longest"}
NONE = {"boundary": "none"}

WHITE_SPACE = [
    ("one-space", ["buy now"], {}, "buy now", [("buy now", 0, 1)]),
    ("runs", ["buy now"], {}, "buy   now, buy \t\r\n now", [("buy   now", 0, 2)]),
    ("line-break", ["buy now"], {}, "please buy\nnow", [("buy\nnow", 7, 1)]),
    ("paragraph", ["buy now"], {}, "buy\u2028\u2029now", [("buy\u2028\u2029now", 0, 1)]),
    ("next-line-and-ogham", ["buy now"], {}, "buy\u0085now buy\u1680now",
     [("buy\u0085now", 0, 2)]),
    ("wide", ["buy now"], {}, "buy\u3000\u2003now", [("buy\u3000\u2003now", 0, 1)]),
    ("wide-in-raw", ["buy now"], {"lanes": ("raw",)}, "buy\u00a0\u3000now",
     [("buy\u00a0\u3000now", 0, 1)]),
    ("in-the-pattern", ["buy \n  now"], {}, "buy now", [("buy now", 0, 1)]),
    ("none-is-no-space", ["buy now"], {}, "buynow buy-now", []),
    ("other-signs-are-no-space", ["buy now"], {}, "buy, now buy - now", []),
    ("at-both-ends", [" a "], NONE, "b \n a \t b", [(" \n a \t ", 1, 1)]),
    ("in-substrings", ["y n"], NONE, "buy\n\nnow", [("y\n\nn", 2, 1)]),
    ("before-the-match", ["now"], {}, "a \t\n  b  now", [("now", 9, 1)]),
    ("removed-inside", ["buy now"], {}, "buy \u200b now", [("buy \u200b now", 0, 1)]),
    ("at-the-end-of-text", ["buy now"], {}, "buy now \n", [("buy now", 0, 1)]),
    ("beside-other-scripts", ["купи тут"], {}, "Купи\n\nтут", [("Купи\n\nтут", 0, 1)]),
]  # fmt: skip
REPORT = [
    ("all", ["ab", "abcd"], NONE, "abcd", [("ab", 0, 1), ("abcd", 0, 1)]),
    ("longest", ["ab", "abcd"], {**NONE, **LONGEST}, "abcd ab", [("ab", 5, 1), ("abcd", 0, 1)]),
    ("leftmost", ["abc", "bcdef"], {**NONE, **LONGEST}, "abcdef", [("abc", 0, 1)]),
    ("leftmost-then-behind", ["abc", "bc", "cd", "d"], {**NONE, **LONGEST}, "abcd",
     [("abc", 0, 1), ("d", 3, 1)]),
    ("longest-ends-last", ["a", "ab", "abc"], {**NONE, **LONGEST}, "aababc",
     [("a", 0, 1), ("ab", 1, 1), ("abc", 3, 1)]),
    ("self-overlap", ["aba"], {**NONE, **LONGEST}, "ababa", [("aba", 0, 1)]),
    ("runs-of-one-letter", ["aa"], {**NONE, **LONGEST}, "aaaaa", [("aa", 0, 2)]),
    ("words", ["new", "new york", "york city"], LONGEST, "new york city new",
     [("new", 14, 1), ("new york", 0, 1)]),
    ("a-longer-one-without-boundary", ["new", "new york"], LONGEST, "new yorker",
     [("new", 0, 1)]),
]  # fmt: skip
EXCEPTIONS = [
    ("inside", ["hell"], {"exceptions": ("hell's kitchen",)}, "Hell's kitchen, hell",
     [("hell", 16, 1)]),
    ("at-its-end", ["kitchen"], {"exceptions": ("hell's kitchen",)}, "hell's kitchen", []),
    ("overlapping-is-not-inside", ["b c"], {"exceptions": ("a b",)}, "a b c", [("b c", 2, 1)]),
    ("equal", ["hell"], {"exceptions": ("HELL",)}, "hell", []),
    ("an-exception-alone-is-no-match", ["hell"], {"exceptions": ("kitchen",)}, "kitchen", []),
    ("an-exception-has-the-boundary", ["hell"], {"exceptions": ("hell fire",)}, "hell fires",
     [("hell", 0, 1)]),
    ("across-white-space", ["hell"], {"exceptions": ("what the hell",)}, "what\nthe  hell", []),
    ("by-lane", ["hell"], {"exceptions": ("Hell fire",), "lanes": ("raw", "folded")},
     "hell fire", [("hell", 0, 1)]),
    ("before-longest", ["new", "new york"],
     {**LONGEST, "exceptions": ("new york times",)}, "new york times new york",
     [("new york", 15, 1)]),
    ("covered-longest-frees-the-shorter", ["a", "a b"], {**LONGEST, "exceptions": ("x a b",)},
     "x a b a", [("a", 6, 1)]),
    ("of-substrings", ["ass"], {**NONE, "exceptions": ("class", "glass")}, "class glassy ass",
     [("ass", 13, 1)]),
    ("nested", ["b"], {**NONE, "exceptions": ("abc", "bc")}, "abc bc b", [("b", 7, 1)]),
]  # fmt: skip
PATTERN_LANES = [
    ("each-its-own", ["US", "us"], {"pattern_lanes": (("raw",), ("folded",))}, "US us",
     [("US", 0, 1), ("US", 0, 2)]),
    ("one-in-two", ["US", "it"], {"pattern_lanes": (("raw", "folded"), ("raw",))}, "us IT it US",
     [("US", 9, 1), ("it", 6, 1), ("us", 0, 2)]),
    ("exceptions-go-where-patterns-go", ["US"],
     {"pattern_lanes": (("raw",),), "exceptions": ("US army",)}, "US army", []),
]  # fmt: skip
WORDS = [
    ("long-words", ["a" * 16, "a" * 17, "b" * 40], {}, f"{'a' * 17} {'b' * 40} {'b' * 41}",
     [("a" * 17, 0, 1), ("b" * 40, 18, 1)]),
    ("over-a-block", ["needle"], {}, " " * 61 + "needle " + "x" * 57 + " needle",
     [("needle", 61, 2)]),
    ("up-to-a-block", ["x" * 64], {}, "x" * 64, [("x" * 64, 0, 1)]),
    ("behind-a-block", ["needle"], {}, "x" * 63 + " needle", [("needle", 64, 1)]),
    ("two-words-over-a-block", ["one two"], {}, "." * 58 + " one\n two", [("one\n two", 59, 1)]),
    ("three-words", ["a b c"], {}, "a b c b c a b", [("a b c", 0, 1)]),
    ("signs-before", ["#tag", "@me a"], {}, "##tag x@me a", [("#tag", 1, 1), ("@me a", 7, 1)]),
    ("signs-behind", ["c++", "a.b."], {}, "c+++ a.b.c", [("c++", 0, 1), ("a.b.", 5, 1)]),
    ("signs-alone", ["!!", "🔥🔥"], {}, "a!!🔥🔥", [("!!", 1, 1), ("🔥🔥", 3, 1)]),
    ("a-word-behind-an-open-start", ["字 foo"], {}, "x字 foo", [("字 foo", 1, 1)]),
    ("an-open-end-behind-a-word", ["foo字"], {}, "foo字x xfoo字", [("foo字", 0, 1)]),
    ("far-from-the-start", ["." * 70 + "far"], {}, "." * 71 + "far", [("." * 70 + "far", 1, 1)]),
    ("prefix-of-two-words", ["foo ba"], {"boundary": "prefix"}, "foo bar xfoo bar",
     [("foo ba", 0, 1)]),
    ("prefix-beside-other-scripts", ["спа"], {"boundary": "prefix"}, "спам еспам «спам",
     [("спа", 0, 2)]),
    ("prefix-behind-marks", ["re"], {"boundary": "prefix"}, "e\u0301re «re", [("re", 6, 1)]),
    ("one-byte-patterns", list("abc"), {}, "a b-c ab", [("a", 0, 1), ("b", 2, 1), ("c", 4, 1)]),
    ("two-byte-patterns", ["ab", "é", "ж"], {}, "ab é ж abé",
     [("ab", 0, 1), ("é", 3, 1), ("ж", 5, 1)]),
    ("deep-states", ["a" * 500 + "b", "a" * 499 + "c"], NONE, "a" * 700 + "c",
     [("a" * 499 + "c", 201, 1)]),
    ("deep-words", ["x " * 200 + "y", "x " * 199 + "z"], {}, "x " * 300 + "z",
     [("x " * 199 + "z", 202, 1)]),
]  # fmt: skip
CASES = [*WHITE_SPACE, *REPORT, *EXCEPTIONS, *PATTERN_LANES, *WORDS]


@BACKENDS
@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_cases(backend, case):
    _, patterns, options, text, expected = case
    found = backend.Keywords([KeywordList("l", tuple(patterns), **options)]).find(text)
    quoted = [(text[m.start : m.end], m.start, m.count) for m in found.matches]
    assert quoted == expected
    assert not found.truncated


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_cases_in_every_place_of_a_batch(case):
    # Eight posts go side by side; the ninth takes the place of one that ended.
    _, patterns, options, text, _ = case
    keywords = compiled.Keywords([KeywordList("l", tuple(patterns), **options)])
    alone = keywords.find(text)
    for place in range(20):
        batch = ["x" * length for length in range(place)] + [text] + ["", "yy", "z" * 99] * 4
        found = keywords.find_all(batch)
        assert found[place] == alone
        assert not any(each.matches for at, each in enumerate(found) if at != place)


@BACKENDS
def test_notes_say_what_an_entry_adds(backend):
    lists = [
        KeywordList("w", ("scam", "a scam", "scams", "the a  scam"), exceptions=("no scam", "x")),
        KeywordList("l", ("scam", "a scam"), report="leftmost-longest"),
        KeywordList("n", ("ass", "class"), boundary="none", exceptions=("class", "CLASS")),
    ]
    assert backend.Keywords(lists).notes == (
        ("w", "a scam", "folded", "dominated"),
        ("w", "the a  scam", "folded", "dominated"),
        ("w", "x", "folded", "idle_exception"),
        ("n", "class", "folded", "excepted"),
        ("n", "class", "folded", "dominated"),
        ("n", "CLASS", "folded", "duplicate"),
    )


@BACKENDS
@pytest.mark.parametrize(
    ("held", "kind", "actual"),
    [
        (KeywordList("l", ("a",), report="longest"), "report", "longest"),
        (KeywordList("l", ("a", "b"), pattern_lanes=(("raw",),)), "lanes per pattern", 1),
        (KeywordList("l", ("a",), pattern_lanes=((),)), "lanes of a list", 0),
        (KeywordList("l", ("a",), pattern_lanes=(("row",),)), "lane", "row"),
        (KeywordList("l", ("a",), exceptions=("b" * 1_025,)), "pattern bytes", 1_025),
    ],
    ids=["report", "lanes-of-each", "no-lane", "lane", "exception"],
)
def test_options_that_mean_nothing_are_named(backend, held, kind, actual):
    with pytest.raises(BuildError, match="list 'l'") as raised:
        backend.Keywords([held])
    assert (raised.value.kind, raised.value.actual) == (kind, actual)


@BACKENDS
def test_exceptions_are_looked_at_within_the_budget(backend):
    held = KeywordList(
        "l", ("a",), boundary="none", exceptions=tuple("b" * n for n in range(1, 12))
    )
    found = backend.Keywords([held]).find("a" + "b" * 100)
    assert found.truncated
    assert found.visited == VISITS_FIXED + VISITS_PER_BYTE * 101
    assert found.matches == (Match("l", "a", "folded", 0, 1, 1),)


# Large tables.


def numbered(count):
    letters = "bcdfghjk"
    for number in range(count):
        digits = f"{number:o}"
        yield "".join(letters[int(digit)] + "aeiou"[int(digit) % 5] for digit in digits) + "x"


def test_a_large_table_finds_every_pattern():
    patterns = tuple(numbered(100_000))
    keywords = compiled.Keywords([KeywordList("l", patterns)])
    assert keywords.notes == ()
    found = keywords.find_all(patterns)
    assert [[m.pattern for m in each.matches] for each in found] == [[p] for p in patterns]
    near = [pattern[:-1] for pattern in patterns[:5_000]] + [p + "y" for p in patterns[:5_000]]
    assert not any(each.matches for each in keywords.find_all(near))


@pytest.mark.parametrize("boundary", ["prefix", "none"])
def test_a_large_table_of_beginnings_is_cut_and_finds_all_the_same(boundary):
    patterns = tuple(numbered(100_000))
    keywords = compiled.Keywords([KeywordList("l", patterns, boundary=boundary)])
    for pattern, found in zip(
        patterns, keywords.find_all([f"{p}y" for p in patterns]), strict=True
    ):
        assert pattern in {match.pattern for match in found.matches}
    assert not any(each.matches for each in keywords.find_all([p[:-1] for p in patterns[-999:]]))


def test_the_bytes_of_a_table_grow_with_its_patterns_alone():
    sizes = [
        compiled.Keywords([KeywordList("l", tuple(numbered(count)))]).table_bytes
        for count in (10_000, 20_000, 40_000)
    ]
    assert sizes[1] < 2.2 * sizes[0]
    assert sizes[2] < 2.2 * sizes[1]
    assert sizes[2] < 300 * 40_000


# Swapping.


def test_scans_go_on_while_a_table_is_built():
    small = compiled.Scanner(compiled.Keywords([KeywordList("l", ("needle",))]))
    batch = compiled.TextBatch(["hay needle hay"] * 64)
    patterns = tuple(numbered(100_000))
    built = threading.Event()
    scans_while_building = 0
    result = []

    def build():
        result.append(compiled.Keywords([KeywordList("l", patterns, ("folded", "raw"))]))
        built.set()

    builder = threading.Thread(target=build)
    builder.start()
    while not built.is_set():
        assert len(small.find_hits(batch)) == 64
        scans_while_building += 1
    builder.join()
    # With the GIL held the loop would have turned once or twice.
    assert scans_while_building > 20
    assert result[0].find(patterns[-1]).matches


def test_a_table_lives_while_a_scanner_uses_it(monkeypatch):
    scanner = compiled.Scanner(compiled.Keywords([KeywordList("l", ("needle",))]))
    monkeypatch.setattr(limits, "MAX_TABLE_BYTES", 1)
    with pytest.raises(BuildError):
        compiled.Keywords([KeywordList("l", ("needle",))])
    assert scanner.find_all(["a needle"])[0].matches


def test_columns_are_the_rows_of_hits():
    lists = [KeywordList("a", ("x",)), KeywordList("b", ("y", "z"), ("raw", "folded"))]
    batch = compiled.TextBatch([f"{'xyz'[at % 3]} z" if at % 5 else "-" for at in range(1_000)])
    scanner = compiled.Scanner(compiled.Keywords(lists))
    columns = memoryview(scanner.find_columns(batch)).cast("I")
    rows = [tuple(columns[at : at + 7]) for at in range(0, len(columns), 7)]
    lanes = ("raw", "folded")
    assert rows == [
        (place, "ab".index(m.list), lists["ab".index(m.list)].patterns.index(m.pattern),
         lanes.index(m.lane), m.start, m.end, m.count)
        for place, found in scanner.find_hits(batch)
        for m in found.matches
    ]  # fmt: skip
