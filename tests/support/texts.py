"""Texts that are hard to fold and match: pieces, hypothesis strategies, seeded generators."""

from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import strategies as st

# Each piece takes another path through folding, or another class through matching.
PIECES: tuple[str, ...] = (
    *("a", "b", "f", "i", "K", "Z", "0", "7", "_", "-", " ", "\n", ".", "@", "=", "ab", "scam"),
    *("é", "É", "e\u0301", "q\u0301", "ạ\u0301", "a\u0301\u0323", "=\u0338", "ǭ", "ΐ", "ŉ", "ﬃ"),
    *("ß", "ẞ", "ss", "İ", "ı", "ſ", "K", "Å", "ᾳ", "ᾼ", "\u0345", "σ", "ς", "Σ", "й", "Й"),
    *("Ａ", "①", "⅓", "Ⅷ", "ﷺ", "㎢", "ﬀ\u030c", "𝔘", "ℌ", "\u00a0", "\u3000", "２", "٣", "९"),
    *("\0", "\ufffd", "\u200d", "\u200b", "\ufe0f", "\u00ad", "\u034f", "\u2800", "\U000e0041"),
    *("\u0301", "\u0323", "\u0344", "\u0f73", "\u3099", "\u0300" * 29, "\u0300" * 31, "\u0591"),
    *("\u1100", "\u1161", "\u11a8", "가", "각", "\u3131", "ﾡ", "ￂ", "ｶ", "ﾞ", "か", "が", "ー"),
    *("字", "漢", "豈", "\u2f00", "ไ", "ກ", "ក", "က", "ใจ", "हिन्दी", "عربي", "עברית", "😀", "👩‍👩"),
    *("\u09c7", "\u09be", "\u09d7", "\u0dd9", "\u0dcf", "\u0dca", "\u0ddd", "\U00011131\U00011127"),
    *("http://", "https://", "HTTP://x", "www.", "@b", "a" * 9, "AbCdEfGh", "abcdefghijklmnop"),
)

pieces = st.lists(st.sampled_from(PIECES), max_size=20).map("".join)
any_text = st.text(st.characters(codec="utf-8"), max_size=60)
texts = st.one_of(pieces, any_text, st.lists(st.one_of(pieces, any_text)).map("".join))


def seeded_texts(seed: int, count: int, longest: int = 24) -> Iterator[str]:
    """Yield texts of up to `longest` pieces, the same for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        yield "".join(rng.choices(PIECES, k=rng.randint(0, longest)))
