"""A caret stands under the right cell, and a terminal obeys nothing that a file says."""

from __future__ import annotations

import pytest

from fastpath.spec import Atom, Gate
from worker.policy.diagnostics import Diagnostic, known_names
from worker.policy.render import SOURCE_COLUMNS, render_diagnostic, render_gate


def caret_cell(source: str, column: int) -> str:
    text = render_diagnostic(Diagnostic("f", 7, column, "m", "", source))
    _, shown, caret = text.split("\n")
    return shown[caret.index("^")] if caret.index("^") < len(shown) else ""


@pytest.mark.parametrize(
    ("source", "column"),
    [("abXd", 3), ("a\tX", 3), ("X", 1), ("e\u0301X".replace("e\u0301", "é"), 2)],
)
def test_the_caret_stands_under_the_column(source: str, column: int) -> None:
    assert caret_cell(source, column) == "X"


def test_wide_characters_take_two_cells() -> None:
    lines = render_diagnostic(Diagnostic("f", 7, 3, "m", "", "投稿X")).split("\n")
    assert lines[2].index("^") - lines[1].index("投") == 4


def test_a_long_line_is_cut_around_the_caret() -> None:
    source = "a" * 5_000 + "X" + "b" * 5_000
    lines = render_diagnostic(Diagnostic("f", 1, 5_001, "m", "", source)).split("\n")
    assert lines[1][lines[2].index("^")] == "X"
    assert len(lines[1]) <= SOURCE_COLUMNS + 10
    assert lines[1].count("…") == 2


def test_control_characters_do_not_reach_the_terminal() -> None:
    source = "\x1b[31mred\x07\u202e\u200b"
    text = render_diagnostic(Diagnostic("f", 1, 1, f"unknown `{source}`", source, source))
    assert not set(text) & {"\x1b", "\x07", "\u202e", "\u200b"}
    assert "red" in text


def test_a_file_as_a_whole_has_no_caret() -> None:
    text = render_diagnostic(Diagnostic("f", 0, 0, "there is no file", "make one"), "warning")
    assert text == "f: warning: there is no file\n  hint: make one"


def test_gates_read_as_conditions() -> None:
    flag, score = Atom("flag", "late", "==", 1), Atom("score", "tox", ">", 0.5)
    lang = Atom("lang", "", "==", "en")
    parts = tuple(Gate("atom", atom) for atom in (flag, score, lang))
    either = Gate("or", parts=parts[1:])
    assert render_gate(Gate("and", parts=(parts[0], either))) == (
        'flag[late] == 1 and (score[tox] > 0.5 or lang == "en")'
    )
    assert (render_gate(Gate("and")), render_gate(Gate("or"))) == ("true", "false")


def test_hints_name_what_is_near_or_what_there_is() -> None:
    assert known_names("polcies", ["policies", "lists"], "keys") == "did you mean `policies`?"
    assert known_names("zzz", ["b", "a"], "keys") == "known keys: `a`, `b`"
    assert known_names("zzz", [], "lists") == "there are no lists here"
    assert known_names("zzz", [f"n{i:02}" for i in range(15)], "lists").endswith("and 3 more")
