"""Write words in disguise, the same for the same seed: what the look-alike lanes must see through.

The tables here are written by hand and share nothing with those of the lanes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

CONFUSABLES = {
    "a": "аɑα𝐚ａ",
    "b": "Ьƅ𝖇ｂВ",
    "c": "сϲⅽｃС",
    "d": "ԁⅾ𝓭ｄđ",
    "e": "еҽℯｅЕ",
    "f": "ꬵ𝑓ｆẝ",
    "g": "ɡց𝗀ｇ",
    "h": "һհ𝒽ｈН",
    "i": "іıⅰｉ",
    "j": "јϳ𝚓ｊ",
    "k": "κ𝕜ｋКк",
    "l": "ⅼӏ𝐥ｌІ",
    "m": "ⅿ𝔪ｍМм",
    "n": "ո𝗇ｎΝ",
    "o": "оοօ𝚘ｏ0",
    "p": "рρ𝓹ｐР",
    "q": "ԛզ𝗊ｑ",
    "r": "г𝒓ｒᴦ",
    "s": "ѕꜱ𝘴ｓЅ",
    "t": "τ𝑡ｔТт",
    "u": "υս𝓊ｕ",
    "v": "νѵⅴｖ",
    "w": "ԝ𝔀ｗɯ",
    "x": "хⅹ𝐱ｘХ",
    "y": "уү𝕪ｙ",
    "z": "ᴢ𝗓ｚΖ",
}
LEET = {
    "a": "4@",
    "b": "8",
    "e": "3",
    "g": "69",
    "i": "1!|",
    "l": "1|",
    "o": "0",
    "s": "5$",
    "t": "7+",
    "z": "2",
}
SEPARATORS = (" ", ".", "-", "_", "*", "/", "~", "  ", ". ", " - ", "\u00b7", "\u2800", "😀")
INVISIBLE = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\ufe0f")
MARKS = ("\u0301", "\u0308", "\u0323", "\u0336", "\u0338", "\u20dd", "\u0489", "\u0332")
# The code point of A of each alphabet, and of a where it has small letters of its own.
ENCLOSED = ((0x24B6, 0x24D0), (0x1F150, None), (0x1F170, None), (0x1F130, None), (0x1F1E6, None))
CARRIERS = ("{}", "buy {} now", "you are a {}!", "look: {}, really", "{} everywhere", "so ({})")


class Disguised(NamedTuple):
    """Hold a text with a word in disguise."""

    kind: str
    word: str
    text: str


def _some(word: str, rng: random.Random, table: dict[str, str]) -> str:
    """Replace at least one letter that the table has, and each other one with an even chance."""
    places = [at for at, char in enumerate(word) if char in table]
    if not places:
        return word
    chosen = {rng.choice(places), *(at for at in places if rng.random() < 0.5)}
    return "".join(rng.choice(table[c]) if at in chosen else c for at, c in enumerate(word))


def _confusables(word: str, rng: random.Random) -> str:
    return _some(word, rng, CONFUSABLES)


def _leet(word: str, rng: random.Random) -> str:
    return _some(word, rng, LEET)


def _spacing(word: str, rng: random.Random) -> str:
    return rng.choice(SEPARATORS).join(word.replace(" ", ""))


def _between(word: str, rng: random.Random, inserted: tuple[str, ...]) -> str:
    first = rng.randrange(1, len(word))
    chosen = {first, *(at for at in range(1, len(word)) if rng.random() < 0.5)}
    return "".join(
        (rng.choice(inserted) if at in chosen else "") + char for at, char in enumerate(word)
    )


def _invisible(word: str, rng: random.Random) -> str:
    return _between(word, rng, INVISIBLE)


def _combining(word: str, rng: random.Random) -> str:
    return _between(word + " ", rng, MARKS).rstrip(" ")


def _enclosed(word: str, rng: random.Random) -> str:
    capital, small = rng.choice(ENCLOSED)
    # Two regional indicators make a flag; people part them.
    part = rng.choice((" ", "\u200b")) if capital == 0x1F1E6 else ""
    return part.join(
        chr(ord(char) - ord("a") + (small or capital)) if "a" <= char <= "z" else char
        for char in word
    )


def _repeats(word: str, rng: random.Random) -> str:
    places = [at for at, char in enumerate(word) if char.isalpha()]
    chosen = {rng.choice(places), *(at for at in places if rng.random() < 0.3)}
    return "".join(c * rng.randint(4, 8) if at in chosen else c for at, c in enumerate(word))


KINDS: dict[str, Callable[[str, random.Random], str]] = {
    "confusables": _confusables,
    "leet": _leet,
    "spacing": _spacing,
    "zero-width": _invisible,
    "combining": _combining,
    "enclosed": _enclosed,
    "repeats": _repeats,
}


def disguised(words: list[str], seed: int, each: int = 4) -> Iterator[Disguised]:
    """Yield `each` texts per word and kind; a word that a kind cannot change is left out."""
    rng = random.Random(seed)
    for word in words:
        for kind, disguise in KINDS.items():
            for _ in range(each):
                written = disguise(word, rng)
                if rng.random() < 0.2 and kind != "confusables":
                    written = written.upper()
                if written.lower() != word:
                    yield Disguised(kind, word, rng.choice(CARRIERS).format(written))
