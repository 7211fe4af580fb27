"""Lists whose every end is tested read whole words at once: equal to the twin on any text."""

from __future__ import annotations

import dataclasses

from hypothesis import given, settings
from hypothesis import strategies as st

from fastpath import keywords as compiled
from fastpath.reference import keywords as twin
from fastpath.spec import KeywordList

# Words that begin alike, and of 15, 16, 17 and 33 bytes: as long as is hashed, and longer.
WORDS = st.sampled_from(
    ["a", "b", "ab", "abc", "é", "éa", *("abcdefghijklmnopqrstuvwxyzabcdefg"[:n] for n in
     (15, 16, 17, 33)), "éééééééé", "ééééééééa"]
)  # fmt: skip
# What parts them; the last two have more than one byte, and one of them stands in no word.
SIGNS = st.sampled_from([" ", "-", "#", " #", "\u2014", "字"])


@st.composite
def phrases(draw: st.DrawFn, words: tuple[str, ...], most: int) -> str:
    """Words and what parts them; some begin with a sign or a mark, some end with a sign."""
    word = st.sampled_from(words)
    parts = [draw(st.sampled_from(["", "", "", "#", "-", "\u0301"])), draw(word)]
    for _ in range(draw(st.integers(0, most - 1))):
        parts += [draw(SIGNS), draw(word)]
    parts.append(draw(st.sampled_from(["", "", "", "字", "-"])))
    return "".join(parts)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[KeywordList], list[str]]:
    """Bounded lists, sometimes with an open one, for which words are walked; few words."""
    words = tuple(draw(st.lists(WORDS, min_size=1, max_size=3, unique=True)))
    held = KeywordList(
        "words",
        tuple(draw(st.lists(phrases(words, 3), min_size=1, max_size=10))),
        draw(st.sampled_from([("folded",), ("raw", "folded")])),
        report=draw(st.sampled_from(["all", "leftmost-longest"])),
        exceptions=tuple(draw(st.lists(phrases(words, 3), max_size=2))),
    )
    lists = [held]
    if draw(st.integers(0, 4)) == 0:
        lists.append(dataclasses.replace(held, name="open", boundary="prefix"))
    return lists, draw(st.lists(phrases(words, 8), max_size=6))


@given(cases())
@settings(max_examples=800)
def test_words_read_at_once_are_found_as_byte_by_byte(
    case: tuple[list[KeywordList], list[str]],
) -> None:
    lists, texts = case
    ours, theirs = compiled.Keywords(lists), twin.Keywords(lists)
    assert ours.notes == theirs.notes
    for text, found, expected in zip(
        texts, ours.find_all(texts), theirs.find_all(texts), strict=True
    ):
        assert found == expected, (lists, ascii(text))


def test_words_that_share_all_bytes_but_one_with_a_longer_word_have_room() -> None:
    # The sign's first byte is the letter's as well: `abcö` is one word, of `abc÷` it is `abc`. What
    # follows the sign is too long to be read at once.
    words = [f"{letter}{other}bc" for letter in "abcdefghijkl" for other in "abcdefghijkl"]
    entries = [word + end for word in words for end in ("\u00f6", "\u00f7" + 17 * "x")]
    lists = [KeywordList("words", tuple(entries))]
    texts = [" ".join(entries[:40]), "aabc\u00f7 aabc\u00f6x aabc"]
    assert compiled.Keywords(lists).find_all(texts) == twin.Keywords(lists).find_all(texts)


def test_a_word_that_ends_one_phrase_begins_another_behind_any_sign() -> None:
    lists = [KeywordList("words", ("ab cd", "cd-ef", "cd gh", "x ab cd y"))]
    texts = ["ab cd-ef", "ab cd gh", "x ab cd gh", "x ab cd-ef", "x ab cd y", "ab cd ab cd-ef"]
    assert compiled.Keywords(lists).find_all(texts) == twin.Keywords(lists).find_all(texts)


def test_rows_of_many_lists_come_in_the_order_of_their_patterns() -> None:
    # Each list has as many rows as it may, so that all of them are more than any one may have.
    words = [f"{a}{b}{a}" for a in "abcdefgh" for b in "abcd"]
    lists = [KeywordList(f"list{i}", tuple(words[i:] + words[:i])) for i in (0, 7, 20)]
    texts = [" ".join(reversed(words)), " ".join(words * 2)]
    found = compiled.Keywords(lists).find_all(texts)
    assert found == twin.Keywords(lists).find_all(texts)
    assert [len(each.matches) for each in found] == [96, 96]
