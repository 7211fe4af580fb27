"""Say what is wrong with a bundle, where, and what to change."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from worker.domain.errors import PolicyError


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """Point at one place of one file of a bundle; line and column are 1-based code points.

    Line 0 stands for the file as a whole (it is missing, or not UTF-8).
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    source_line: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        tail = f" ({self.hint})" if self.hint else ""
        return f"{place}: {self.message}{tail}"


class BundleRefused(PolicyError):
    """Refuse a bundle with every error that was found; nothing of it takes effect.

    `diagnostics` is never empty and is sorted by file, line and column. Rendering with source
    lines and carets is `worker.policy.render`; `str()` gives one plain line per error.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(set(diagnostics)))
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Find the known name that `word` most likely meant, or None if nothing is close."""
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def known_names(word: str, known: Iterable[str], what: str) -> str:
    """Write a hint for an unknown name: the nearest one, else the known ones (at most 12)."""
    names = sorted(known)
    if (close := nearest(word, names)) is not None:
        return f"did you mean `{close}`?"
    if not names:
        return f"there are no {what} here"
    shown = ", ".join(f"`{name}`" for name in names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"known {what}: {shown}{more}"
