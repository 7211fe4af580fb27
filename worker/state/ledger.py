"""Keep what enforce remembers of each account: strikes, warnings, restrictions, decisions.

Plain data and its own arithmetic; what it means is decided in `worker.stages`. Every time here is
an account's judged time, which never runs backwards for that account. How long things are kept,
and why, is in docs/ledger.md.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.domain.action import ActionKind, Proposal
from worker.domain.signal import Origin

DAY_MS = 86_400_000
# A person may complain for six months after a decision, so what an action did stays known for as
# long. Strikes with a longer life raise it: an expired decision must not shorten a strike.
APPEAL_MS = 184 * DAY_MS
# A row past its end is forgotten once stream time is this far past it; above every restart and
# backlog, so that an account's late record still finds the row that its own time has not ended.
RETIRE_SLACK_MS = 7 * DAY_MS
MAX_RESTRICTIONS = 64  # per account; beyond, the one that ends first is forgotten
NEVER = 2**62  # the end of what has no end
_BUCKET_MS = 3_600_000  # rows are filed for retirement by the hour of their end
_RETIRED_PER_RECORD = 4  # rows looked at per record: bounded work, faster than rows can come

FindingKey = tuple[str, str, int]  # policy, post id, revision


@dataclass(slots=True)
class Strike:
    """Hold a weight in an account's ledger; `weight` becomes 0 when it ends or is undone."""

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

    @property
    def key(self) -> FindingKey:
        """Name the finding within its account."""
        return (self.policy, self.post, self.revision)

    def has_issued(self, action_id: str) -> bool:
        """Say whether this very decision was written before."""
        return any(issued.action_id == action_id for issued in self.issued)


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

    __slots__ = ("_strikes", "_total", "warns")

    def __init__(self) -> None:
        self._strikes: deque[Strike] = deque()
        self._total = 0
        self.warns: list[Warn] = []

    def total(self, time: int) -> int:
        """Sum the live strikes. They end in the order they came: one ladder has one lifetime."""
        while self._strikes and self._strikes[0].expires_at <= time:
            ended = self._strikes.popleft()
            self._total -= ended.weight
            ended.weight = 0
        return self._total

    def add(self, weight: int, expires_at: int) -> Strike:
        """Add a strike."""
        strike = Strike(weight, expires_at)
        self._strikes.append(strike)
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
        "end",
        "findings",
        "ladders",
        "last_strike",
        "last_time",
        "restrictions",
        "seen",
        "seq",
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

    def ladder(self, name: str) -> LadderState:
        """Give the state of a ladder, empty at first."""
        state = self.ladders.get(name)
        if state is None:
            state = self.ladders[name] = LadderState()
        return state

    def keep_until(self, time: int) -> None:
        """Let the row live at least so long."""
        self.end = max(self.end, time)

    def touch(self, finding: Finding, time: int, keep_ms: int) -> None:
        """File a finding as of now: it and the row are kept for `keep_ms` from here."""
        self.findings.pop(finding.key, None)
        finding.filed = time
        self.findings[finding.key] = finding
        self.keep_until(time + keep_ms)

    def record(self, issued: Issued) -> None:
        """Remember an action under its id."""
        issued.finding.issued.append(issued)
        self.by_id[issued.action_id] = issued

    def forget_old(self, time: int, keep_ms: int) -> None:
        """Drop findings kept for their time, oldest first; one that still restricts stays."""
        while self.findings:
            finding = next(iter(self.findings.values()))
            if finding.filed + keep_ms > time:
                return
            if any(r.finding is finding for r in self.live_restrictions(time)):
                self.touch(finding, time, keep_ms)
                continue
            del self.findings[finding.key]
            for issued in finding.issued:
                self.by_id.pop(issued.action_id, None)

    def live_restrictions(self, time: int) -> list[Restriction]:
        """Give the restrictions in force, oldest first."""
        self.restrictions = [r for r in self.restrictions if r.expires_at > time]
        return self.restrictions

    def restricted_until(self, kind: ActionKind, time: int) -> int | None:
        """Give when the account is free of a kind of restriction; None if it is free now."""
        ends = [r.expires_at for r in self.live_restrictions(time) if r.kind == kind]
        return max(ends) if ends else None

    def restrict(self, restriction: Restriction) -> None:
        """Put a restriction in force; the row lives at least as long."""
        self.restrictions.append(restriction)
        self.keep_until(restriction.expires_at)
        if len(self.restrictions) > MAX_RESTRICTIONS:
            self.restrictions.remove(min(self.restrictions, key=lambda r: r.expires_at))

    def release(self, released: list[Restriction], keep_ms: int) -> None:
        """End restrictions now; a row that one of them kept for ever gets an end again."""
        gone = {id(restriction) for restriction in released}
        self.restrictions = [r for r in self.restrictions if id(r) not in gone]
        ends = [r.expires_at for r in self.restrictions]
        ends += [warn.expires_at for state in self.ladders.values() for warn in state.warns]
        newest = max((f.filed for f in self.findings.values()), default=self.last_time)
        self.end = max([newest + keep_ms, *ends])


class Ledger:
    """Hold the rows of one partition; a row ends when nothing in it can matter any more.

    Whether a row is there is decided by its account's own time (`end`) and, `RETIRE_SLACK_MS`
    later, by stream time; when its memory is freed cannot be observed.
    """

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._stream_time = -NEVER
        self._filed: dict[int, list[str]] = {}  # hour of retirement -> accounts
        self._hours: list[int] = []  # heap over the keys of _filed

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Walk over the rows that read as present."""
        return ((a, row) for a, row in self._rows.items() if not self._retired(row))

    def advance(self, time: int) -> None:
        """Move stream time forward and free a bounded number of ended rows."""
        self._stream_time = max(self._stream_time, time)
        for _ in range(_RETIRED_PER_RECORD):
            if not self._hours or (self._hours[0] + 1) * _BUCKET_MS > self._stream_time:
                return
            self._retire_one()

    def find(self, account: str, time: int) -> Row | None:
        """Give the row that an account has at a time, with its clock moved there; or None."""
        row = self._rows.get(account)
        if row is None or max(time, row.last_time) >= row.end or self._retired(row):
            return None
        row.last_time = max(time, row.last_time)
        row.seen = self._stream_time
        return row

    def open(self, account: str, time: int) -> Row:
        """Give the row of an account, new if it has none."""
        row = self.find(account, time)
        if row is None:
            filed = account in self._rows
            row = self._rows[account] = Row(time)
            row.seen = self._stream_time
            if not filed:
                self._file(account, _due(row))
        return row

    def _retired(self, row: Row) -> bool:
        return self._stream_time >= _due(row)

    def _file(self, account: str, due: int) -> None:
        hour = due // _BUCKET_MS
        accounts = self._filed.get(hour)
        if accounts is None:
            accounts = self._filed[hour] = []
            heapq.heappush(self._hours, hour)
        accounts.append(account)

    def _retire_one(self) -> None:
        accounts = self._filed[self._hours[0]]
        account = accounts.pop()
        if not accounts:
            del self._filed[heapq.heappop(self._hours)]
        row = self._rows[account]
        if self._retired(row):
            del self._rows[account]
        else:
            self._file(account, _due(row))


def _due(row: Row) -> int:
    """Give the stream time at which a row is forgotten.

    A row that was made by a record far behind stream time may have ended already; it stays for
    the slack all the same, so that the same record delivered again finds what it has led to.
    """
    return max(row.end, row.seen) + RETIRE_SLACK_MS
