"""Render diagnostics, gates and lists of them as plain text for terminals and logs."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from fastpath.spec import Atom, Gate
from worker.policy.diagnostics import Diagnostic

# A longer source line is cut around the caret, so that a minified file still reads well.
SOURCE_COLUMNS = 120


def render_diagnostic(diagnostic: Diagnostic, severity: str = "error") -> str:
    """Write one diagnostic: place, message, source line with a caret under it, hint."""
    message, hint = _plain(diagnostic.message), _plain(diagnostic.hint)
    if not diagnostic.line:
        head = f"{diagnostic.file}: {severity}: {message}"
        return head + (f"\n  hint: {hint}" if hint else "")
    place = f"{diagnostic.file}:{diagnostic.line}:{diagnostic.column}"
    lines = [f"{place}: {severity}: {message}"]
    number = str(diagnostic.line)
    gutter = " " * len(number)
    if diagnostic.source_line.strip():
        source, caret = _window(diagnostic.source_line, diagnostic.column - 1)
        lines += [f" {number} | {source}", f" {gutter} | {caret}^"]
    if hint:
        lines.append(f" {gutter} = hint: {hint}")
    return "\n".join(lines)


def render_diagnostics(diagnostics: Iterable[Diagnostic], severity: str = "error") -> str:
    """Write diagnostics one after the other, a blank line between them."""
    return "\n\n".join(render_diagnostic(each, severity) for each in diagnostics)


def render_gate(gate: Gate) -> str:
    """Write a gate as a condition over columns; `true` is a gate that lets every post pass."""
    if gate.kind == "atom":
        if gate.atom is None:
            raise ValueError("gate of kind 'atom' without an atom")
        return _render_atom(gate.atom)
    if not gate.parts:
        return "true" if gate.kind == "and" else "false"
    inner = "or" if gate.kind == "and" else "and"
    parts = [
        f"({render_gate(part)})" if part.kind == inner and part.parts else render_gate(part)
        for part in gate.parts
    ]
    return f" {gate.kind} ".join(parts)


def _render_atom(atom: Atom) -> str:
    column = f"{atom.column}[{atom.name}]" if atom.name else atom.column
    constant = f'"{atom.constant}"' if isinstance(atom.constant, str) else str(atom.constant)
    return f"{column} {atom.op} {constant}"


def _window(line: str, at: int) -> tuple[str, str]:
    """Cut a source line around code point `at`; give it and the padding of the caret.

    Control characters (a terminal would obey them) and tabs become visible single cells.
    """
    start = 0 if len(line) <= SOURCE_COLUMNS else max(0, at - SOURCE_COLUMNS // 2)
    shown = line[start : start + SOURCE_COLUMNS]
    before = "…" if start else ""
    after = "…" if start + SOURCE_COLUMNS < len(line) else ""
    cells = [_visible(char) for char in shown]
    padding = len(before) + sum(_cells(char) for char in cells[: at - start])
    return before + "".join(cells) + after, " " * padding


def _plain(text: str) -> str:
    return "".join(map(_visible, text))


def _visible(char: str) -> str:
    if char == "\t":
        return " "
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in ("Cc", "Cf", "Cs") else char


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
