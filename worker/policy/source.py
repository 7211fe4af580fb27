"""Read YAML keeping where every key and value stands, so that each error can point at its place.

`Document` is built by the loader and by nobody else; it reads no file itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from worker.policy.diagnostics import BundleRefused, Diagnostic

Path: TypeAlias = Sequence[str | int]
Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None

MAX_YAML_BYTES = 1 << 20  # bundle.yaml holds rules; long lists stand in files of their own
MAX_YAML_NODES = 100_000  # after aliases are followed, so that nested aliases cannot explode
MAX_YAML_DEPTH = 64  # the schema needs 6

_ESCAPE_DIGITS = {"x": 2, "u": 4, "U": 8}
_BANG_HINT = "quote a value that begins with `!`"
_CORE_TAG = "tag:yaml.org,2002:"


class Text:
    """Hold the text of one file and turn code point indexes into lines and columns."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._starts = _line_starts(text)

    def at_index(self, index: int, message: str, hint: str = "") -> Diagnostic:
        """Point at a code point of the text; one past the end is the end of the last line."""
        line = bisect_right(self._starts, index)
        return self.at_line(line, index - self._starts[line - 1] + 1, message, hint)

    def at_line(self, line: int, column: int, message: str, hint: str = "") -> Diagnostic:
        """Point at a 1-based line and column."""
        source = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Diagnostic(self.file, line, column, message, hint, source)


class Document(Text):
    """Hold one YAML document: plain data, and the place of every key and value.

    Raises:
        BundleRefused: The text is not one YAML mapping, repeats a key, uses a tag, or is too
            large or too deep.
    """

    def __init__(self, file: str, text: str) -> None:
        super().__init__(file, text)
        self._nodes = 0
        root = self._compose()
        self.root: Node = root
        self.data = self._mapping(root, 0)

    def at_value(
        self, path: Path, message: str, hint: str = "", offset: int | None = None
    ) -> Diagnostic:
        """Point at the value at `path`, or as near as the path goes.

        `offset` is a code point of the scalar's value, whatever its style (plain, quoted, block).
        """
        node = self._find(path)
        if isinstance(node, ScalarNode) and node.start_mark.index == node.end_mark.index:
            return self.at_key(path, message, hint)  # an empty value stands anywhere
        index = int(node.start_mark.index)
        if offset is not None and isinstance(node, ScalarNode):
            places = value_places(self.text[index : node.end_mark.index], str(node.value))
            index += places[offset] if offset < len(places) else places[-1] + 1
        return self.at_index(index, message, hint)

    def at_key(self, path: Path, message: str, hint: str = "") -> Diagnostic:
        """Point at the key of the value at `path`; at the value where it has no key."""
        parent = self._find(path[:-1])
        if path and isinstance(parent, MappingNode):
            for key, _ in parent.value:
                if key.value == path[-1]:
                    return self.at_index(key.start_mark.index, message, hint)
        return self.at_index(self._find(path).start_mark.index, message, hint)

    def _compose(self) -> MappingNode:
        try:
            root = YAML(typ="safe", pure=True).compose(self.text)
        except RecursionError:
            raise BundleRefused([self.at_line(1, 1, "this nests too deep")]) from None
        except MarkedYAMLError as error:
            raise BundleRefused([self._yaml_error(error)]) from None
        except YAMLError as error:
            index = int(getattr(error, "position", 0) or 0)
            what = "this character is not allowed in YAML"
            raise BundleRefused([self.at_index(index, what, "remove it")]) from None
        if not isinstance(root, MappingNode):
            hint = "begin with `name: my-bundle`"
            raise BundleRefused([self.at_line(1, 1, "a bundle is a mapping of keys", hint)])
        return root

    def _yaml_error(self, error: MarkedYAMLError) -> Diagnostic:
        mark = error.problem_mark or error.context_mark
        message = f"not valid YAML: {error.problem or error.context or 'cannot be read'}"
        hint = ""
        if error.context and error.context_mark is not None and error.context_mark is not mark:
            hint = f"{error.context} that began on line {error.context_mark.line + 1}"
        if error.problem == "found unexpected end of stream" and error.context_mark is not None:
            mark, message = error.context_mark, "not valid YAML: this quote never ends"
            hint = "close it, or check the quotes inside"
        if error.problem and "\\t" in error.problem:
            hint = "indent with spaces"
        if error.context == "while scanning an tag":
            hint = _BANG_HINT
        if error.problem and error.problem.startswith("mapping values are not allowed"):
            hint = "quote a value that holds `: `"
        return self.at_index(mark.index if mark is not None else 0, message, hint)

    def _refuse(self, node: Node, message: str, hint: str) -> BundleRefused:
        return BundleRefused([self.at_index(node.start_mark.index, message, hint)])

    def _plain(self, node: Node, depth: int) -> Plain:
        self._nodes += 1
        if depth > MAX_YAML_DEPTH or self._nodes > MAX_YAML_NODES:
            limit = (
                f"at most {MAX_YAML_DEPTH} levels and {MAX_YAML_NODES:,} values, aliases followed"
            )
            raise self._refuse(node, "this nests too deep or holds too much", limit)
        if isinstance(node, MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, SequenceNode):
            return [self._plain(child, depth + 1) for child in node.value]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, depth: int) -> dict[str, Plain]:
        self._check_tag(node)
        data: dict[str, Plain] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or key.tag != _CORE_TAG + "str":
                raise self._refuse(key, "a key must be text", "put it in quotes")
            if key.value in data:
                raise self._refuse(key, f"`{key.value}` is given twice", "keep one of the two")
            data[key.value] = self._plain(value, depth + 1)
        return data

    def _scalar(self, node: Node) -> Plain:
        self._check_tag(node)
        value = str(node.value)
        match str(node.tag).removeprefix(_CORE_TAG):
            case "null":
                return None
            case "bool":
                return value.lower() == "true"
            case "int":
                return self._number(node, value)
            case "float":
                return self._real(node, value)
            case _:
                return value

    def _number(self, node: Node, value: str) -> int:
        digits = value.replace("_", "")
        try:
            return int(digits) if digits.lstrip("+-").isdecimal() else int(digits, 0)
        except ValueError:
            raise self._refuse(node, f"`{value[:40]}` is not a number", "write digits") from None

    def _real(self, node: Node, value: str) -> float:
        try:
            return float(value.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            hint = "write digits with a point"
            raise self._refuse(node, f"`{value[:40]}` is not a number", hint) from None

    def _check_tag(self, node: Node) -> None:
        known = ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")
        tag = str(node.tag)
        if tag not in {_CORE_TAG + name for name in known}:
            raise self._refuse(node, f"tags such as `{tag}` are not used here", _BANG_HINT)

    def _find(self, path: Path) -> Node:
        node: Node = self.root
        for step in path:
            child = _child(node, step)
            if child is None:
                return node
            node = child
        return node


def value_places(raw: str, value: str) -> list[int]:
    """Say for each code point of a scalar's value where it stands in its source.

    Works for plain, quoted and block scalars alike: characters other than white space come in
    the same order in both, so the two are walked together; white space that folding made or
    took away maps to the white space at hand.
    """
    double = raw.startswith('"')
    at = raw.find("\n") + 1 if raw[:1] in ("|", ">") else int(raw[:1] in ("'", '"'))
    places: list[int] = []
    for char in value:
        while at < len(raw) - 1 and double and raw[at : at + 2] == "\\\n":
            at += 2  # an escaped line end, and the indentation after it
            while at < len(raw) - 1 and raw[at].isspace():
                at += 1
        while at < len(raw) - 1 and raw[at].isspace() and not char.isspace():
            at += 1
        at = min(at, len(raw) - 1)
        places.append(at)
        if double and raw[at] == "\\":
            at += 2 + _ESCAPE_DIGITS.get(raw[at + 1 : at + 2], 0)
        elif char == "'" and raw[:1] == "'":
            at += 2
        elif not char.isspace() or raw[at].isspace():
            at += 1
    return places or [0]


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        found: Iterable[Node] = (value for key, value in node.value if key.value == step)
        return next(iter(found), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: Node = node.value[step]
        return child
    return None


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for index, char in enumerate(text):
        if char == "\n" or (char == "\r" and text[index + 1 : index + 2] != "\n"):
            starts.append(index + 1)
    return starts
