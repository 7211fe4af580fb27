"""What the lanes see through, and what they leave alone: recall, false matches, ordinary text."""

import csv
import gzip
from collections import Counter

import pytest

from benchmarks.micro.recall import judged
from fastpath.keywords import Keywords
from fastpath.spec import KeywordList
from fastpath.unicode_data import lookalikes
from fastpath.unicode_data.sources import UnicodeModel
from tests.support.alphabets import ALPHABETS, TURNED, TURNED_CAPITALS, turned, written_in
from tests.support.disguises import KINDS, disguised
from tests.support.requirements import require_shared

DISGUISE_LANES = ("skeleton", "squeezed")
# Matches in the labelled tweets that were read and are the word in disguise, though their letters
# are not those of the word.
READ_AND_TRUE = {("bitch", "b!tch")}


def long_words(language: str) -> tuple[str, ...]:
    path = require_shared("data/wordlists") / f"{language}.txt"
    words = path.read_text(encoding="utf-8").split("\n")
    return tuple(word.lower() for word in words if sum(char.isalnum() for char in word) >= 5)


@pytest.mark.shared
def test_recall_of_words_in_disguise():
    words = long_words("en")
    assert len(words) == 353
    keywords = Keywords([KeywordList("l", words, ("folded", *DISGUISE_LANES))])
    written = list(disguised(list(words), seed=72))
    seen, found = Counter(), Counter()
    for each, result in zip(written, keywords.find_all([w.text for w in written]), strict=True):
        seen[each.kind] += 1
        found[each.kind] += any(match.pattern == each.word for match in result.matches)
    assert seen.total() > 9_000
    assert set(seen) == set(KINDS)
    recall = {kind: found[kind] / seen[kind] for kind in seen}
    assert found.total() / seen.total() >= 0.98, recall
    assert min(recall.values()) >= 0.95, recall


@pytest.mark.shared
def test_recall_of_whole_alphabets():
    words = [word for word in long_words("en") if word.isascii() and word.isalpha()]
    keywords = Keywords([KeywordList("l", tuple(words), ("folded", *DISGUISE_LANES))])

    def recall(texts: list[str]) -> float:
        results = zip(words, keywords.find_all(texts), strict=True)
        return sum(word in {m.pattern for m in found.matches} for word, found in results) / len(
            words
        )

    found = {
        name: recall(["\u200b".join(written_in(each, alphabet) for each in word) for word in words])
        for name, alphabet in ALPHABETS.items()
    }
    assert len(found) > 50
    assert sum(found.values()) / len(found) >= 0.98, found
    for alphabet in (TURNED, TURNED_CAPITALS):
        assert recall([turned(word, alphabet) for word in words]) >= 0.95


def test_a_latin_word_stands_alone_in_text_without_spaces():
    find = Keywords([KeywordList("l", ("casino",))]).find
    for text in ("漢字casino漢字", "カジノcasinoです", "ไทยcasinoไทย"):
        assert [m.pattern for m in find(text).matches] == ["casino"], text
    for text in ("слcasino", "xcasino", "casino_", "한casino"):
        assert find(text).matches == (), text


@pytest.mark.shared
def test_real_text_is_matched_no_more_than_it_should_be():
    path = require_shared("data/labeled_tweets.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        tweets = [row["tweet"] for row in csv.DictReader(lines)]
    assert len(tweets) == 14_746
    words = long_words("en")
    lists = Keywords([KeywordList("l", words, ("folded", *DISGUISE_LANES))])
    assert judged(lists, tweets, READ_AND_TRUE) == {"spelled": 7, "reviewed": 1}


ORDINARY = [
    "👩\u200d👩\u200d👧\u200d👦 family day 🏳️\u200d🌈",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f won",
    "🇩🇪 🇫🇷 🇺🇸 won 3:1, 1️⃣2️⃣3️⃣",
    "می\u200cخواهم کتاب\u200cها را بخوانم",
    "क्\u200dष और न\u200cही, हिन्दी में लिखा है",
    "Tiếng Việt có nhiều dấu: ẩn, ế, ỗ, ữ, ặ",
    "ภาษาไทยเขียนติดกันทั้งหมด ไม่มีช่องว่าง",
    "ភាសាខ្មែរ មិនមានចន្លោះ",
    "မြန်မာဘာသာစကား",
    "בְּרֵאשִׁית בָּרָא אֱלֹהִים",
    "السَّلَامُ عَلَيْكُمْ ورحمة الله",
    "Слава і мова: це звичайний текст",
    "Καλημέρα σας, τι κάνετε;",
    "오늘 날씨가 좋네요 ㅋㅋㅋㅋ",
    "今日は、ガッツリ食べた。",
    "Müller trinkt Kölsch in Düsseldorf – schön!",
    "I'm at the B&B w/ my O'Brien cousins, 10am-5pm, 50% off!!!",
]


@pytest.mark.shared
def test_ordinary_text_is_not_harmed():
    words = long_words("en")
    english = Keywords([KeywordList("l", words, ("folded", *DISGUISE_LANES))])
    folded = Keywords([KeywordList("l", words)])
    for text in ORDINARY:
        assert english.find(text).matches == (), text
    languages = ("ar", "de", "es", "fr", "hi", "ja", "ko", "ru", "tr", "zh")
    others = {word: code for code in languages for word in long_words(code)}
    assert len(others) > 500
    for word, code in others.items():
        plain = {m.pattern for m in folded.find(word).matches}
        same = {"menage a trois"} if word == "ménage à trois" else set()
        assert {m.pattern for m in english.find(word).matches} == plain | same, (code, word)


@pytest.mark.shared
@pytest.mark.parametrize("code", ["ar", "de", "es", "fr", "hi", "ja", "ko", "ru", "tr", "zh"])
def test_words_of_every_language_are_found_as_they_are(code):
    words = long_words(code)
    plain = Keywords([KeywordList("l", words)])
    lanes = Keywords([KeywordList("l", words, ("folded", *DISGUISE_LANES))])
    for word in words:
        before = {m.pattern for m in plain.find(f"a {word} b").matches}
        after = {m.pattern for m in lanes.find(f"a {word} b").matches if m.lane == "folded"}
        assert word in before, word
        assert after == before


def test_look_alikes_of_another_icu_are_refused(monkeypatch):
    monkeypatch.setattr(lookalikes, "ICU_MAJOR", 1)
    with pytest.raises(ValueError, match=r"ICU 1 is needed \(Debian: libicu1\)"):
        lookalikes.derive(UnicodeModel())
