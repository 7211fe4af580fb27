"""Read the Unicode Character Database files that folding needs into one plain model.

Formats: UAX #44. Nothing here is imported at run time; `generate` writes what the core and its
twin read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fastpath.unicode_data.reviewed import BARE_SCRIPTS

VERSION = "15.0.0"
CODE_POINTS = 0x110000
UNSPACED_SCRIPTS = frozenset({"Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"})
# ScriptExtensions.txt uses the four-letter names of ISO 15924.
UNSPACED_CODES = frozenset({"Hani", "Hira", "Kana", "Thai", "Laoo", "Khmr", "Mymr"})
# "LATIN SMALL LETTER B WITH HOOK", "LATIN LETTER SMALL CAPITAL TURNED R": a letter, and how it is
# drawn. The letters of phonetic and medieval writing that have names of their own are left out.
_LATIN_NAME = re.compile(
    r"LATIN (?:SMALL |CAPITAL )?LETTER (?:(?:SMALL CAPITAL|TURNED|REVERSED|SIDEWAYS|INSULAR|SCRIPT"
    r"|BARRED|BLACKLETTER|LENIS|STRETCHED|DOTLESS) )*([A-Z])(?: WITH .+)?"
)


@dataclass(slots=True)
class UnicodeModel:
    """Hold the properties of all code points that folding and matching read."""

    fold: dict[int, tuple[int, ...]] = field(default_factory=dict)  # NFKC_CF; () is removed
    decompose: dict[int, tuple[int, ...]] = field(default_factory=dict)  # canonical, one level
    excluded: set[int] = field(default_factory=set)  # Full_Composition_Exclusion
    combining: dict[int, int] = field(default_factory=dict)  # ccc, where not 0
    category: dict[int, str] = field(default_factory=dict)  # Cn is left out
    space: set[int] = field(default_factory=set)  # White_Space
    unspaced: set[int] = field(default_factory=set)  # scripts written without spaces
    bare: set[int] = field(default_factory=set)  # scripts whose marks can be taken off a letter
    latin: dict[int, str] = field(default_factory=dict)  # the letter a-z that its name says it is
    script: dict[int, str] = field(default_factory=dict)  # where a code point is of one alone


def read_model(folder: Path) -> UnicodeModel:
    """Read the files of one Unicode version; raise ValueError if they are of another one."""
    derived = folder / "DerivedNormalizationProps.txt"
    first = derived.read_text(encoding="utf-8").split("\n", 1)[0]
    if VERSION not in first:
        raise ValueError(f"{derived}: expected Unicode {VERSION}, the file begins {first!r}")
    model = UnicodeModel()
    _read_unicode_data(folder / "UnicodeData.txt", model)
    for start, stop, values in _fields(derived):
        if values[0] == "NFKC_CF":
            target = tuple(int(part, 16) for part in values[1].split())
            model.fold.update(dict.fromkeys(range(start, stop), target))
        elif values[0] == "Full_Composition_Exclusion":
            model.excluded.update(range(start, stop))
    for start, stop, values in _fields(folder / "PropList.txt"):
        if values[0] == "White_Space":
            model.space.update(range(start, stop))
    for start, stop, values in _fields(folder / "Scripts.txt"):
        if values[0] in UNSPACED_SCRIPTS:
            model.unspaced.update(range(start, stop))
        if values[0] in BARE_SCRIPTS:
            model.bare.update(range(start, stop))
        if values[0] not in ("Common", "Inherited"):
            model.script.update(dict.fromkeys(range(start, stop), values[0]))
    # The prolonged sound mark and its like are Common by script and kana by every extension.
    for start, stop, values in _fields(folder / "ScriptExtensions.txt"):
        if set(values[0].split()) <= UNSPACED_CODES:
            model.unspaced.update(range(start, stop))
        if " " in values[0]:
            for code_point in range(start, stop):
                model.script.pop(code_point, None)
    return model


def _fields(path: Path) -> Iterator[tuple[int, int, list[str]]]:
    """Yield (start, stop, values) of each line `XXXX[..YYYY] ; value [; value] # comment`."""
    for line in path.read_text(encoding="utf-8").splitlines():
        content = line.split("#", 1)[0].strip()
        if not content:
            continue
        span, *values = (part.strip() for part in content.split(";"))
        first, _, last = span.partition("..")
        yield int(first, 16), int(last or first, 16) + 1, values


def _read_unicode_data(path: Path, model: UnicodeModel) -> None:
    """Read categories, combining classes and canonical decompositions."""
    range_start = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        columns = line.split(";")
        code_point, name, category = int(columns[0], 16), columns[1], columns[2]
        if name.endswith(", First>"):
            range_start = code_point
            continue
        start = range_start if name.endswith(", Last>") else code_point
        model.category.update(dict.fromkeys(range(start, code_point + 1), category))
        if latin := _LATIN_NAME.fullmatch(name):
            model.latin[code_point] = latin[1].lower()
        if columns[3] != "0":
            model.combining[code_point] = int(columns[3])
        if columns[5] and not columns[5].startswith("<"):
            model.decompose[code_point] = tuple(int(part, 16) for part in columns[5].split())
