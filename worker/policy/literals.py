"""Find literals that stand in every match of a regular expression (syntax of RE2).

The core looks for them among the keywords, so that an expression runs on posts that hold one. The
reader trusts that RE2 took the expression; whatever it does not understand could be anything, and
so adds no literal. After Cox, "Regular Expression Matching with a Trigram Index" (2012).
"""

from __future__ import annotations

import re
from typing import NamedTuple

MIN_LITERAL_BYTES = 3  # a shorter one stands in too many posts
MAX_LITERALS = 64  # of one expression; more say that they gate nothing

_COUNTS = re.compile(r"\{(\d+)(,)?(\d*)\}")
_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]*))?([:)])")
_NAMED = re.compile(r"\(\?P?<\w+>")
_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_HEX = re.compile(r"\\x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))")


class _Part(NamedTuple):
    """Hold what is known of a piece: all that it matches, or literals of which one is in it."""

    exact: str | None
    needed: frozenset[str] | None

    def best(self) -> frozenset[str] | None:
        """Return literals of which one stands in each match, None where none must."""
        return frozenset([self.exact]) if self.exact else self.needed


_EMPTY = _Part("", None)
_ANYTHING = _Part(None, None)


def required_literals(source: str, *, folded: bool) -> tuple[str, ...]:
    """Return literals of which one stands in every match, in order; empty where none must.

    `folded`: the text is folded, so that a letter whose case is ignored is lower-case; elsewhere
    it could be any of several.
    """
    found = _Reader(source, folded).alternatives().best()
    if found is None or len(found) > MAX_LITERALS or _weight(found) < MIN_LITERAL_BYTES:
        return ()
    return tuple(sorted(found))


def _weight(literals: frozenset[str] | None) -> int:
    return min((len(each.encode()) for each in literals), default=0) if literals else 0


def _joined(parts: list[_Part]) -> _Part:
    """Put pieces one behind the other: exact neighbours grow, of the others the best is kept."""
    best: frozenset[str] | None = None
    run = ""
    whole = True
    for part in parts:
        if part.exact is not None:
            run += part.exact
            continue
        whole = False
        best = max(best, frozenset([run]), part.needed, key=_weight)
        run = ""
    if whole:
        return _Part(run, None)
    best = max(best, frozenset([run]), key=_weight)
    return _Part(None, best if _weight(best) else None)


class _Reader:
    """Read an expression from left to right."""

    def __init__(self, source: str, folded: bool) -> None:
        self._source = source
        self._folded = folded
        self._at = 0
        self._folds = False  # inside (?i)

    def alternatives(self) -> _Part:
        """Read up to the end of a group."""
        folds = self._folds
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        self._folds = folds
        if len(parts) == 1:
            return parts[0]
        needed: set[str] = set()
        for part in parts:
            best = part.best()
            if best is None:
                return _ANYTHING
            needed |= best
        return _Part(None, frozenset(needed))

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self._at < len(self._source) and self._source[self._at] not in "|)":
            parts.append(self._repeated(self._piece()))
        return _joined(parts)

    def _repeated(self, part: _Part) -> _Part:
        while self._at < len(self._source):
            counts = _COUNTS.match(self._source, self._at)
            mark = self._source[self._at]
            if counts is None and mark not in "*+?":
                break
            self._at = counts.end() if counts else self._at + 1
            least = int(counts[1]) if counts else int(mark == "+")
            if least == 0:
                part = _ANYTHING
            elif counts is None or least > 1 or counts[2] is not None:
                part = _Part(None, part.best())
            # `{1}` changes nothing; a `?` behind a repetition only asks for less of it.
            self._take("?")
        return part

    def _piece(self) -> _Part:
        character = self._source[self._at]
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        self._at += 1
        if character == ".":
            return _ANYTHING
        return _EMPTY if character in "^$" else self._literal(character)

    def _group(self) -> _Part:
        flags = _FLAGS.match(self._source, self._at)
        named = _NAMED.match(self._source, self._at)
        folds = self._folds
        if flags is not None:
            if "i" in flags[1]:
                self._folds = True
            if "i" in (flags[2] or ""):
                self._folds = False
            self._at = flags.end()
            if flags[3] == ")":
                return _EMPTY  # from here to the end of the group around
        elif named is not None:
            self._at = named.end()
        else:
            self._at += 1
        part = self.alternatives()
        self._folds = folds
        self._take(")")
        return part

    def _class(self) -> _Part:
        at = self._at + 1
        if self._source.startswith("^", at):
            at += 1
        first = at
        while self._source[at] != "]" or at == first:
            if self._source.startswith("[:", at):
                at = self._source.index(":]", at) + 2
            else:
                at += 2 if self._source[at] == "\\" else 1
        self._at = at + 1
        return _ANYTHING

    def _escape(self) -> _Part:
        character = self._source[self._at + 1]
        if character == "Q":
            end = self._source.find("\\E", self._at)
            end = len(self._source) if end < 0 else end
            text = self._source[self._at + 2 : end]
            self._at = min(end + 2, len(self._source))
            return _joined([self._literal(each) for each in text])
        if (digits := _HEX.match(self._source, self._at)) is not None:
            self._at = digits.end()
            return self._literal(chr(int(digits[1] or digits[2], 16)))
        self._at += 2
        if character in "pP":
            if self._source.startswith("{", self._at):
                self._at = self._source.index("}", self._at)
            self._at += 1
            return _ANYTHING
        if character in "bBAz":
            return _EMPTY
        if character in _CONTROL:
            return self._literal(_CONTROL[character])
        return _ANYTHING if character.isalnum() else self._literal(character)

    def _literal(self, character: str) -> _Part:
        if self._folds and character.lower() != character.upper():
            known = self._folded and character.isascii()
            return _Part(character.lower(), None) if known else _ANYTHING
        return _Part(character, None)

    def _take(self, mark: str) -> bool:
        taken = self._source.startswith(mark, self._at)
        self._at += taken
        return taken
