"""Turn what the CEL checker says into messages for people, with places and hints."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import NamedTuple

from worker.policy.diagnostics import known_names, nearest

_ERROR = re.compile(
    r"ERROR: <input>:(\d+):(\d+): (.*?)(?=\n \| |\nERROR: |\s*\[INVALID_ARGUMENT\]|\Z)", re.DOTALL
)
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '(.*)'$")
_EXPECTING = re.compile(r"\s+expecting \{?.*", re.DOTALL)
_FUNCTIONS = (
    *("size", "has", "exists", "all", "exists_one", "filter", "map"),
    *("contains", "startsWith", "endsWith", "matches", "int", "double", "string"),
)

MAX_SHOWN = 3  # errors of one condition; the rest follow from the first


class ConditionError(NamedTuple):
    """Say what is wrong at code point `at` of a condition."""

    at: int
    message: str
    hint: str


def read_errors(text: str, source: str, names: Collection[str]) -> list[ConditionError]:
    """Read the checker's message; `names` are the variables that the condition may use."""
    found: list[ConditionError] = []
    for line, column, message in _ERROR.findall(text):
        error = _read(_index(source, int(line), int(column)), message.strip(), source, names)
        if error.at not in {each.at for each in found}:
            found.append(error)
        if message.startswith("Syntax error"):
            break  # what follows is the parser trying to find its way back
    if not found and "recursion limit" in text:
        hint = "use fewer parentheses, or make two rules"
        return [ConditionError(0, "the condition nests too deep", hint)]
    if not found:
        return [ConditionError(0, f"not valid CEL: {_first_line(text)}", "")]
    return found[:MAX_SHOWN]


def _read(at: int, message: str, source: str, names: Collection[str]) -> ConditionError:
    if undeclared := _UNDECLARED.search(message):
        return _undeclared(at, undeclared[1], source, names)
    if overload := _OVERLOAD.search(message):
        return _overload(at, overload[1], overload[2], source)
    if message.startswith("Syntax error: "):
        return _syntax(at, message.removeprefix("Syntax error: "), source)
    return ConditionError(at, _first_line(message), "")


def _undeclared(at: int, name: str, source: str, names: Collection[str]) -> ConditionError:
    if source[at : at + 1] == "(":
        start = max(0, at - len(name))
        hint = known_names(name, _FUNCTIONS, "functions")
        if name in _FUNCTIONS:
            hint = f"`{name}` is used with the wrong number of arguments"
        return ConditionError(start, f"unknown function `{name}`", hint)
    start = at - len(name.rpartition(".")[0])
    if source[start : start + len(name)] != name:
        start = at
    return ConditionError(start, f"unknown name `{name}`", _name_hint(name, names))


def _name_hint(name: str, names: Collection[str]) -> str:
    below = sorted(known for known in names if known.startswith(name + "."))
    if below:
        return "write " + " or ".join(f"`{known}`" for known in below[:3])
    head, _, rest = name.partition(".")
    family = [known for known in names if known.startswith(head + ".")]
    if head == "matches":
        lists = {known.split(".")[1] for known in family}
        given, _, tail = rest.partition(".")
        close = nearest(given, lists)
        if given in lists or close is not None:
            end = nearest(tail, ("any", "count")) or "any"
            return f"did you mean `matches.{given if given in lists else close}.{end}`?"
        return known_names(given, lists, "lists")
    if rest and family:
        close = nearest(rest, {known.partition(".")[2] for known in family})
        if close is not None:
            return f"did you mean `{head}.{close}`?"
    return known_names(name, family or names, "names")


_HINTS: dict[tuple[str, str], Callable[[str], str]] = {
    ("int", "double"): lambda _: "compare it with a whole number, without a point",
    ("double", "int"): lambda _: "write the number with a point, as in 1.0",
    ("int", "uint"): lambda _: "write the number without u",
    ("int", "string"): lambda _: "write the number without quotes",
    ("string", "int"): lambda _: "put the value in quotes",
    ("bool", "int"): lambda _: "it is true or false already; `.count` is the number",
}

_COMPARISONS = ("_==_", "_!=_", "_<_", "_<=_", "_>=_", "_>_")


def _overload(at: int, function: str, types: str, source: str) -> ConditionError:
    given = tuple(part.strip() for part in types.strip("()").split(", "))
    shown = function.strip("_")
    what = " and ".join(f"`{part}`" for part in given)
    known = _HINTS.get((given[0], given[-1])) or _HINTS.get((given[-1], given[0]))
    hint = known(shown) if known is not None and function in _COMPARISONS else ""
    if function == "!_" or (function in ("_&&_", "_||_")):
        hint = "each side must be true or false; compare it, as in `windows.posts_1m > 30`"
    start = at
    if function.isidentifier() and not function.startswith("_") and source[at : at + 1] == "(":
        start = max(0, at - len(function))
    return ConditionError(start, f"`{shown}` does not take {what}", hint)


def _syntax(at: int, message: str, source: str) -> ConditionError:
    message = _EXPECTING.sub("", message)
    if "<EOF>" in message:
        return ConditionError(len(source), "the condition ends too early", "complete or remove it")
    word = re.search(r"(?:input|at:) '(.*)'", message, re.DOTALL)
    seen = word[1].strip(" '") if word else ""
    if seen in ("=", "and", "or", "not", "&", "|") or source[at : at + 1] in ("=", "&", "|"):
        return ConditionError(at, f"not valid CEL at `{seen or source[at]}`", _operator_hint(seen))
    shown = f" at `{seen}`" if seen else f": {_first_line(message)}"
    return ConditionError(at, f"not valid CEL{shown}", "")


def _operator_hint(seen: str) -> str:
    words = {"and": "&&", "or": "||", "not": "!", "=": "==", "&": "&&", "|": "||"}
    return f"write {words[seen]}" if seen in words else "CEL writes ==, &&, || and !"


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0].removesuffix("[INVALID_ARGUMENT]").strip() if text else ""


def _index(source: str, line: int, column: int) -> int:
    """Turn a 1-based line and column of the condition into a code point of it."""
    lines = source.split("\n")
    before = sum(len(each) + 1 for each in lines[: line - 1])
    return min(len(source), before + max(0, column - 1))
