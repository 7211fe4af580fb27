"""The skeleton and squeezed lanes: spelled-out cases on both backends, parity, linear work."""

import itertools
import random
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import keywords as compiled_keywords
from fastpath import text as compiled
from fastpath.errors import BuildError
from fastpath.lanes import LETTER_GAP, LETTER_RUN
from fastpath.reference import keywords as twin_keywords
from fastpath.reference import skeleton, squeezed
from fastpath.spec import KeywordList
from fastpath.unicode_data.imitations import imitations
from tests.support.disguises import disguised
from tests.support.texts import PIECES, seeded_texts, texts

twin = SimpleNamespace(**vars(skeleton) | vars(squeezed))
BACKENDS = pytest.mark.parametrize("backend", [twin, compiled], ids=["twin", "compiled"])
KEYWORDS = pytest.mark.parametrize(
    "keywords", [twin_keywords.Keywords, compiled_keywords.Keywords], ids=["twin", "compiled"]
)
FUNCTIONS = (
    "opens_skeleton",
    "opens_squeezed",
    "view_skeleton",
    "view_squeezed",
    "spans_skeleton",
    "spans_squeezed",
)
# What the squeezed lane treats unlike other text, beside the pieces that folding does.
DISGUISES = (
    *"rnvwWIil1!|@$+0345 .-_'’aAbesSt\n",
    *("rn", "vv", "м", "о", "🇫", "🅵", "é", "e\u0301", "\u0640", "ا", "漢", "न्", "  ", " - "),
    *("д", "λ", "ค", "山", "ᗩ", "ε", "ἐ", "♥", "ꞓ", "Ꭺ", "ジ", "ё"),
    *("s c a m", "aa", "bb", "\u200b", "\0", "٥", "ʙ", "€", "\u2800", "ш", "ΒΠ", "rrn", "vvv"),
)


def assert_equal(text: str) -> None:
    for name in FUNCTIONS:
        assert getattr(compiled, name)(text) == getattr(twin, name)(text), (name, ascii(text))


# name, text, skeleton lane ("" where it does not run)
SKELETONS = [
    ("ascii-does-not-run", "paypaI rn 0", ""),
    ("cyrillic-letter", "pаypal", "paypal"),
    ("all-runs-once-one-does", "mIl0 а", "rnllo a"),
    ("capitals-imitate-other-letters", "В в", "b ʙ"),
    ("ignorables-go-first", "pа\u200bypal", "paypal"),
    ("folding-is-enough", "Ｐaypal", ""),
    ("signs-stay", "pay—pal’s", ""),
    ("hangul-stays", "한국", ""),
    ("decomposed-first", "ç", "c\u0326"),
]


@BACKENDS
@pytest.mark.parametrize(
    ("text", "lane"), [c[1:] for c in SKELETONS], ids=[c[0] for c in SKELETONS]
)
def test_skeleton_lane(backend, text, lane):
    assert backend.view_skeleton(text).data.decode() == lane
    assert backend.opens_skeleton(text) is (lane != "")


# name, text, squeezed lane; "|" before a letter that a gap between words precedes
SQUEEZED = [
    ("words", "It is sc4m", "it|is|scam"),
    ("digits-beside-letters", "p4yp4l 2024 4u", "paypai|2024|au"),
    ("signs-beside-letters", "$cam b!tch $5 a+b", "scam|bitch|5|atb"),
    ("sentence-ends", "sc4m! sc4m!!!", "scam|scam"),
    ("inner-signs", "p.a-y_pal", "paypai"),
    ("long-inner-gap", "rn....now", "m|now"),
    ("spaced-out", "s c a m m e r", "scamer"),
    ("spaced-out-by-signs", "s . c . a . m", "scam"),
    ("two-letters-are-not-spaced-out", "x1 a b", "xi|a|b"),
    ("too-wide-to-be-spaced-out", "x1 s    c    a", "xi|s|c|a"),
    ("spaced-out-digits", "5 c 4 m", "scam"),
    ("digits-alone-are-never-letters", "x1 1 2 3 4", "xi|1|2|3|4"),
    ("repeats", "scaaaam", "scam"),
    ("repeats-across-case", "scAaAm", "scam"),
    ("repeats-not-across-words", "bass sax1", "bas|saxi"),
    ("groups", "rnodern vvolf paypaI", "modem|woif|paypai"),
    ("r-before-m-is-the-same-from-both", "form fоrm", "form|form"),
    ("marks", "é\u0323 \u0336s\u0338c\u20dda\u0301m", "e|scam"),
    ("arabic-harakat-and-tatweel", "م\u064eـح\u0651مد", "محمد"),
    ("hebrew-points", "ש\u05c1ל\u05d5\u05b9ם", "שלiם"),
    ("arabic-stays", "شكرا لك", "سكرi|لك"),
    ("a-letter-that-recalls-two", "ժեք bed", "def|bed|dep"),
    ("upside-down", "ʎɐqǝ ʇɐ 3", "yaqe|ta|3|at|ebay"),
    ("regional-indicators", "🇸🇨🇦🇲", "scam"),
    ("negative-letters", "🅢🅒🅐🅜 🆂🅲🅰🅼", "scam|scam"),
    ("small-capitals", "sᴄᴀᴍ", "scam"),
    ("ornament-of-one-script", "ᗩᗷᑕᗪᗴ ᏦᏂᎥ", "abcde|khi"),
    ("letters-of-others-among-latin", "p卂ypal дddiction", "paypai|adiction"),
    ("letters-of-several-scripts", "ค๒λ๔", "abad"),
    ("spaced-out-with-letters-of-others", "p λ y p a l", "paypai"),
    ("words-that-recall-nothing-else", "ю3д 山口さん גב2", "юeд|山口さん|גבz"),
    ("words-that-recall-latin-alone", "дед 山口 цоц", "aea|wo|uou"),
    ("one-letter-that-recalls-nothing", "λbcю1", "λbcюi"),
    ("drawn-signs", "l♥ve n✘w ⊗k", "iove|nxw|ok"),
    ("letters-by-their-names", "ƀⱥꞗƞ", "babn"),
    ("blank-braille", "s\u2800cá\u2800m", "scam"),
    ("ordinary", "Don't worry, it is fine.", ""),
]


@BACKENDS
@pytest.mark.parametrize(("text", "lane"), [c[1:] for c in SQUEEZED], ids=[c[0] for c in SQUEEZED])
def test_squeezed_lane(backend, text, lane):
    view = backend.view_squeezed(text)
    starts = [at for at, octet in enumerate(view.data) if octet & 0xC0 != 0x80]
    shown = "".join(
        "|" * bool(view.letters[at] & LETTER_GAP) + char
        for at, char in zip(starts, view.data.decode(), strict=True)
    )
    assert shown == lane
    assert backend.opens_squeezed(text) is (lane != "")


OPENS = ["sc4m", "sh!t", "$cam", "boob$", "scaaam", "ssccam", "s c a", "scarn", "vvin", "paypaI",
         "pay-pal", "a é", "🅰", "€"]  # fmt: skip
STAYS = ["", "scam", "don't", "don’t", "so, what?", "a b", "I'm off!!!", "@user hi", "10 20 30",
         "good :-) 😀", "漢字", "ฉี่", "(ok)", "$ 5", "ss c", "-a- -b-"]  # fmt: skip


@BACKENDS
def test_ordinary_text_skips_the_squeezed_lane(backend):
    assert [text for text in OPENS if not backend.opens_squeezed(text)] == []
    assert [text for text in STAYS if backend.opens_squeezed(text)] == []


@BACKENDS
def test_runs_are_counted_and_capped(backend):
    view = backend.view_squeezed("sc" + "a" * 40 + "mmm")
    assert [each // LETTER_RUN for each in view.letters] == [1, 1, 15, 3]


@BACKENDS
def test_spans_lead_back_to_the_original_text(backend):
    assert backend.spans_squeezed("s c ааа m") == ((0, 1), (2, 3), (4, 7), (8, 9))
    assert backend.spans_squeezed("x\u200b é\u0301") == ((0, 1), (3, 5))
    assert backend.spans_skeleton("мx") == ((0, 1), (0, 1), (1, 2))


# name, patterns, text, matches as (pattern, start, end, count) in the squeezed lane
MATCHES = [
    ("leet", ["paypal"], "my p4yp@1!", [(0, 3, 9, 1)]),
    ("inside-a-word", ["assess"], "r3assess", []),
    ("at-the-edge-of-a-sign", ["casino"], "($ c4sin0)", [(0, 3, 9, 1)]),
    ("a-gap-is-no-letter", ["penisx"], "p3n isx", []),
    ("a-gap-of-the-pattern", ["hard core"], "h4rd core, hard-c0re", [(0, 0, 9, 2)]),
    ("a-gap-of-the-pattern-is-due", ["hard core"], "h4rdcore", []),
    ("doubled-letter-is-due", ["boobs"], "bob's b0bs b00bs boooobs", [(0, 11, 16, 2)]),
    ("double-is-another-word", ["raping"], "rapping r4pping", []),
    ("drawn-out", ["raping"], "rapppping", [(0, 0, 9, 1)]),
    ("all-doubled", ["raping"], "rraappiinngg", [(0, 0, 12, 1)]),
    ("mixed-case-skeleton", ["bitcoin"], "bITсOIn", [(0, 0, 7, 1)]),
    ("other-scripts", ["казино"], "кaз1инo к а з и н о", [(0, 8, 19, 1)]),
    ("long-gap", ["casino"], "cas....1no", []),
    ("words-of-two-readings", ["gamma beta"], "ßeta gamma", []),
    ("words-between-other-words", ["beta betas"], "ßeta 1x ßetas", []),
    ("words-read-again-together", ["beta betas"], "ßeta ßetas", [(0, 0, 10, 1)]),
    ("a-word-before-itself-turned", ["yaqe ebay"], "ʎɐqǝ", []),
    ("yod-is-a-letter", ["porno"], "קיסריהם", []),
    ("letters-of-a-word-without-spaces", ["asses"], "ครรєร", [(0, 0, 5, 1)]),
    ("letters-within-a-word-without-spaces", ["asses"], "ครรєรค", []),
    ("empty-places-of-mathematical-letters", ["athens"], "𝔄𝔗\U0001d50b𝔈𝔑𝔖", [(0, 0, 6, 1)]),
    ("mathematical-greek", ["agenda"], "𝛥g𝛯n𝛥𝛥 𝛥g𝛯nd𝛥", [(0, 7, 13, 1)]),
    ("two-letters-that-one-recalls", ["varyboat"], "վaրվҍօaէ", []),
    ("m-is-no-rn", ["modern", "carne"], "modem, came, CAME 2 4u", []),
    ("rn-is-m", ["modem", "camel"], "rnodem carnel", [(0, 0, 6, 1), (1, 7, 13, 1)]),
    ("rn-of-the-pattern", ["modern"], "rnodern m0dern", [(0, 0, 7, 2)]),
    ("w-is-no-vv", ["navvy"], "nawy 4u", []),
    ("m-beside-digits-is-read-both-ways", ["carne"], "c4me", [(0, 0, 4, 1)]),
    ("l-is-no-i", ["snuggie", "spilt", "bailed"], "4u snuggle split balled", []),
    ("l-beside-signs-is-read-both-ways", ["biting"], "b!tlng", [(0, 0, 6, 1)]),
    ("i-is-no-l", ["polls", "falls", "allen"], "4u polis fails alien ALLEN", [(2, 21, 26, 1)]),
    ("i-beside-other-writing-may-be-l", ["falls"], "fails – 4u", [(0, 0, 5, 1)]),
    ("capital-i-is-l", ["females", "legal"], "femaIes Iegal", [(0, 0, 7, 1), (1, 8, 13, 1)]),
    ("letters-of-one-group-are-not-drawn-out", ["legal", "seing"], "illegal selling", []),
    ("liberal-within-a-word", ["liberal"], "Illiberal", []),
    ("drawn-out-i", ["shitty"], "shiiitty sh!!!!tty shi1!tty", [(0, 0, 8, 2)]),
    ("turned-words", ["omega ebay"], "ʎɐqǝ ɐƃǝɯo", [(0, 0, 10, 1)]),
]


@KEYWORDS
@pytest.mark.parametrize(
    ("patterns", "text", "expected"), [c[1:] for c in MATCHES], ids=[c[0] for c in MATCHES]
)
def test_squeezed_matches(keywords, patterns, text, expected):
    found = keywords([KeywordList("l", tuple(patterns), ("squeezed",), "none")]).find(text)
    assert [(patterns.index(m.pattern), m.start, m.end, m.count) for m in found.matches] == expected
    assert {match.lane for match in found.matches} <= {"squeezed"}


@KEYWORDS
def test_patterns_have_the_skeletons_of_their_forms(keywords):
    find = keywords([KeywordList("l", ("million",), ("skeleton",))]).find
    for text in ("milliоn", "MILLIОN", "Milliоn"):
        assert [match.lane for match in find(text).matches] == ["skeleton"], text
    assert find("million").matches == ()


@KEYWORDS
def test_short_patterns_need_insistence(keywords):
    with pytest.raises(BuildError, match="limit at least 5, unless the list insists, actual 4"):
        keywords([KeywordList("l", ("s c a m",), ("squeezed",))])
    insisting = keywords([KeywordList("l", ("scam",), ("squeezed",), insist=True)])
    assert insisting.find("sc4m").matches[0].pattern == "scam"
    assert keywords([KeywordList("l", ("scam",), ("skeleton",))]).find("scаm").matches


@KEYWORDS
def test_a_pattern_without_a_key_of_its_own_is_noted(keywords):
    built = keywords([KeywordList("l", ("paypal", "PAYPAL", "boobs", "bobss"), ("squeezed",))])
    assert [(note.pattern, note.remark) for note in built.notes] == [("PAYPAL", "duplicate")]


def test_every_piece_beside_every_other():
    for pair in itertools.product({*PIECES, *DISGUISES}, repeat=2):
        assert_equal("".join(pair))


def test_every_code_point():
    for start in range(0, 0x110000, 64):
        if 0xD800 <= start < 0xE000 or (start > 0x323B0 and start not in range(0xE0000, 0xE0200)):
            continue
        text = "".join(f"{chr(c)}\u0323a{chr(c)} " for c in range(start, start + 64))
        for name in ("view_skeleton", "view_squeezed"):
            assert getattr(compiled, name)(text) == getattr(twin, name)(text), hex(start)


def test_seeded_texts():
    rng = random.Random(5)
    for _ in range(20_000):
        assert_equal("".join(rng.choices(DISGUISES, k=rng.randint(0, 14))))
    for text in seeded_texts(seed=39, count=2_000):
        assert_equal(text)


@given(st.one_of(texts, st.lists(st.sampled_from(DISGUISES), max_size=20).map("".join)))
@settings(max_examples=500)
def test_generated_texts(text):
    assert_equal(text)


WORDS = ("paypal", "boobs", "bobss", "hard core", "modern", "modem", "wolves", "million", "казино",
         "القدس", "漢字漢字漢", "2 girls", "bass", "naïve", "c++ h4x0r")  # fmt: skip
LISTS = [
    KeywordList("a", (*WORDS, "bob", "mm", "I"), ("raw", "folded", "skeleton")),
    KeywordList("b", WORDS, ("skeleton", "squeezed"), "prefix", insist=True),
    KeywordList("c", ("scam", "m", "scarn", "s", "am", "ca"), ("squeezed", "folded"), "none", True),
]


def test_both_backends_find_the_same():
    ours, theirs = compiled_keywords.Keywords(LISTS), twin_keywords.Keywords(LISTS)
    assert ours.notes == theirs.notes
    written = [each.text for each in disguised([word for word in WORDS if word.isascii()], 1)]
    pieces = (*DISGUISES, *WORDS)
    rng = random.Random(7)
    written += ["".join(rng.choices(pieces, k=rng.randint(0, 12))) for _ in range(3_000)]
    written += ["s c a m " * 500, "scaм" * 900, "rn" * 3_000]
    for text, found in zip(written, ours.find_all(written), strict=True):
        assert found == theirs.find(text), ascii(text)


def test_a_quoted_span_is_found_again():
    keywords = compiled_keywords.Keywords([KeywordList("l", WORDS[:8], ("folded", "squeezed"))])
    quoted = 0
    for each in disguised(list(WORDS[:8]), seed=11):
        for match in keywords.find(each.text).matches:
            again = keywords.find(each.text[match.start : match.end]).matches
            assert (match.pattern, match.lane) in {(m.pattern, m.lane) for m in again}, each
            quoted += 1
    assert quoted > 150


HOSTILE = ["s ", "rn", "r", "v", "a1", "!", "$ ", "é\u0323", "м", "1", "s . ", "a\u0301" * 31,
           "\ufdfa", "!a", "- ", "\u0336", "🇸"]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE, ids=ascii)
def test_work_is_linear_in_the_text(unit):
    sizes = [4_096, 8_192, 16_384, 32_768, 65_536]
    work = [compiled.squeezing_work("é" + unit * (s // len(unit.encode()))) for s in sizes]
    for smaller, larger in pairwise(work):
        assert larger <= 2.05 * smaller
    assert work[-1] <= 50 * sizes[-1]


@KEYWORDS
def test_every_imitation_stands_for_its_letter_in_a_latin_word(keywords):
    """In "mXgneto" with X for the letter, except where Unicode's own folding reads X otherwise."""
    words = {letter: f"m{letter}gneto" for letter in "abcdefghijkmnopqrstuvwxyz"}
    held = keywords([KeywordList("words", tuple(words.values()), ("folded", "squeezed"))])
    words["l"] = words["i"]  # the lane does not tell them apart
    each = [(source, letter) for source, letter in imitations() if not otherwise_read(source)]
    texts = [f"m{source}gneto" for source, _ in each]
    missed = [
        (source, letter)
        for (source, letter), found in zip(each, held.find_all(texts), strict=True)
        if words[letter] not in {match.pattern for match in found.matches}
    ]
    assert missed == []
    assert len(each) > 350


def otherwise_read(source: str) -> bool:
    """Say whether a lane below shows the letter as something that its table does not hold."""
    shown = (twin.skeleton_of(source).data or b"").decode()
    return shown != source
