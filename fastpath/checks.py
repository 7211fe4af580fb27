"""Check a screen's specification before either backend builds from it, and name its counters."""

from __future__ import annotations

from collections.abc import Iterable

from fastpath.distances import MAX_PDQ_RADIUS, MAX_SIMHASH_RADIUS
from fastpath.errors import BuildError
from fastpath.spec import (
    FLAGS,
    MIN_OVER_MS,
    REJECT_REASONS,
    SLOW_CAUSES,
    TICKS,
    Atom,
    Gate,
    ScreenSpec,
)

MAX_GATE_DEPTH = 64  # nesting of one gate; a rule written by people stays below ten
MAX_GATES = 4_096  # rules `on: post` of one bundle
MAX_WINDOWS = 64  # account windows; each costs 64 bytes per account
MAX_OVER_MS = 366 * 86_400_000  # one year; origin times stay far from overflow
MAX_SIGHTING_PARTITIONS = 65_536
_NUMBERS = (
    "age_days",
    "followers",
    "revision",
    "text_length",
    "mixed_words",
    "hidden_characters",
    "direction_overrides",
    "url_count",
    "hashtag_count",
    "media_count",
)


def check_spec(spec: ScreenSpec) -> None:
    """Raise BuildError for the first thing that cannot be built, naming limit and value."""
    if not 1 <= len(spec.deployment_key) <= 64:
        raise BuildError("deployment key bytes", "1 to 64", len(spec.deployment_key))
    if len(spec.bundle_digest) != 32:
        raise BuildError("bundle digest bytes", 32, len(spec.bundle_digest))
    if len(spec.topic.encode()) > 65_535:
        raise BuildError("topic bytes", 65_535, len(spec.topic.encode()))
    if not 1 <= spec.sighting_partitions <= MAX_SIGHTING_PARTITIONS:
        raise BuildError(
            "sighting partitions", f"1 to {MAX_SIGHTING_PARTITIONS}", spec.sighting_partitions
        )
    if not 1 <= spec.max_window_keys < 2**31:
        raise BuildError("window keys", f"1 to {2**31 - 1}", spec.max_window_keys)
    _check_names("list", _list_names(spec))
    _check_radii(spec)
    _check_windows(spec)
    _check_gates(spec)


def _check_names(kind: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BuildError(f"{kind} name", "each once", repr(twice))


def _list_names(spec: ScreenSpec) -> list[str]:
    keyword = [held.name for held in spec.keyword_lists]
    return keyword + [held.name for held in spec.hash_lists]


def _check_radii(spec: ScreenSpec) -> None:
    greatest = {"simhash": MAX_SIMHASH_RADIUS, "pdq": MAX_PDQ_RADIUS}
    for held in spec.hash_lists:
        limit = greatest.get(held.kind, 0)
        if not 0 <= held.radius <= limit:
            raise BuildError(f"{held.kind} radius", f"0 to {limit}", held.radius, held.name)


def _check_windows(spec: ScreenSpec) -> None:
    _check_names("window", [window.name for window in spec.windows])
    if len(spec.windows) > MAX_WINDOWS:
        raise BuildError("account windows", MAX_WINDOWS, len(spec.windows))
    for window in spec.windows:
        if window.over_ms % TICKS or not MIN_OVER_MS <= window.over_ms <= MAX_OVER_MS:
            raise BuildError(
                "window length",
                f"a multiple of {TICKS} ms from {MIN_OVER_MS} to {MAX_OVER_MS} ms",
                window.over_ms,
                window.name,
            )


def _check_gates(spec: ScreenSpec) -> None:
    if len(spec.gates) > MAX_GATES:
        raise BuildError("gates", MAX_GATES, len(spec.gates))
    lists = set(_list_names(spec))
    hash_lists = {held.name for held in spec.hash_lists}
    windows = {window.name for window in spec.windows}
    for gate in spec.gates:
        for atom in _atoms(gate, 0):
            _check_atom(atom, lists, hash_lists, windows)


def _atoms(gate: Gate, depth: int) -> Iterable[Atom]:
    if depth > MAX_GATE_DEPTH:
        raise BuildError("gate depth", MAX_GATE_DEPTH, depth)
    if gate.kind == "atom":
        if gate.atom is None:
            raise BuildError("gate", "an atom where kind is atom", None)
        yield gate.atom
    for part in gate.parts:
        yield from _atoms(part, depth + 1)


def _check_atom(atom: Atom, lists: set[str], hash_lists: set[str], windows: set[str]) -> None:
    columns = {"match": lists, "distance": hash_lists, "window": windows, "flag": set(FLAGS)}
    known = columns.get(atom.column)
    if known is not None and atom.name not in known:
        raise BuildError(f"atom {atom.column}", ", ".join(sorted(known)), repr(atom.name))
    if atom.column in ("lang", "op"):
        if not isinstance(atom.constant, str) or atom.op not in ("==", "!="):
            raise BuildError(f"atom {atom.column}", "== or != and a string", repr(atom.constant))
    elif atom.column in (*_NUMBERS, "score") or known is not None:
        constant = atom.constant
        if isinstance(constant, str) or constant != constant:
            raise BuildError(f"atom {atom.column}", "a number", repr(constant))
        if isinstance(constant, int) and not -(2**63) <= constant < 2**63:
            raise BuildError(f"atom {atom.column}", "an integer of 64 bits", constant)
    else:
        raise BuildError("atom column", "one of AtomColumn", repr(atom.column))


def counter_names(spec: ScreenSpec) -> list[str]:
    """Return the names of a screen's counters, the same for both backends.

    records = posts + deletes + rejects; match.<list> and hit.<list> count posts, not rows; late
    equals flag.late. slow_posts and slow.<cause> count what left the fast path: the twin, which
    judges every post so, leaves them 0.
    """
    return [
        *("records", "posts", "deletes", "rejects", "slow_posts", "flagged", "sightings", "late"),
        *(f"reject.{reason}" for reason in REJECT_REASONS),
        *(f"slow.{cause}" for cause in SLOW_CAUSES),
        *(f"flag.{name}" for name in FLAGS),
        *(f"gate.{bit}" for bit in range(len(spec.gates))),
        *(f"match.{held.name}" for held in spec.keyword_lists),
        *(f"hit.{held.name}" for held in spec.hash_lists),
    ]
