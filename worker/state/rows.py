"""Hold what enforce remembers of one account: strikes, warnings, restrictions, decisions.

Plain data and its own arithmetic; what it means is decided in `worker.stages`. Every time here is
an account's judged time, which never runs backwards for that account. How long things are kept,
and why, is in docs/ledger.md. A row notes which findings changed, so that those alone are packed.
"""

from __future__ import annotations

import heapq
from collections.abc import Set
from dataclasses import dataclass, field

from worker.domain.action import ActionKind, Proposal
from worker.domain.signal import Origin

DAY_MS = 86_400_000
# A person may complain for six months after a decision, so what an action did stays known for as
# long. Strikes with a longer life raise it: an expired decision must not shorten a strike.
APPEAL_MS = 184 * DAY_MS
MAX_RESTRICTIONS = 64  # per account; beyond, the one that ends first is forgotten
NEVER = 2**62  # the end of what has no end

FindingKey = tuple[str, str, int]  # policy, post id, revision


@dataclass(slots=True)
class Strike:
    """Hold a weight in an account's ledger; `weight` becomes 0 when it ends or is undone."""

    ladder: str
    weight: int
    expires_at: int


@dataclass(slots=True)
class Issued:
    """Remember one action that was written, so that it can be undone and is never repeated."""

    action_id: str
    kind: ActionKind
    step: int
    finding: Finding
    proposal: Proposal | None
    undone: bool = False
    seq: int = 0  # the action's account_seq


@dataclass(slots=True)
class Finding:
    """Hold all that one policy has decided on one revision of a post: it counts once."""

    policy: str
    post: str
    revision: int
    origin: Origin
    filed: int  # judged time of the last thing that happened to it
    weight: int = 0  # greatest weight seen, whether it became a strike or was spared
    parsed: bool = True  # False: the post has no id, the record's coordinates stand in
    strike: Strike | None = None
    cleared: bool = False  # a person said that it breaks no rule
    rules: list[str] = field(default_factory=list)
    issued: list[Issued] = field(default_factory=list)
    place: int = 0  # counts what happened to the row's findings: the later, the greater
    key: FindingKey = field(init=False)  # names the finding within its account

    def __post_init__(self) -> None:
        self.key = (self.policy, self.post, self.revision)

    def has_issued(self, action_id: str) -> bool:
        """Say whether this very decision was written before."""
        return bool(self.issued) and any(each.action_id == action_id for each in self.issued)


@dataclass(slots=True)
class Warn:
    """Hold a warning; it counts from `counts_from`, None while its delivery is awaited."""

    action_id: str
    expires_at: int
    counts_from: int | None


@dataclass(slots=True)
class Restriction:
    """Hold one lock or suspension; `expires_at` is NEVER where it has no end of its own."""

    action_id: str
    kind: ActionKind
    step: int
    finding: Finding
    expires_at: int
    until_deleted: bool


class LadderState:
    """Pool the strikes and warnings of all policies of one ladder for one account."""

    __slots__ = ("_name", "_strikes", "_total", "warns")

    def __init__(self, name: str) -> None:
        self._name = name
        self._strikes: list[tuple[int, int, Strike]] = []  # heap: what ends first comes first
        self._total = 0
        self.warns: list[Warn] = []

    def total(self, time: int) -> int:
        """Sum the live strikes; each ends at its own time, whatever another bundle gave others."""
        strikes = self._strikes
        while strikes and strikes[0][0] <= time:
            ended = heapq.heappop(strikes)[2]
            self._total -= ended.weight
            ended.weight = 0
        return self._total

    def add(self, weight: int, expires_at: int) -> Strike:
        """Add a strike."""
        strike = Strike(self._name, weight, expires_at)
        heapq.heappush(self._strikes, (expires_at, id(strike), strike))
        self._total += weight
        return strike

    def raise_by(self, strike: Strike, weight: int) -> None:
        """Add the difference to a live strike, which ends when it would have ended."""
        strike.weight += weight
        self._total += weight

    def undo(self, strike: Strike) -> None:
        """Take a strike back."""
        self._total -= strike.weight
        strike.weight = 0

    def live_warns(self, time: int) -> list[Warn]:
        """Give the warnings that have not ended, oldest first."""
        if self.warns:
            self.warns = [warn for warn in self.warns if warn.expires_at > time]
        return self.warns

    def in_grace(self, posted_at: int, grace_ms: int, time: int) -> bool:
        """Say whether a post was made before its author could have read the newest warning."""
        return any(
            warn.counts_from is None or posted_at < warn.counts_from + grace_ms
            for warn in self.live_warns(time)
        )

    def warn_before(self, posted_at: int, grace_ms: int, time: int) -> Warn | None:
        """Give the newest warning that its reader had `grace_ms` to act on before posting."""
        heeded = [
            warn
            for warn in self.live_warns(time)
            if warn.counts_from is not None and posted_at >= warn.counts_from + grace_ms
        ]
        return heeded[-1] if heeded else None


class Row:
    """Hold one account's ledger."""

    __slots__ = (
        "by_id",
        "changed",
        "end",
        "findings",
        "forgotten",
        "ladders",
        "last_strike",
        "last_time",
        "restrictions",
        "seen",
        "seq",
        "touches",
    )

    def __init__(self, time: int) -> None:
        self.last_time = time
        self.seq = 0
        self.end = time
        self.seen = time  # stream time when the row was last used
        self.findings: dict[FindingKey, Finding] = {}  # oldest `filed` first
        self.by_id: dict[str, Issued] = {}
        self.ladders: dict[str, LadderState] = {}
        self.restrictions: list[Restriction] = []
        self.last_strike: dict[str, int] = {}  # policy -> judged time of its last new strike
        self.touches = 0  # the greatest Finding.place given so far
        self.changed: dict[FindingKey, None] = {}  # since the row was last packed
        self.forgotten: list[FindingKey] = []  # likewise

    def ladder(self, name: str) -> LadderState:
        """Give the state of a ladder, empty at first."""
        state = self.ladders.get(name)
        if state is None:
            state = self.ladders[name] = LadderState(name)
        return state

    def keep_until(self, time: int) -> None:
        """Let the row live at least so long."""
        if time > self.end:
            self.end = time

    def note(self, finding: Finding) -> None:
        """Note that a finding, or what hangs on it, changes."""
        self.changed[finding.key] = None

    def settle(self) -> None:
        """Take the row as packed: nothing has changed yet."""
        self.changed, self.forgotten = {}, []

    def touch(self, finding: Finding, time: int, keep_ms: int) -> None:
        """File a finding as of now: it and the row are kept for `keep_ms` from here."""
        key = finding.key
        self.findings.pop(key, None)
        self.touches += 1
        finding.filed, finding.place = time, self.touches
        self.findings[key] = finding
        self.changed[key] = None
        self.keep_until(time + keep_ms)

    def record(self, issued: Issued) -> None:
        """Remember an action under its id."""
        self.note(issued.finding)
        issued.finding.issued.append(issued)
        self.by_id[issued.action_id] = issued

    def forget_old(self, time: int, keep_ms: int) -> None:
        """Drop findings kept for their time, oldest first; one that still counts stays."""
        while self.findings:
            finding = next(iter(self.findings.values()))
            if finding.filed + keep_ms > time:
                return
            if self._counts(finding, time):
                self.touch(finding, time, keep_ms)
                continue
            del self.findings[finding.key]
            self.changed.pop(finding.key, None)
            self.forgotten.append(finding.key)
            for issued in finding.issued:
                self.by_id.pop(issued.action_id, None)

    def _counts(self, finding: Finding, time: int) -> bool:
        """Say whether a restriction, a strike or a warning of a finding is in force.

        They end before it is forgotten, unless a bundle of longer terms was in force once.
        """
        if finding.strike is not None and finding.strike.expires_at > time:
            return True
        ids = {issued.action_id for issued in finding.issued}
        return any(r.finding is finding for r in self.live_restrictions(time)) or any(
            warn.action_id in ids and warn.expires_at > time
            for state in self.ladders.values()
            for warn in state.warns
        )

    def drop_warns(self, action_ids: Set[str]) -> None:
        """Forget warnings: undone, or never delivered."""
        for state in self.ladders.values():
            state.warns = [warn for warn in state.warns if warn.action_id not in action_ids]

    def live_restrictions(self, time: int) -> list[Restriction]:
        """Give the restrictions in force, oldest first."""
        if self.restrictions:
            self.restrictions = [r for r in self.restrictions if r.expires_at > time]
        return self.restrictions

    def restricted_until(self, kind: ActionKind, time: int) -> int | None:
        """Give when the account is free of a kind of restriction; None if it is free now."""
        if not self.restrictions:
            return None
        ends = [r.expires_at for r in self.live_restrictions(time) if r.kind == kind]
        return max(ends) if ends else None

    def restrict(self, restriction: Restriction) -> None:
        """Put a restriction in force; the row lives at least as long."""
        self.restrictions.append(restriction)
        self.keep_until(restriction.expires_at)
        if len(self.restrictions) > MAX_RESTRICTIONS:
            first = min(self.restrictions, key=lambda r: r.expires_at)
            self.restrictions.remove(first)
            self.note(first.finding)

    def release(self, released: list[Restriction], keep_ms: int) -> None:
        """End restrictions now; a row that one of them kept for ever gets an end again."""
        gone = {id(restriction) for restriction in released}
        for restriction in released:
            self.note(restriction.finding)
        self.restrictions = [r for r in self.restrictions if id(r) not in gone]
        ends = [r.expires_at for r in self.restrictions]
        ends += [warn.expires_at for state in self.ladders.values() for warn in state.warns]
        newest = max((f.filed for f in self.findings.values()), default=self.last_time)
        self.end = max([newest + keep_ms, *ends])
