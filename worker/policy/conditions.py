"""Declare the variables of conditions, compile them, and build their values.

Each kind of condition has a vocabulary: the names and types that CEL's checker knows, and beside
each name how its value is read, so that the two cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from cel_expr_python import cel

from fastpath.columns import Evasion
from fastpath.evasion import measure
from fastpath.rows import Row
from fastpath.spec import FLAGS, NO_DISTANCE, Atom, Gate
from worker.policy.cel_errors import ConditionError, read_errors
from worker.policy.gates import MAX_LISTED, compile_gate
from worker.policy.tree import Call, Const, Ident, Node, checked_tree, walk

if TYPE_CHECKING:
    from worker.policy.bundle import Bundle

DAY_MS = 86_400_000
# Verdicts remembered per condition, about 200 bytes each: counts are small and repeat. Must stay
# below what a worker's memory holds for all conditions of its bundle.
MAX_REMEMBERED = 65_536

_BOOL, _INT, _STRING = cel.Type.BOOL, cel.Type.INT, cel.Type.STRING
_STRINGS = cel.Type.List(cel.Type.STRING)
_SCORES = cel.Type.Map(cel.Type.STRING, cel.Type.DOUBLE)


class Verdict(Enum):
    """Say how a condition came out; an error counts as false and is counted by rule."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"


class Activation(Mapping[str, object]):
    """Hold the values of one post, run or account: `names` of `values`, by default all of them.

    They are converted for CEL once for all rules, when the first condition must be evaluated.
    """

    __slots__ = ("_env", "_names", "_native", "values_by_name")

    def __init__(
        self, env: Any, values: Mapping[str, object], names: Collection[str] | None = None
    ) -> None:
        self.values_by_name = values
        self._env = env
        self._names = values if names is None else names
        self._native: Any = None

    @property
    def native(self) -> Any:
        """Give the values as CEL takes them."""
        if self._native is None:
            values = self.values_by_name
            self._native = self._env.Activation({name: values[name] for name in self._names})
        return self._native

    def __getitem__(self, name: str) -> object:
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Condition:
    """Hold one checked condition.

    `gate` is true wherever the condition could be; `variables` are the names that it reads.
    """

    source: str
    gate: Gate
    variables: frozenset[str]
    tree: Node = field(repr=False, compare=False)
    _env: Any = field(repr=False, compare=False)
    _program: Any = field(repr=False, compare=False)
    # What the verdict depends on, in order; none where a string, list or map is among it.
    _plain: tuple[str, ...] | None = field(default=None, repr=False, compare=False)
    _known: dict[tuple[object, ...], Verdict] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def atoms(self) -> tuple[Atom, ...]:
        """List the comparisons of the gate, from left to right."""
        return tuple(_atoms(self.gate))

    def evaluate(self, activation: Mapping[str, object]) -> Verdict:
        """Evaluate over values by name; total.

        Stages call it with what `post_activation` and its siblings build. A condition over
        numbers and truth values alone is evaluated once for each combination of them; any other
        one takes CEL about 3 microseconds, and the conversion of the values. A plain mapping works
        as well and is converted for this call.
        """
        if not isinstance(activation, Activation):
            return self._verdict(self._env.Activation(dict(activation)))
        if self._plain is None:
            return self._verdict(activation.native)
        values = activation.values_by_name
        read = tuple([values[name] for name in self._plain])
        verdict = self._known.get(read)
        if verdict is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            verdict = self._known[read] = self._verdict(activation.native)
        return verdict

    def _verdict(self, native: Any) -> Verdict:
        value = self._value(native)
        if value is True:
            return Verdict.TRUE
        return Verdict.FALSE if value is False else Verdict.ERROR

    def error(self, activation: Mapping[str, object]) -> str:
        """Say why evaluation fails, for people; empty where it does not."""
        value = self._value(self._env.Activation(dict(activation)))
        return "" if isinstance(value, bool) else str(value)

    def _value(self, native: Any) -> object:
        """Give the result, or what stands for it: most failures are values, a spent budget raises.

        CEL ends an evaluation after 10,000 steps through lists.
        """
        try:
            return self._program.eval(native).value()
        except RuntimeError as error:
            return error


def _atoms(gate: Gate) -> Iterator[Atom]:
    if gate.atom is not None:
        yield gate.atom
    for part in gate.parts:
        yield from _atoms(part)


class _Post(NamedTuple):
    row: Row
    counts: Mapping[str, int]
    distances: Mapping[str, int]  # of the nearest hit per list

    @property
    def post(self) -> Mapping[str, Any]:
        """Read the post from its record: only where a condition looks into it."""
        return self.row.post


class _Variable(NamedTuple):
    type: Any
    read: Callable[[_Post], object]


class _PostValues(dict[str, object]):
    """Read the values of a post when they are looked into: most rules look into few."""

    __slots__ = ("_post", "_variables")

    def __init__(self, post: _Post, variables: Mapping[str, _Variable]) -> None:
        super().__init__()
        self._post = post
        self._variables = variables

    def __missing__(self, name: str) -> object:
        value = self[name] = self._variables[name].read(self._post)
        return value


class Vocabulary:
    """Know the names of one kind of condition; compile conditions over them."""

    def __init__(self, kind: str, types: Mapping[str, Any]) -> None:
        self.kind = kind  # "post rule", "campaign rule" or "members": for messages
        self.names = frozenset(types)
        self.env = cel.NewEnv(variables=dict(types))
        self._types = dict(types)

    def compile(self, source: str) -> Condition:
        """Check a condition and compile its gate.

        Raises:
            ConditionErrors: It is no CEL, uses unknown names, or is not true or false.
        """
        try:
            program = self.env.compile(source)
        except RuntimeError as error:
            raise ConditionErrors(read_errors(str(error), source, self.names)) from None
        result = program.return_type()
        if result != _BOOL:
            hint = "compare it, as in `... > 30`"
            what = f"the condition must be true or false, this is {str(result).lower()}"
            raise ConditionErrors([ConditionError(0, what, hint)])
        tree = checked_tree(program.serialize())
        if wrong := [error for node in walk(tree) for error in _pattern_errors(node)]:
            raise ConditionErrors(wrong)
        idents = {node.name for node in walk(tree) if isinstance(node, Ident)}
        names = frozenset(idents & self.names)
        plain = all(self._types[name] in (_BOOL, _INT) for name in names)
        read = tuple(sorted(names)) if plain else None
        return Condition(source, compile_gate(tree), names, tree, self.env, program, read)


_PATTERNS = cel.NewEnv(variables={"pattern": _STRING}).compile("''.matches(pattern)")


def _pattern_errors(node: Node) -> list[ConditionError]:
    """Try a literal pattern of matches() now: when posts come, a broken one only ever errs."""
    if not isinstance(node, Call) or node.function != "matches" or len(node.args) != 2:
        return []
    pattern = node.args[1]
    if not isinstance(pattern, Const) or not isinstance(pattern.value, str):
        return []
    result = _PATTERNS.eval(data={"pattern": pattern.value}).value()
    if isinstance(result, bool):
        return []
    hint = "patterns are RE2: github.com/google/re2/wiki/Syntax"
    return [ConditionError(pattern.at, "this pattern is not a regular expression", hint)]


class ConditionErrors(ValueError):
    """Carry what is wrong with one condition, each error with its place in the source."""

    def __init__(self, errors: Iterable[ConditionError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(error.message for error in self.errors))


class PostVocabulary(Vocabulary):
    """Know what a rule `on: post` may read, and read it from a row of the screen."""

    def __init__(
        self,
        lists: Iterable[str],
        account_windows: Sequence[str],
        near_lists: Iterable[str] = (),  # those compared by distance
    ) -> None:
        self._variables = _post_variables(tuple(lists), tuple(near_lists), tuple(account_windows))
        super().__init__("post rule", {n: v.type for n, v in self._variables.items()})
        self._read: set[str] = set()

    def compile(self, source: str) -> Condition:
        """Check a condition; what it reads will stand in every later activation."""
        condition = super().compile(source)
        self._read |= condition.variables
        self.__dict__.pop("_plan", None)
        return condition

    @cached_property
    def _plan(self) -> tuple[str, ...]:
        return tuple(sorted(self._read))

    def activation(self, row: Row) -> Activation:
        """Hold the values that the compiled conditions read; about a microsecond, never fails."""
        counts: dict[str, int] = {}
        for match in row.matches:
            counts[match.list] = counts.get(match.list, 0) + match.count
        distances: dict[str, int] = {}
        for hit in row.hits:
            counts[hit.list] = counts.get(hit.list, 0) + 1
            distances[hit.list] = min(hit.distance, distances.get(hit.list, NO_DISTANCE))
        post = _Post(row, counts, distances)
        return Activation(self.env, _PostValues(post, self._variables), self._plan)


def _post_variables(
    lists: tuple[str, ...], near_lists: tuple[str, ...], windows: tuple[str, ...]
) -> dict[str, _Variable]:
    variables = {
        "account.id": _Variable(_STRING, lambda p: p.row.account),
        "account.age_days": _Variable(
            _INT, lambda p: age_days(p.row.account_created_at, p.row.time)
        ),
        "account.followers": _Variable(_INT, lambda p: p.post["account"].get("followers", -1)),
        "post.device": _Variable(_STRING, lambda p: p.post.get("client", {}).get("device", "")),
        "post.revision": _Variable(_INT, lambda p: p.row.revision),
        "post.text_length": _Variable(_INT, lambda p: len(p.post.get("text", ""))),
        "post.url_count": _Variable(_INT, lambda p: len(p.post.get("urls", ()))),
        "post.hashtag_count": _Variable(_INT, lambda p: len(p.post.get("hashtags", ()))),
        "post.media_count": _Variable(_INT, lambda p: len(p.post.get("media", ()))),
        "post.urls": _Variable(_STRINGS, lambda p: p.post.get("urls", [])[:MAX_LISTED]),
        "post.hashtags": _Variable(_STRINGS, lambda p: p.post.get("hashtags", [])[:MAX_LISTED]),
        "scores": _Variable(_SCORES, lambda p: p.post.get("scores", {})),
    }
    for name in Evasion._fields:
        variables[f"post.{name}"] = _Variable(_INT, _evasion_reader(name))
    variables["post.id"] = _Variable(_STRING, lambda p: p.row.id)
    for key in ("op", "lang", "text", "reply_to", "repost_of"):
        variables[f"post.{key}"] = _Variable(_STRING, _text_reader(key))
    for name in lists:
        variables[f"matches.{name}.count"] = _Variable(_INT, _count_reader(name))
        variables[f"matches.{name}.any"] = _Variable(_BOOL, _any_reader(name))
    for name in near_lists:
        variables[f"matches.{name}.distance"] = _Variable(_INT, _distance_reader(name))
    for index, name in enumerate(windows):
        variables[f"windows.{name}"] = _Variable(_INT, _window_reader(index))
    for bit, name in enumerate(FLAGS):
        variables[f"flags.{name}"] = _Variable(_BOOL, _flag_reader(bit))
    return variables


def _evasion_reader(name: str) -> Callable[[_Post], object]:
    return lambda p: getattr(measure(p.post.get("text", "")), name)


def _text_reader(key: str) -> Callable[[_Post], object]:
    return lambda p: p.post.get(key, "")


def _count_reader(name: str) -> Callable[[_Post], object]:
    return lambda p: p.counts.get(name, 0)


def _any_reader(name: str) -> Callable[[_Post], object]:
    return lambda p: name in p.counts


def _distance_reader(name: str) -> Callable[[_Post], object]:
    return lambda p: p.distances.get(name, NO_DISTANCE)


def _window_reader(index: int) -> Callable[[_Post], object]:
    return lambda p: p.row.windows[index] if index < len(p.row.windows) else 0


def _flag_reader(bit: int) -> Callable[[_Post], object]:
    return lambda p: bool(p.row.flags >> bit & 1)


def age_days(created_at: object, time: int) -> int:
    """Count whole days from the account's creation to origin time; -1 where unknown.

    An account that claims to be created after its post has an unknown age too.
    """
    if not isinstance(created_at, int) or created_at > time:
        return -1
    return (time - created_at) // DAY_MS


def campaign_vocabulary(fingerprint_windows: Iterable[str]) -> Vocabulary:
    """Know what `when` of a campaign rule may read: counts over a run of sightings."""
    types = {f"windows.{name}": _INT for name in fingerprint_windows}
    return Vocabulary(
        "campaign rule", {**types, "fingerprint.type": _STRING, "fingerprint.sightings": _INT}
    )


MEMBERS = Vocabulary("members", {"account.id": _STRING, "account.age_days": _INT})


def post_activation(bundle: Bundle, row: Row) -> Activation:
    """Build the values of one post for all rules `on: post` of a bundle."""
    return bundle.post_vocabulary.activation(row)


def campaign_activation(
    bundle: Bundle, of: str, over_ms: int, accounts: int, sightings: int
) -> Activation:
    """Build the values of one run of sightings of a fingerprint.

    `over_ms` is the run's length (`Bundle.run_ms`); every window of that type and length reads
    the run's distinct accounts, any other reads 0.
    """
    values: dict[str, object] = {"fingerprint.type": of, "fingerprint.sightings": sightings}
    for window in bundle.windows.values():
        if window.per != "account":
            own = window.per == of and window.over_ms == over_ms
            values[f"windows.{window.name}"] = accounts if own else 0
    return Activation(bundle.campaign_vocabulary.env, values)


def member_activation(account_created_at: int | None, time: int, account: str) -> Activation:
    """Build the values of one account of a campaign, at the origin time of its sighting."""
    age = age_days(account_created_at, time)
    return Activation(MEMBERS.env, {"account.id": account, "account.age_days": age})
