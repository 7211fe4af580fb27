"""Compile a field map into the tables that the compiled post reader walks.

A trie holds every key that the map reads, so that one pass over a document keeps what the map
asks for and checks the rest by grammar alone. Pointers and functions of the map become steps over
what was kept. What a map finds is the same as `FieldMap.apply` finds; tests compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from fastpath.errors import BuildError
from fastpath.field_maps import (
    LIST_TARGETS,
    MEDIUM_TARGETS,
    PRESETS,
    TARGETS,
    FieldMap,
    Source,
    build_field_map,
)
from fastpath.pointers import Pointer, Step
from fastpath.schema_functions import FUNCTIONS

OPS = ("create", "edit", "delete")
KINDS = ("", "where", *OPS, *FUNCTIONS)  # of sources, by their code
TARGET_CODES = {target: code for code, target in enumerate(TARGETS)}
SCORE_CODE = len(TARGETS)  # scores.<name>
MAX_NODES = 4_096  # paths that a map reads; each has a table of places
MAX_MEMBERS = 64  # read of one object: a word says which of them stood; more are slow
ALTERNATIVES = 8  # of one step
ARGUMENTS = 4  # of one function


@dataclass(slots=True)
class Node:
    """Stand for one path: the members read below it, the node of its elements, -1 without."""

    members: dict[str, int] = field(default_factory=dict)
    element: int = -1
    open: bool = False  # every member is read
    direct: int = -1  # the target that is this value and nothing else


class StepCode(NamedTuple):
    """Go down one level by ids of keys; selection compares with a text or with a pointer."""

    keys: tuple[int, ...]
    places: tuple[int, ...]  # of elements, for keys that are numbers; -1
    each: bool
    select: int = -1
    text: int = -1
    pointer: int = -1


class SourceCode(NamedTuple):
    """Ask for a value: a kind, its pointers; condition and inner source for `where` and ops."""

    kind: int
    pointers: tuple[int, ...]
    condition: int = -1
    text: int = -1  # what the condition compares with
    inner: int = -1


class TargetCode(NamedTuple):
    """Name a target, the sources asked in turn, and the score for scores.<name>."""

    code: int
    sources: tuple[int, ...]
    score: int = -1
    place: int = -1  # of the root's member without which nothing is found


@dataclass(slots=True)
class Program:
    """Hold the tables of one map; `strict` refuses to look past values of undue types."""

    strict: bool
    slow: bool = False  # reads an object both whole and by members, or too many: for slow_path
    json_text: int = -1  # id of the key whose string is the document
    nodes: list[Node] = field(default_factory=lambda: [Node()])
    keys: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    steps: list[StepCode] = field(default_factory=list)
    pointers: list[tuple[int, int]] = field(default_factory=list)  # first step, end
    sources: list[SourceCode] = field(default_factory=list)
    targets: list[TargetCode] = field(default_factory=list)  # the direct ones last
    asked: int = 0  # targets that are not direct


def compile_program(field_map: FieldMap | None) -> Program:
    """Compile a map, None for canonical posts; raise BuildError past the limits above."""
    strict = field_map is None
    used = build_field_map("generic", PRESETS["generic"]) if field_map is None else field_map
    program = Program(strict)
    if used.json_text_key is not None:
        program.json_text = _key(program, used.json_text_key)
        _member(program, 0, used.json_text_key)
    media_ends: list[int] = []
    for target, sources in used.sources.items():
        if target not in MEDIUM_TARGETS:
            _add_target(program, target, sources, [0], media_ends)
    for target in MEDIUM_TARGETS:
        _add_target(program, target, used.sources.get(target, ()), media_ends, [])
    _set_directly(program)
    program.slow = any(
        (held.open and (held.members or held.element >= 0)) or len(held.members) > MAX_MEMBERS
        for held in program.nodes
    )
    if len(program.nodes) > MAX_NODES:
        raise BuildError("paths of a field map", MAX_NODES, len(program.nodes))
    return program


def _add_target(
    program: Program, target: str, sources: tuple[Source, ...], starts: list[int], ends: list[int]
) -> None:
    for source in sources:
        for pointer in source.pointers():
            reached = _grow(program, starts, pointer)
            if target in LIST_TARGETS:  # a list that is found whole is read by its elements
                reached += [_element(program, node) for node in reached]
            if target == "media":
                ends += reached
            if target == "scores":
                for node in reached:
                    program.nodes[node].open = True
    codes = tuple(_source(program, source) for source in sources)
    if target.startswith("scores."):
        score = _text(program, target.removeprefix("scores."))
        program.targets.append(TargetCode(SCORE_CODE, codes, score))
    else:
        program.targets.append(TargetCode(TARGET_CODES[target], codes))


def _set_directly(program: Program) -> None:
    """Let targets of one plain pointer be set as soon as their value is met."""
    asked: list[TargetCode] = []
    direct: list[TargetCode] = []
    for target in program.targets:
        node = _only_node(program, target)
        if node >= 0 and program.nodes[node].direct < 0:
            program.nodes[node].direct = len(direct)
            direct.append(target)
        else:
            asked.append(target._replace(place=_root_place(program, target)))
    program.targets = asked + direct
    program.asked = len(asked)
    for held in program.nodes:
        held.direct += program.asked if held.direct >= 0 else 0


def _only_node(program: Program, target: TargetCode) -> int:
    """Return the node that a single value is read from, -1 where there is a choice."""
    name = "" if target.code == SCORE_CODE else TARGETS[target.code]
    if name in ("", "scores", *LIST_TARGETS, *MEDIUM_TARGETS) or len(target.sources) != 1:
        return -1
    source = program.sources[target.sources[0]]
    if KINDS[source.kind]:
        return -1
    node = 0
    for step in program.steps[slice(*program.pointers[source.pointers[0]])]:
        if step.each or step.places != (-1,):
            return -1
        node = program.nodes[node].members[list(program.keys)[step.keys[0]]]
    return node


def _root_place(program: Program, target: TargetCode) -> int:
    """Return the place of the member that every pointer of the target begins with, -1 if none."""
    sources = [program.sources[source] for source in target.sources]
    firsts = {
        program.steps[program.pointers[pointer][0]].keys
        for source in sources
        for pointer in source.pointers
    }
    if any(source.condition >= 0 for source in sources) or len(firsts) != 1:
        return -1
    keys = firsts.pop()
    name = list(program.keys)[keys[0]]
    if len(keys) > 1 or name not in program.nodes[0].members:
        return -1  # sources of media.* start elsewhere
    return list(program.nodes[0].members).index(name)


def _grow(program: Program, starts: list[int], pointer: Pointer) -> list[int]:
    """Make the nodes of a pointer and return those that it ends at."""
    ends = starts
    for step in pointer.steps:
        reached = [node for end in ends for key in step.keys for node in _below(program, end, key)]
        if step.each:
            reached = [_element(program, node) for node in reached]
        if step.select:
            for node in reached:
                _member(program, node, step.select)
        if isinstance(step.equals, Pointer):
            _grow(program, [0], step.equals)
        ends = list(dict.fromkeys(reached))
    return ends


def _below(program: Program, node: int, key: str) -> list[int]:
    member = _member(program, node, key)
    return [member] if _place(key) < 0 else [member, _element(program, node)]


def _member(program: Program, node: int, key: str) -> int:
    members = program.nodes[node].members
    if key not in members:
        _key(program, key)
        members[key] = len(program.nodes)
        program.nodes.append(Node())
    return members[key]


def _element(program: Program, node: int) -> int:
    if program.nodes[node].element < 0:
        program.nodes[node].element = len(program.nodes)
        program.nodes.append(Node())
    return program.nodes[node].element


def _place(key: str) -> int:
    return int(key) if key.isascii() and key.isdigit() and len(key) < 6 else -1


def _key(program: Program, key: str) -> int:
    return program.keys.setdefault(key, len(program.keys))


def _text(program: Program, text: str) -> int:
    return program.texts.setdefault(text, len(program.texts))


def _pointer(program: Program, pointer: Pointer) -> int:
    codes = [_step(program, step) for step in pointer.steps]
    first = len(program.steps)
    program.steps += codes
    program.pointers.append((first, len(program.steps)))
    return len(program.pointers) - 1


def _step(program: Program, step: Step) -> StepCode:
    if len(step.keys) > ALTERNATIVES:
        raise BuildError("alternatives of a field map pointer", ALTERNATIVES, len(step.keys))
    keys = tuple(_key(program, key) for key in step.keys)
    places = tuple(_place(key) for key in step.keys)
    if not step.select:
        return StepCode(keys, places, step.each)
    select = _key(program, step.select)
    if isinstance(step.equals, Pointer):
        pointer = _pointer(program, step.equals)
        return StepCode(keys, places, step.each, select, pointer=pointer)
    return StepCode(keys, places, step.each, select, text=_text(program, step.equals))


def _source(program: Program, source: Source) -> int:
    kind = KINDS.index(source.name)
    if source.function is not None or not source.name:
        pointers = [_pointer(program, a.pointer) for a in source.arguments if a.pointer is not None]
        code = SourceCode(kind, tuple(pointers))
    else:
        first = source.arguments[0]
        condition = _argument(program, source, 0)
        text = -1 if first.equals is None else _text(program, first.equals)
        inner = _argument(program, source, 1) if source.name == "where" else -1
        code = SourceCode(kind, (), condition, text, inner)
    program.sources.append(code)
    return len(program.sources) - 1


def _argument(program: Program, source: Source, place: int) -> int:
    """Make a source of one argument of `where` or of an operation."""
    argument = source.arguments[place]
    if argument.call is not None:
        return _source(program, argument.call)
    pointers = () if argument.pointer is None else (_pointer(program, argument.pointer),)
    program.sources.append(SourceCode(0, pointers))
    return len(program.sources) - 1
