"""Read definitions: a benchmark is a TOML file that says what is done and what must come out.

Code only interprets it. A file `definitions/keywords/10k-word.toml` is called `keywords/10k-word`
and belongs to the family `keywords`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

DEFINITIONS = Path(__file__).parent / "definitions"
OWN_ENGINE = "weir"
# What people say about a benchmark; a change of it does not make old records incomparable.
_SAID = ("title", "analysis", "goals", "repeats", "engines")


class DefinitionError(Exception):
    """Report a definition that is missing or wrong, naming file and field."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Goal(_Model):
    """State what a figure should reach: the median of an engine, or its ratio to another's."""

    figure: str
    engine: str = OWN_ENGINE
    against: str | None = None  # then the goal is engine / against
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Goal:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give at_least or at_most")
        return self

    @property
    def want(self) -> str:
        """Say the bound, as `>= 3`."""
        if self.at_least is not None:
            return f">= {self.at_least:.12g}"
        return f"<= {self.at_most:.12g}"

    def met_by(self, value: float) -> bool:
        """Tell whether a value reaches the bound."""
        if self.at_least is not None:
            return value >= self.at_least
        assert self.at_most is not None  # noqa: S101  # held by _one_bound
        return value <= self.at_most


class Definition(_Model):
    """Hold one benchmark; `corpus`, `patterns` and `options` mean what the job says they mean."""

    name: str
    title: str  # one line for `list`
    job: str  # a module of benchmarks.macro or benchmarks.micro
    engines: tuple[str, ...] = Field(min_length=1)
    expect: dict[str, int] = Field(min_length=1)  # counts that every engine must reach
    corpus: dict[str, Any] = {}
    patterns: dict[str, Any] = {}
    options: dict[str, Any] = {}
    unit: str = "post"  # what `posts` counts, where it is no post
    repeats: int = Field(default=5, ge=1)
    goals: tuple[Goal, ...] = ()
    analysis: str = ""
    is_quick: bool = False

    @property
    def digest(self) -> str:
        """Name what is measured; records of different digests are not compared."""
        return _digest(self.model_dump(mode="json", exclude=set(_SAID)))


def names() -> list[str]:
    """Return the names of all definitions, sorted."""
    return sorted(
        str(path.relative_to(DEFINITIONS).with_suffix("")) for path in DEFINITIONS.rglob("*.toml")
    )


def names_of(wanted: str) -> list[str]:
    """Return the definitions that a name means: itself, or every one of a family.

    Raises:
        DefinitionError: there is none of that name.
    """
    known = names()
    found = [name for name in known if name == wanted or name.startswith(f"{wanted}/")]
    if not found:
        raise DefinitionError(f"no benchmark is called {wanted!r}; there are: {', '.join(known)}")
    return found


def load(name: str, *, quick: bool = False) -> Definition:
    """Load one definition; with `quick` its table `quick` replaces what it names.

    Raises:
        DefinitionError: the file is missing or wrong.
    """
    path = DEFINITIONS / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise DefinitionError(f"{path}: {error}") from None
    smaller = values.pop("quick", None)
    if not isinstance(smaller, dict) or "expect" not in smaller:
        raise DefinitionError(f"{path}: needs a table [quick] with its own [quick.expect]")
    if quick:
        expect = smaller.pop("expect")
        values = _merged(values, smaller) | {"expect": expect, "is_quick": True, "repeats": 1}
    if values.get("name") != name:
        raise DefinitionError(f"{path}: name must be {name!r}, found {values.get('name')!r}")
    try:
        return Definition(**values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise DefinitionError(f"{path}: {field}: {first['msg']}") from None


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = _merged(made[key], value) if both else value
    return made


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
