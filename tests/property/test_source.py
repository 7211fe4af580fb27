"""Every code point of a scalar's value is found in its source, whatever the style."""

from __future__ import annotations

import io

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import (
    DoubleQuotedScalarString,
    FoldedScalarString,
    LiteralScalarString,
    SingleQuotedScalarString,
)

from worker.policy.source import Document, Text

STYLES = [
    str, DoubleQuotedScalarString, SingleQuotedScalarString, LiteralScalarString, FoldedScalarString
]  # fmt: skip
words = st.text("ab'\"\\:#{}&|!é投𝒳>-", min_size=1, max_size=7)
values = st.lists(words, min_size=1, max_size=30).map(" ".join)
lines = st.lists(values, min_size=1, max_size=4).map("\n".join)


@settings(max_examples=300)
@given(value=st.one_of(values, lines), style=st.sampled_from(STYLES))
def test_characters_are_found_in_their_source(value: str, style: type[str]) -> None:
    text = _dumped(value, style)
    document = Document("b.yaml", text)
    rule = document.data["rules"]
    assert isinstance(rule, list)
    assume(rule[0]["when"] == value)  # the writer loses some backslashes where it folds
    for offset, char in enumerate(value):
        found = document.at_value(["rules", 0, "when"], "here", offset=offset)
        at = found.source_line[found.column - 1 : found.column]
        if not char.isspace():
            escaped = at == "\\" and style in (str, DoubleQuotedScalarString)
            assert at == char or escaped, (found.line, found.column, text)


def _dumped(value: str, style: type[str]) -> str:
    yaml = YAML()
    yaml.allow_unicode = True
    yaml.width = 40
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump({"name": "x", "rules": [{"id": "r", "when": style(value), "strikes": 1}]}, out)
    return out.getvalue()


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_and_columns_count_every_newline(newline: str) -> None:
    text = Text("f", newline.join(["ab", "", "cd"]))
    start = len("ab" + 2 * newline)
    places = [(text.at_index(i, "").line, text.at_index(i, "").column) for i in (0, 1, start + 1)]
    assert places == [(1, 1), (1, 2), (3, 2)]
    assert text.at_index(start + 2, "").source_line == "cd"


def test_windows_line_ends_in_a_document_point_right() -> None:
    document = Document("f", "name: x\r\nrules:\r\n  - when: >-\r\n      a\r\n      bcd\r\n")
    found = document.at_value(["rules", 0, "when"], "", offset=3)
    assert (found.line, found.column, found.source_line) == (5, 8, "      bcd")
