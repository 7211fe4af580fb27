"""Judge signals by docs/ledger.md, plainly and slowly: everything is recounted for every event.

Shares no code with the stage. State is one list of everything that happened per account, and each
question is answered by walking through it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

KEEP_MS = 184 * 86_400_000
SLACK_MS = 7 * 86_400_000
FOREVER = 10**30
LONG_AGO = -(10**30)
BANS = ("lock", "suspend")


@dataclass
class OraclePolicy:
    name: str
    ladder: str | None
    severe: bool
    cooldown: int
    rules: dict[str, tuple[str | None, int, str]]  # id -> post action, strikes, mode


@dataclass
class OracleLadder:
    ttl: int
    grace: int
    delivered: bool
    steps: list[tuple[int, str, int | None, bool]]  # at, do, for, until deleted


@dataclass
class Happening:
    """One thing in an account's history."""

    what: str  # strike, warn, restriction
    ladder: str
    policy: str
    post: str
    revision: int
    at: int
    end: int
    weight: int = 0
    action: str = ""
    kind: str = ""
    step: int = 0
    until_deleted: bool = False
    counts_from: int | None = None
    gone: bool = False  # undone, delivered to nobody, or released


@dataclass
class Known:
    """What one policy did on one revision of a post."""

    policy: str
    post: str
    revision: int
    origin_time: int
    touched: int
    readable: bool = True
    weight: int = 0
    struck: bool = False
    cleared: bool = False
    rules: list[str] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Account:
    now: int
    touched: int
    seq: int = 0
    used: int = LONG_AGO  # stream time when last looked at
    history: list[Happening] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
    strikes_at: dict[str, int] = field(default_factory=dict)


class Oracle:
    def __init__(
        self,
        policies: dict[str, OraclePolicy],
        ladders: dict[str, OracleLadder],
        exempt: set[str],
        limits: dict[str, int],
        act_after: int | None,
        observe: bool,
        deployment: str,
        key: bytes,
        partition: int = 0,
        partitions: int = 1,
    ) -> None:
        self.policies, self.ladders, self.exempt = policies, ladders, exempt
        self.act_after, self.observe = act_after, observe
        self.deployment, self.key = deployment, key
        self.limits = {
            kind: len([n for n in range(limit) if n % partitions == partition])
            for kind, limit in limits.items()
        }
        self.books: dict[bool, dict[str, Account]] = {False: {}, True: {}}
        self.taken: dict[bool, list[tuple[str, int]]] = {False: [], True: []}
        self.stream_time = LONG_AGO
        self.actions: list[dict[str, Any]] = []
        ends = [ladder.ttl for ladder in ladders.values()]
        self.keep = max([KEEP_MS, *ends, *(p.cooldown for p in policies.values())])

    # -- accounts ------------------------------------------------------------------------------

    def find(self, shadow: bool, name: str, time: int) -> Account | None:
        account = self.books[shadow].get(name)
        if account is None:
            return None
        now = max(account.now, time)
        ends = [h.end for h in account.history if h.what == "restriction" and not h.gone]
        end = max([account.touched + self.keep, *ends])
        if now >= end or self.stream_time >= max(end, account.used) + SLACK_MS:
            return None
        account.now = now
        account.used = self.stream_time
        return account

    def open(self, shadow: bool, name: str, time: int) -> Account:
        account = self.find(shadow, name, time)
        if account is None:
            account = self.books[shadow][name] = Account(time, time)
            account.used = self.stream_time
        for known in list(account.known):
            if known.touched + self.keep <= account.now:
                if self.restricts(account, known):
                    self.touch(account, known)
                else:
                    account.known.remove(known)
        return account

    def touch(self, account: Account, known: Known) -> None:
        account.known = [k for k in account.known if k is not known] + [known]
        known.touched = account.touched = account.now

    def restricts(self, account: Account, known: Known) -> bool:
        return any(
            (h.policy, h.post, h.revision) == (known.policy, known.post, known.revision)
            for h in self.in_force(account)
        )

    def in_force(self, account: Account, kind: str | None = None) -> list[Happening]:
        return [
            h
            for h in account.history
            if h.what == "restriction"
            and not h.gone
            and h.end > account.now
            and kind in (None, h.kind)
        ]

    def total(self, account: Account, ladder: str | None) -> int:
        return sum(
            h.weight
            for h in account.history
            if h.what == "strike" and h.ladder == ladder and not h.gone and h.end > account.now
        )

    def warns(self, account: Account, ladder: str) -> list[Happening]:
        return [
            h
            for h in account.history
            if h.what == "warn" and h.ladder == ladder and not h.gone and h.end > account.now
        ]

    def knowledge(
        self, account: Account, policy: str, post: str, revision: int, time: int,
        readable: bool = True,
    ) -> Known:  # fmt: skip
        for known in account.known:
            if (known.policy, known.post, known.revision) == (policy, post, revision):
                return known
        known = Known(policy, post, revision, time, account.now, readable)
        account.known.append(known)
        account.touched = account.now
        return known

    # -- writing -------------------------------------------------------------------------------

    def name_of(self, account: str, known: Known, kind: str, step: int) -> str:
        message = b""
        parts = [self.deployment, account, known.post, str(known.revision), known.policy, kind]
        for text in [*parts, str(step)]:
            message += len(text.encode()).to_bytes(4, "little") + text.encode()
        return base64.b32encode(
            hashlib.blake2b(message, digest_size=20, key=self.key).digest()
        ).decode()

    def write(
        self, shadow: bool, name: str, account: Account, known: Known, kind: str, step: int,
        before: int, after: int, person: bool, *, end: int | None = None, until: bool = False,
        warn: str | None = None, why: str | None = None, proposed: str | None = None,
        supersedes: list[str] | None = None, time: int | None = None,
    ) -> None:  # fmt: skip
        account.seq += 1
        self.touch(account, known)
        action = {
            "shadow": shadow,
            "kind": kind,
            "action_id": self.name_of(name, known, kind, step),
            "account_id": name,
            "account_seq": account.seq,
            "post": known.post if known.readable else None,
            "revision": known.revision if known.readable else None,
            "policy": known.policy,
            "rules": list(known.rules),
            "step": step,
            "effective_at": account.now if time is None else time,
            "expires_at": end,
            "until": until,
            "before": before,
            "after": after,
            "warning": warn,
            "why": why,
            "proposed": proposed,
            "automated": not person,
            "supersedes": supersedes or [],
        }
        known.actions.append({**action, "undone": False})
        self.actions.append(action)

    def written(self, name: str, known: Known, kind: str, step: int) -> bool:
        wanted = self.name_of(name, known, kind, step)
        return any(a["action_id"] == wanted for a in known.actions)

    def within_limit(self, shadow: bool, kind: str, origin: int) -> bool:
        if kind not in self.limits:
            return True
        hours = [hour for _, hour in self.taken[shadow]]
        newest = max([origin // 3_600_000, *hours, *self.seen_hours.get(shadow, [])])
        self.seen_hours.setdefault(shadow, []).append(origin // 3_600_000)
        hour = max(origin // 3_600_000, newest - 168)
        count = sum(k == kind and max(h, newest - 168) == hour for k, h in self.taken[shadow])
        if count >= self.limits[kind]:
            return False
        self.taken[shadow].append((kind, origin // 3_600_000))
        return True

    @property
    def seen_hours(self) -> dict[bool, list[int]]:
        return self.__dict__.setdefault("_seen_hours", {})

    # -- events --------------------------------------------------------------------------------

    def signal(
        self, name: str, post: str, revision: int, policy_name: str, rule_id: str, mode: str,
        time: int,
    ) -> None:  # fmt: skip
        self.stream_time = max(self.stream_time, time)
        policy = self.policies.get(policy_name)
        rule = policy.rules.get(rule_id) if policy else None
        here = rule[2] if rule else "live"
        if here == "off":
            return
        if rule and policy and rule[0] is None and (rule[1] == 0 or policy.ladder is None):
            return
        shadow = self.observe or mode == "shadow" or here == "shadow"
        account = self.open(shadow, name, time)
        known = self.knowledge(account, policy_name, post, revision, time)
        if known.cleared:
            return
        if rule_id not in known.rules:
            known.rules.append(rule_id)
        total = self.total(account, policy.ladder) if policy and policy.ladder else 0
        posted = min(time, known.origin_time)
        if rule is None or policy is None:
            if not self.written(name, known, "review", 0):
                self.write(shadow, name, account, known, "review", 0, total, total, False,
                           why="unknown_rule")  # fmt: skip
            return
        if self.act_after is not None and time < self.act_after:
            known.weight = max(known.weight, rule[1])
            if not self.written(name, known, "review", 0):
                self.write(shadow, name, account, known, "review", 0, total, total, False,
                           why="act_after", proposed=rule[0])  # fmt: skip
            return
        self.carry_out(shadow, name, account, known, policy, rule, posted, time, [], False)

    def carry_out(
        self, shadow: bool, name: str, account: Account, known: Known, policy: OraclePolicy,
        rule: tuple[str | None, int, str], posted: int, origin: int, answers: list[str],
        person: bool,
    ) -> None:  # fmt: skip
        before = self.total(account, policy.ladder) if policy.ladder else 0
        if rule[0] == "review":
            if not self.written(name, known, "review", 0):
                self.write(shadow, name, account, known, "review", 0, before, before, person,
                           why="rule")  # fmt: skip
        elif rule[0] is not None:
            self.post_action(shadow, name, account, known, rule[0], before, origin, answers,
                             person)  # fmt: skip
        if policy.ladder is None or rule[1] <= known.weight:
            return
        ladder = self.ladders[policy.ladder]
        more = rule[1] - known.weight
        known.weight = rule[1]
        if not policy.severe and any(
            w.counts_from is None or posted < w.counts_from + ladder.grace
            for w in self.warns(account, policy.ladder)
        ):
            return
        if known.struck:
            if not any(
                h.what == "strike" and h.policy == policy.name and not h.gone
                and (h.post, h.revision) == (known.post, known.revision) and h.end > account.now
                for h in account.history
            ):  # fmt: skip
                return
            old = [
                h for h in account.history
                if h.what == "strike" and (h.policy, h.post, h.revision)
                == (policy.name, known.post, known.revision) and not h.gone
            ][-1]  # fmt: skip
            old.weight += more
        else:
            last = account.strikes_at.get(policy.name, LONG_AGO)
            if not person and account.now - last < policy.cooldown:
                return
            known.struck = True
            account.strikes_at[policy.name] = account.now
            account.history.append(
                Happening("strike", policy.ladder, policy.name, known.post, known.revision,
                          account.now, account.now + ladder.ttl, more)
            )  # fmt: skip
        self.touch(account, known)
        after = self.total(account, policy.ladder)
        steps = [step for step in ladder.steps if step[0] <= after]
        if steps:
            self.step(shadow, name, account, known, policy, steps[-1], posted, origin, before,
                      after, answers, person)  # fmt: skip

    def post_action(
        self, shadow: bool, name: str, account: Account, known: Known, kind: str, total: int,
        origin: int, answers: list[str], person: bool,
    ) -> None:  # fmt: skip
        if self.written(name, known, kind, 0):
            return
        if not person and not self.within_limit(shadow, kind, origin):
            if not self.written(name, known, "review", 0):
                self.write(shadow, name, account, known, "review", 0, total, total, person,
                           why="breaker", proposed=kind)  # fmt: skip
            return
        self.write(shadow, name, account, known, kind, 0, total, total, person,
                   supersedes=answers)  # fmt: skip

    def step(
        self, shadow: bool, name: str, account: Account, known: Known, policy: OraclePolicy,
        step: tuple[int, str, int | None, bool], posted: int, origin: int, before: int,
        after: int, answers: list[str], person: bool,
    ) -> None:  # fmt: skip
        assert policy.ladder is not None
        ladder = self.ladders[policy.ladder]
        at, kind, length, until = step
        if self.in_force(account, "suspend"):
            return
        warning = None
        if kind in BANS:
            read = [
                w
                for w in self.warns(account, policy.ladder)
                if w.counts_from is not None and posted >= w.counts_from + ladder.grace
            ]
            if read:
                warning = read[-1].action
            elif not policy.severe:
                kind = "warn"

        def ask(why: str, proposed: str | None) -> None:
            if not self.written(name, known, "review", at):
                self.write(shadow, name, account, known, "review", at, before, after, person,
                           why=why, proposed=proposed)  # fmt: skip

        if kind == "review":
            ask("step", None)
            return
        if not person and name in self.exempt:
            ask("exempt", kind)
            return
        if self.written(name, known, kind, at):
            return
        if not person and not self.within_limit(shadow, kind, origin):
            ask("breaker", kind)
            return
        action = self.name_of(name, known, kind, at)
        if kind == "warn":
            awaited = ladder.delivered and not shadow
            end = account.now + ladder.ttl
            account.history.append(
                Happening("warn", policy.ladder, policy.name, known.post, known.revision,
                          account.now, end, action=action,
                          counts_from=None if awaited else account.now)
            )  # fmt: skip
            self.write(shadow, name, account, known, "warn", at, before, after, person,
                       end=end, supersedes=answers)  # fmt: skip
            return
        own = FOREVER if length is None else account.now + length
        others = self.in_force(account, kind)
        longest = max([h.end for h in others], default=LONG_AGO)
        account.history.append(
            Happening("restriction", policy.ladder, policy.name, known.post, known.revision,
                      account.now, own, action=action, kind=kind, step=at, until_deleted=until)
        )  # fmt: skip
        end = max(own, longest)
        self.write(shadow, name, account, known, kind, at, before, after, person,
                   end=None if end == FOREVER else end, until=until and own > longest,
                   warn=warning,
                   supersedes=answers + ([h.action for h in others] if own > longest else []),
                   )  # fmt: skip

    def notice(
        self, name: str | None, post: tuple[str, int] | None, reason: str, place: str, time: int
    ) -> None:
        self.stream_time = max(self.stream_time, time)
        if name is None:
            nobody = Account(time, time, seq=-1)
            known = Known(f"notice/{reason}", post[0] if post else place, post[1] if post else 0,
                          time, time, post is not None)  # fmt: skip
            self.write(False, "", nobody, known, "review", 0, 0, 0, False, why="notice")
            self.actions[-1]["account_id"] = None
            return
        account = self.open(False, name, time)
        known = self.knowledge(
            account, f"notice/{reason}", post[0] if post else place, post[1] if post else 0,
            time, post is not None,
        )  # fmt: skip
        if not self.written(name, known, "review", 0):
            self.write(False, name, account, known, "review", 0, 0, 0, False, why="notice")

    def delete(self, name: str, post: str, time: int) -> None:
        self.stream_time = max(self.stream_time, time)
        for shadow in (False, True):
            account = self.find(shadow, name, time)
            if account is None:
                continue
            waiting = [h for h in self.in_force(account) if h.until_deleted and h.post == post]
            names = list(dict.fromkeys((h.policy, h.post, h.revision) for h in waiting))
            for policy, _, revision in names:
                before = self.ends(account)
                mine = [h for h in waiting if (h.policy, h.revision) == (policy, revision)]
                for h in mine:
                    h.gone = True
                if self.ends(account) != before:
                    known = self.knowledge(account, policy, post, revision, time)
                    self.restore(shadow, name, account, known, max(h.step for h in mine),
                                 [h.action for h in mine], None, False)  # fmt: skip

    def ends(self, account: Account) -> dict[str, int]:
        return {
            kind: max(h.end for h in self.in_force(account, kind))
            for kind in BANS
            if self.in_force(account, kind)
        }

    def restore(
        self, shadow: bool, name: str, account: Account, known: Known, step: int,
        ended: list[str], before: int | None, person: bool,
    ) -> None:  # fmt: skip
        while self.written(name, known, "restore", step):
            step += 1
        ids = [a["action_id"] for a in known.actions if a["action_id"] in ended]
        for action in known.actions:
            action["undone"] = action["undone"] or action["action_id"] in ids
        policy = self.policies.get(known.policy)
        total = self.total(account, policy.ladder) if policy and policy.ladder else 0
        self.write(shadow, name, account, known, "restore", step,
                   total if before is None else before, total, person, supersedes=ids)  # fmt: skip

    def receipt(self, name: str, action: str, status: str, time: int) -> None:
        self.stream_time = max(self.stream_time, time)
        account = self.find(False, name, time)
        if account is None or not any(
            a["action_id"] == action for k in account.known for a in k.actions
        ):
            return
        for h in account.history:
            if h.what == "warn" and h.action == action and not h.gone:
                if status == "failed":
                    h.gone = True
                elif h.counts_from is None:
                    h.counts_from = account.now

    def review(
        self, name: str, action: str | None, post: tuple[str, int | None] | None, decision: str,
        policy_name: str | None, time: int,
    ) -> None:  # fmt: skip
        self.stream_time = max(self.stream_time, time)
        account = self.find(False, name, time)
        about = None
        issued = None
        if action is not None:
            for known in account.known if account else []:
                for written in known.actions:
                    if written["action_id"] == action:
                        about, issued = known, written
            if about is None:
                return
        if decision == "act":
            self.act(name, account, about, issued, post, policy_name, time)
            return
        if account is None or decision == "uphold":
            return
        if about is not None:
            chosen = [about]
        else:
            assert post is not None
            chosen = [
                k
                for k in account.known
                if k.post == post[0]
                and post[1] in (None, k.revision)
                and policy_name in (None, k.policy)
            ]
        for known in chosen:
            self.overturn(name, account, known)

    def overturn(self, name: str, account: Account, known: Known) -> None:
        if known.cleared:
            return
        policy = self.policies.get(known.policy)
        before = self.total(account, policy.ladder) if policy and policy.ladder else 0
        known.cleared, known.struck = True, False
        undone = [
            a["action_id"]
            for a in known.actions
            if a["kind"] not in ("review", "restore") and not a["undone"]
        ]
        for h in account.history:
            if (h.policy, h.post, h.revision) != (known.policy, known.post, known.revision):
                continue
            if h.what in ("strike", "restriction") or h.action in undone:
                h.gone = True
        if undone:
            self.restore(False, name, account, known, 0, undone, before, True)

    def act(
        self, name: str, account: Account | None, about: Known | None,
        issued: dict[str, Any] | None, post: tuple[str, int | None] | None,
        policy_name: str | None, time: int,
    ) -> None:  # fmt: skip
        policy = self.policies.get(policy_name or "")
        if policy is None:
            return
        if about is not None:
            if not about.readable:
                return
            wanted, revision, posted = about.post, about.revision, about.origin_time
        else:
            assert post is not None
            wanted = post[0]
            times = {
                k.revision: k.origin_time
                for k in (account.known if account else [])
                if k.post == wanted and k.readable
            }
            revision = post[1] if post[1] is not None else max(times, default=0)
            posted = times.get(revision, LONG_AGO)
        account = self.open(False, name, time)
        known = self.knowledge(account, policy.name, wanted, revision, posted)
        known.cleared = False
        if not known.struck:
            known.weight = 0
        posted = min(posted, known.origin_time)
        answers = [issued["action_id"]] if issued and issued["kind"] == "review" else []
        total = self.total(account, policy.ladder) if policy.ladder else 0
        if issued and about is known and issued["why"] in ("breaker", "exempt"):
            if issued["step"] == 0:
                self.post_action(False, name, account, known, issued["proposed"], total, time,
                                 answers, True)  # fmt: skip
            else:
                assert policy.ladder is not None
                steps = {s[0]: s for s in self.ladders[policy.ladder].steps}
                self.step(False, name, account, known, policy, steps[issued["step"]], posted,
                          time, total, total, answers, True)  # fmt: skip
            return
        able = {
            rule_id: rule
            for rule_id, rule in policy.rules.items()
            if rule[2] == "live"
            and (
                rule[0] in ("label", "limit", "remove")
                or (policy.ladder is not None and rule[1] > known.weight)
            )
        }
        held = [rule_id for rule_id in able if rule_id in known.rules]
        hardness = {None: 0, "review": 1, "label": 2, "limit": 3, "remove": 4}
        mildest = sorted(able, key=lambda r: (able[r][1], hardness[able[r][0]]))
        if not held and not mildest:
            return
        rule_id = held[0] if held else mildest[0]
        if rule_id not in known.rules:
            known.rules.append(rule_id)
        self.carry_out(False, name, account, known, policy, able[rule_id], posted, time, answers,
                       True)  # fmt: skip
