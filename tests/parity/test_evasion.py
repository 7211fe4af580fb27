"""What a text does to be read by people alone: evasive and honest texts, core and twin equal."""

from __future__ import annotations

import csv
import gzip
import random

import pytest
from hypothesis import given

from fastpath import evasion
from fastpath.columns import Evasion
from fastpath.reference import evasion as twin
from tests.support.requirements import require_shared
from tests.support.texts import PIECES, texts

NOTHING = Evasion(0, 0, 0)

EVASIVE = {
    "one letter of another alphabet": ("p\u0430ypal", Evasion(1, 0, 0)),
    "Greek in Latin": ("n\u03bfthing t\u03bf see", Evasion(1, 0, 0)),
    "two words": ("b\u0430nk l\u043egin", Evasion(2, 0, 0)),
    "parted by a hyphen": ("IT-отдел, p\u0430y-p\u0430l", Evasion(2, 0, 0)),
    "digits do not end a word": ("v1\u0430gra", Evasion(1, 0, 0)),
    "marks do not end a word": ("pa\u0301y\u0440al", Evasion(1, 0, 0)),
    "hidden characters do not end a word": ("pa\u200by\u0440al", Evasion(1, 1, 0)),
    "zero width space": ("b\u200ba\u200bn", Evasion(0, 2, 0)),
    "several in one place": ("b\u200b\u2060\ufeffan", Evasion(0, 3, 0)),
    "joiners in Latin": ("ba\u200dn ba\u200cn", Evasion(0, 2, 0)),
    "variation selector in a word": ("ba\ufe0fn", Evasion(0, 1, 0)),
    "tags in a word": ("ba\U000e0061n", Evasion(0, 1, 0)),
    "between digits": ("555\u200b1234", Evasion(0, 1, 0)),
    "behind a mark": ("e\u0301\u200bx", Evasion(0, 1, 0)),
    "beside a soft hyphen": ("ba\u00ad\u200bnk", Evasion(0, 1, 0)),
    "turned round": ("\u202elapyap\u202c", Evasion(0, 0, 1)),
    "forced to the right": ("\u202dabc", Evasion(0, 0, 1)),
}  # fmt: skip

HONEST = {
    "nothing": "",
    "ASCII": "plain text, 7 words: no more - no less_",
    "one script a word": "Москва hello Αθήνα 東京 서울 דירה",
    "units": "10 kΩ, 5 μm, 3 Ωm",
    "micro sign": "5 µmol, ªº",
    "mathematical letters": "𝐩𝐚𝐲 pay",
    "Japanese": "これはUSBメモリです。PCのOSをアップデート",
    "Chinese": "我用iPhone看Москва",
    "Korean": "SNS는 좋아요, PC방",
    "Thai": "ใช้iPhoneได้",
    "zero width spaces of Thai and Khmer": "ภาษา\u200bไทย ភាសា\u200bខ្មែរ",
    "Persian": "می\u200cخواهم کتاب\u200cها",
    "Hindi": "क्\u200dष र्\u200d क\u200cष",
    "Sinhala": "ශ්\u200dරී ලංකා",
    "Malayalam": "അവന്\u200d",
    "Hebrew with points": "שָׁלוֹם עֲלֵיכֶם",
    "Arabic with harakat": "السَّلَامُ عَلَيْكُمْ",
    "Vietnamese": "tiếng Việ\u0323t Nam người",
    "emoji": "👩\u200d👩\u200d👧\u200d👦 ❤\ufe0f a❤\ufe0fb 1\ufe0f\u20e3",
    "flag of England": "a🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007fb",
    "soft hyphens": "Donau\u00addampf\u00adschiff\u00adfahrt",
    "byte order mark": "\ufeffHello",
    "between words": "one \u200b two\u200b three",
    "isolated name": "\u2068Ann\u2069 said: \u200fשלום\u200e!",
    "embedded": "\u202bשלום abc\u202c",
    "serbian": "Ђорђе џак љубав",
}  # fmt: skip


@pytest.mark.parametrize("measure", [evasion.measure, twin.measure], ids=["core", "twin"])
@pytest.mark.parametrize("case", [*EVASIVE, *HONEST])
def test_cases(measure: object, case: str) -> None:
    assert callable(measure)
    text, expected = EVASIVE.get(case) or (HONEST[case], NOTHING)
    assert measure(text) == expected
    # Where a text stands changes nothing.
    assert measure(f"abc, {text} def") == expected


@given(texts)
def test_core_counts_what_the_twin_counts(text: str) -> None:
    assert evasion.measure(text) == twin.measure(text)


def test_core_counts_what_the_twin_counts_in_many_texts() -> None:
    chance = random.Random(15)
    pieces = (*PIECES, "д", "Ωω", "ա", "\u2060", "\u202d", "\u202e", "한", "ʰ", "ª")
    many = ["".join(chance.choices(pieces, k=chance.randint(0, 20))) for _ in range(3_000)]
    found = [twin.measure(text) for text in many]
    assert [evasion.measure(text) for text in many] == found
    assert all(any(counts) for counts in zip(*found, strict=True))


def test_every_code_point_between_letters() -> None:
    for code_point in (*range(0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE0200)):
        character = chr(code_point)
        text = f"ab{character}c{character}d \u0434{character}\u0435f"
        assert evasion.measure(text) == twin.measure(text), hex(code_point)


@pytest.mark.shared
def test_words_of_languages_hide_nothing() -> None:
    for file in sorted(require_shared("data/wordlists").glob("*.txt")):
        words = file.read_text(encoding="utf-8").splitlines()
        loud = [word for word in words if evasion.measure(word) != NOTHING]
        # One word of the Russian list is itself a disguise: its third letter but one is Latin.
        assert loud == (["тра\u0078ать"] if file.name == "ru.txt" else [])


@pytest.mark.shared
def test_few_honest_posts_are_counted() -> None:
    path = require_shared("data/labeled_tweets.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        tweets = [row["tweet"] for row in csv.DictReader(file)]
    loud = [text for text in tweets if evasion.measure(text) != NOTHING]
    assert len(loud) <= len(tweets) // 1_000, loud[:5]
