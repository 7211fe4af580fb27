"""Define what a text does to be read by people and not by programs, as counts.

Words are runs of letters, marks, numbers, connectors and hidden characters; scripts in which a
word of another script follows without a space (kana, Han, Thai, Lao, Khmer, Myanmar, Hangul,
Bopomofo, Yi) end them.
"""

from __future__ import annotations

from fastpath.columns import Evasion
from fastpath.reference.text import CONNECTORS, FOLDS, MARKS, NUMBERS, members
from fastpath.spec import MIXED_WORD_LETTERS
from fastpath.unicode_data.script_tables import SCRIPTS

# Alphabets whose letters neither join nor stack, so that no joiner or selector does a thing.
BARE_ALPHABETS = frozenset({"Latin", "Greek", "Cyrillic", "Armenian", "Georgian"})
OVERRIDES = frozenset({0x202D, 0x202E})  # LRO, RLO
SOFT_HYPHEN = 0xAD
HIDDEN = frozenset(cp for cp, target in FOLDS.items() if not target) - OVERRIDES - {SOFT_HYPHEN}
PASSED = MARKS | OVERRIDES | {SOFT_HYPHEN}  # no neighbours of a hidden character
WITHIN = PASSED | NUMBERS | CONNECTORS | HIDDEN  # stand in a word without being letters
SCRIPT = {
    code_point: script
    for word in SCRIPTS.split()
    for span, _, script in [word.partition(":")]
    for code_point in members(span)
}


def measure(text: str) -> Evasion:
    """Count words of mixed script, hidden characters inside words, and turned directions."""
    code_points = [ord(character) for character in text]
    return Evasion(
        mixed_words=sum(_is_mixed(word) for word in _words(code_points)),
        hidden_characters=_hidden(code_points),
        direction_overrides=sum(code_point in OVERRIDES for code_point in code_points),
    )


def _words(code_points: list[int]) -> list[list[int]]:
    """Return the words, each as its letters alone."""
    words: list[list[int]] = [[]]
    for code_point in code_points:
        if code_point in SCRIPT:
            words[-1].append(code_point)
        elif code_point not in WITHIN:
            words.append([])
    return words


def _is_mixed(letters: list[int]) -> bool:
    """Say whether letters of two scripts stand in one word; a unit such as kΩ is none."""
    scripts = {SCRIPT[letter] for letter in letters} - {"shared"}
    return len(scripts) > 1 and len(letters) >= MIXED_WORD_LETTERS


def _hidden(code_points: list[int]) -> int:
    """Count hidden characters between two letters or digits whose writing needs none."""
    found, waiting, bare = 0, 0, False
    for code_point in code_points:
        if code_point in HIDDEN:
            waiting += bare
        elif code_point not in PASSED:
            is_digit = 0x30 <= code_point <= 0x39
            bare, before = SCRIPT.get(code_point) in BARE_ALPHABETS or is_digit, bare
            found += waiting if bare and before else 0
            waiting = 0
    return found
