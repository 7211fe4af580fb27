"""Lay out what the measures of evasion know of a code point: one 16-bit trie entry.

Entry of a code point:
    bits 0-7    letters: number of the script; 0 for letters that several scripts share
    bit  8      letter of a script that parts words
    bit  9      belongs to a word without being such a letter: marks, numbers, connectors
    bit  10     letter or digit in whose writing nothing hidden is needed
    bit  11     hidden: Default_Ignorable, but for the soft hyphen and for bit 12
    bit  12     turns the direction of letters round
    bit  13     is passed over when neighbours are looked for: marks, soft hyphen
"""

from __future__ import annotations

from fastpath.unicode_data.sources import CODE_POINTS, UnicodeModel
from fastpath.unicode_data.trie import pack

LETTER, WITHIN, BARE, HIDDEN, OVERRIDE, PASSED = (1 << bit for bit in range(8, 14))
SOFT_HYPHEN = 0xAD  # stands inside long words of honest text
OVERRIDES = (0x202D, 0x202E)  # LRO, RLO: embeddings and isolates leave letters in their order
# Scripts beside those without spaces in which a word of another script follows without one.
JOINED_SCRIPTS = frozenset({"Hangul", "Bopomofo", "Yi"})
# Alphabets whose letters neither join nor stack, so that no joiner or selector does a thing.
BARE_ALPHABETS = frozenset({"Latin", "Greek", "Cyrillic", "Armenian", "Georgian"})


def numbered_scripts(model: UnicodeModel) -> dict[str, int]:
    """Number the scripts that letters of parted words are written in, from 1."""
    names = sorted({model.script[cp] for cp in model.category if is_letter(model, cp) == 1})
    return {name: number for number, name in enumerate(names, 1)}


def is_letter(model: UnicodeModel, code_point: int) -> int:
    """Return 1 for letters of a script that parts words, 2 for letters that several share."""
    if not model.category.get(code_point, "Cn").startswith("L") or code_point in model.unspaced:
        return 0
    script = model.script.get(code_point)
    if script is None:
        return 2
    return 0 if script in JOINED_SCRIPTS else 1


def build_script_tables(model: UnicodeModel) -> tuple[int, list[int], list[int]]:
    """Lay out the table; return code points per block as a power of two, blocks, entries."""
    numbers = numbered_scripts(model)
    entries = [_entry(model, numbers, code_point) for code_point in range(CODE_POINTS)]
    return min((pack(entries, shift) for shift in range(4, 10)), key=_bytes)


def _bytes(packing: tuple[int, list[int], list[int]]) -> int:
    return len(packing[1]) + len(packing[2])


def _entry(model: UnicodeModel, numbers: dict[str, int], code_point: int) -> int:
    if code_point in OVERRIDES:
        return OVERRIDE
    if code_point == SOFT_HYPHEN:
        return WITHIN | PASSED
    if model.fold.get(code_point) == ():
        return HIDDEN
    if is_letter(model, code_point):
        script = model.script.get(code_point, "")
        return LETTER | numbers.get(script, 0) | (BARE if script in BARE_ALPHABETS else 0)
    category = model.category.get(code_point, "Cn")
    if category[0] == "M":
        return WITHIN | PASSED
    within = WITHIN if category[0] == "N" or category == "Pc" else 0
    return within | (BARE if 0x30 <= code_point <= 0x39 else 0)
