"""Describe `bundle.yaml` for validation and for editors; no meaning beyond one field at a time.

What needs two fields or two files (references, conditions, lists) is checked in
`worker.policy.assemble`, which knows where everything stands.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from fastpath.checks import MAX_OVER_MS, MAX_WINDOWS
from fastpath.spec import MIN_OVER_MS, TICKS, Boundary, FingerprintType, Lane, Report
from worker.domain.times import UNITS_MS, duration_ms

MAX_DURATION_MS = 3_660 * UNITS_MS["d"]  # ten years: longer is a typing error

# Names of lists and windows stand in conditions (`matches.<list>.any`), so they are CEL names.
CEL_NAME_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
# Ids of rules and policies stand in records and metric labels, never in conditions.
ID_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,63}$"


def parse_duration(value: object) -> int:
    """Read `90s`, `10m`, `24h`, `7d` or `500ms` as milliseconds."""
    milliseconds = duration_ms(value) if isinstance(value, str) else None
    if milliseconds is None:
        raise PydanticCustomError(
            "duration",
            "a duration is a whole number with its unit, not {value}",
            {"value": repr(value)[:40], "hint": "write 90s, 10m, 24h or 7d"},
        )
    if not 0 < milliseconds <= MAX_DURATION_MS:
        raise PydanticCustomError(
            "duration",
            "{value} is out of range",
            {"value": value, "hint": "more than 0 and at most 3660d"},
        )
    return milliseconds


def parse_over(value: object) -> int:
    """Read the length of a window: eight ticks of whole milliseconds, each at least a second."""
    milliseconds = parse_duration(value)
    if milliseconds < MIN_OVER_MS or milliseconds % TICKS:
        raise PydanticCustomError(
            "over",
            "a window is at least 8 s long and a multiple of 8 ms, not {value}",
            {"value": value, "hint": "it is counted in eight ticks of whole milliseconds"},
        )
    if milliseconds > MAX_OVER_MS:
        raise PydanticCustomError(
            "over",
            "a window is at most {days} days long, not {value}",
            {"value": value, "days": MAX_OVER_MS // UNITS_MS["d"]},
        )
    return milliseconds


_DURATION_SCHEMA = WithJsonSchema(
    {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "examples": ["60s", "10m", "24h", "7d"]}
)
DurationMs: TypeAlias = Annotated[int, BeforeValidator(parse_duration), _DURATION_SCHEMA]
OverMs: TypeAlias = Annotated[int, BeforeValidator(parse_over), _DURATION_SCHEMA]
CelName: TypeAlias = Annotated[str, StringConstraints(pattern=CEL_NAME_PATTERN)]
Id: TypeAlias = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
FileName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Condition: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
ActionKind: TypeAlias = Literal["label", "limit", "remove", "review"]
StepKind: TypeAlias = Literal["warn", "lock", "suspend", "review"]
Mode: TypeAlias = Literal["live", "shadow", "off"]
RedressWay: TypeAlias = Literal["complaint", "out_of_court", "court"]


class Strict(BaseModel):
    """Refuse unknown keys and guess no types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ExemptModel(Strict):
    """Name who and what is left alone."""

    accounts: FileName | None = Field(
        None, description="Text file, one account id per line: their account steps become review."
    )
    phrases: FileName | None = Field(
        None, description="Text file: a post equal to a line after folding makes no text sighting."
    )


class ListModel(Strict):
    """Describe one list: what its entries are and how they are matched."""

    kind: Literal["keyword", "regex", "sha256", "md5", "domain", "url", "pdq", "simhash"]
    file: FileName = Field(description="Relative to the bundle: text, or CSV with a header.")
    lanes: list[Lane] | None = Field(
        None,
        min_length=1,
        description="Keyword, regex: views of the text; default [folded].",
    )
    boundary: Boundary | None = Field(
        None, description="Keyword lists: what may stand around a match; default word."
    )
    ungated: bool | None = Field(
        None, description="Regex lists: accept expressions that run on every post in Python."
    )
    insist: bool | None = Field(
        None, description="Keyword lists: accept entries of fewer than 5 letters in squeezed."
    )
    report: Report | None = Field(
        None, description="Keyword lists: every match (default), or the longest without overlap."
    )
    exceptions: FileName | None = Field(
        None,
        description="Keyword lists: text file; a match inside one of its lines does not count.",
    )
    radius: int | None = Field(
        None, ge=0, description="pdq (default 31) and simhash (default 3): bits that may differ."
    )
    min_quality: int | None = Field(
        None, ge=0, le=100, description="pdq: an image of lower quality is left out; default 50."
    )


class WindowModel(Strict):
    """Describe one sliding count over origin time."""

    per: Literal["account"] | FingerprintType
    count: Literal["posts", "links", "distinct_targets", "repeated_texts", "distinct_accounts"]
    over: OverMs


class StepModel(Strict):
    """Say what happens at a strike total."""

    at: int = Field(ge=1, le=1_000_000)
    do: StepKind
    for_: DurationMs | None = Field(None, alias="for")
    until: Literal["post_deleted"] | None = None


class LadderModel(Strict):
    """Say what happens at which strike totals, and for how long a strike counts."""

    strike_ttl: DurationMs
    warn_grace: DurationMs = Field(3_600_000, description="Default 1h.")
    warning: Literal["issued", "delivered"] = "issued"
    steps: list[StepModel] = Field(min_length=1)


class RuleModel(Strict):
    """Describe a rule: a condition, and what follows when it holds."""

    id: Id
    on: Literal["post", "campaign"]
    of: FingerprintType | None = Field(None, description="Campaign rules: the fingerprint's type.")
    when: Condition = Field(description="CEL; true or false.")
    members: Condition | None = Field(
        None, description="Campaign rules: CEL over each account; default every account."
    )
    post_action: ActionKind | None = None
    strikes: int = Field(0, ge=0, le=1_000_000)
    mode: Mode = "live"
    ungated: bool = Field(False, description="Accept that every post is judged in Python.")


class PolicyModel(Strict):
    """Group rules under one clause, one ladder and one statement of reasons."""

    clause: Annotated[str, StringConstraints(min_length=1, max_length=2_000)] = Field(
        description="Where the public can read the rule that is enforced."
    )
    ladder: CelName | None = None
    severe: bool = Field(False, description="Account steps need no warning before them.")
    cooldown: DurationMs | None = Field(
        None, description="At most one strike per account in this time."
    )
    ground: Literal["terms", "illegal"] = "terms"
    legal_ground: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = None
    category: Id = Field("scope_of_platform_service", description="Category of the statement.")
    explanation: Annotated[str, StringConstraints(max_length=2_000)] = ""
    redress: list[RedressWay] = Field(["complaint", "out_of_court", "court"], min_length=1)
    rules: list[RuleModel] = Field(min_length=1)


class LimitsModel(Strict):
    """Bound actions per kind and origin hour; beyond, they become review. 0 stops a kind."""

    label_per_hour: int | None = Field(None, ge=0)
    limit_per_hour: int | None = Field(None, ge=0)
    remove_per_hour: int | None = Field(None, ge=0)
    warn_per_hour: int | None = Field(None, ge=0)
    lock_per_hour: int | None = Field(None, ge=0)
    suspend_per_hour: int | None = Field(None, ge=0)


class BundleModel(Strict):
    """Describe `bundle.yaml`."""

    name: Id
    revision: int = Field(ge=1, le=2**31 - 1)
    enforcement: Literal["observe", "live"] = Field(
        "observe", description="observe: every live rule runs as shadow."
    )
    exempt: ExemptModel = Field(default_factory=lambda: ExemptModel(accounts=None, phrases=None))
    lists: dict[CelName, ListModel] = Field(default_factory=dict)
    windows: dict[CelName, WindowModel] = Field(default_factory=dict, max_length=MAX_WINDOWS)
    ladders: dict[CelName, LadderModel] = Field(default_factory=dict)
    policies: dict[Id, PolicyModel] = Field(min_length=1)
    limits: LimitsModel = Field(default_factory=lambda: LimitsModel.model_validate({}))
