"""Tell stories to enforce and to its oracle: bundles, streams of events, the records they make."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from tests.support.enforce_oracle import Oracle, OracleLadder, OraclePolicy
from tests.support.stage_inputs import KEY, base_bundle, view_of
from worker.domain.signal import Origin
from worker.policy.bundle import Bundle, Ladder, Policy, Step
from worker.stages.enforce import EnforceStage
from worker.stages.protocols import Output

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
ACCOUNTS = ["a", "b", "newsroom"]
RULE = base_bundle().post_rules[0]
START = 1_000 * DAY


def oracle_for(
    bundle: Bundle, act_after: int | None, partition: int = 0, partitions: int = 1
) -> Oracle:
    pool = {p.ladder.name: p.ladder for p in bundle.policies.values() if p.ladder is not None}
    return Oracle(
        {
            p.name: OraclePolicy(
                p.name,
                p.ladder.name if p.ladder else None,
                p.severe,
                p.cooldown_ms,
                {r.id: (r.post_action, r.strikes, r.mode) for r in p.rules},
            )
            for p in bundle.policies.values()
        },
        {
            name: OracleLadder(
                of.strike_ttl_ms,
                of.warn_grace_ms,
                of.warning == "delivered",
                [(s.at, s.do, s.for_ms, s.until is not None) for s in of.steps],
            )
            for name, of in pool.items()
        },
        set(bundle.exempt_accounts),
        dict(bundle.limits),
        act_after,
        bundle.enforcement == "observe",
        "weir",
        KEY,
        partition,
        partitions,
    )


class Replay:
    """Feed events to the oracle and write the records that say the same."""

    def __init__(self, oracle: Oracle, start: int = START, partition: int = 0) -> None:
        self.oracle = oracle
        self.partition = partition
        self.time = start
        self.records: list[bytes] = []
        self.posted: dict[str, int] = {}  # post of a fresh signal -> origin time

    def feed(self, event: tuple[Any, ...]) -> None:
        self.time += event[1]
        origin = Origin("posts", self.partition, len(self.records), self.time)
        getattr(self, event[0])(origin, *event[2:])

    def _write(self, kind: str, origin: Origin, **fields: Any) -> None:
        """Write a record of `weir.signals` by docs/records.md, with no code of the stages."""
        self.records.append(orjson.dumps({"v": 1, "kind": kind, **fields, "origin": origin}))

    def fresh(self, origin: Origin, name: str, policy: str, rule: str) -> None:
        post = f"fresh{origin.offset}"
        self.posted[post] = origin.time
        self.signal(origin, name, post, 0, policy, rule, "live")

    def signal(
        self, origin: Origin, name: str, post: str, revision: int, policy: str, rule: str,
        mode: Any,
    ) -> None:  # fmt: skip
        match = {
            "list": "words", "pattern": "w", "lane": "folded", "span": [0, 1], "count": 1,
            "distance": None,
        }  # fmt: skip
        self._write(
            "signal", origin, account={"id": name, "created_at": None},
            post={"id": post, "revision": revision, "digest": "00"}, policy=policy, rule=rule,
            mode=mode, bundle="d",
            evidence={
                "matches": [match], "windows": {"posts_1m": 3}, "flags": [], "campaign": None
            },
        )  # fmt: skip
        self.oracle.signal(name, post, revision, policy, rule, mode, origin.time)

    def delete(self, origin: Origin, name: str, post: str) -> None:
        self._write("delete", origin, account={"id": name}, post={"id": post})
        self.oracle.delete(name, post, origin.time)

    def delete_of(self, origin: Origin, pick: int) -> None:
        action = self.chosen(pick)
        if action is not None and action["post"] is not None:
            self.delete(origin, action["account_id"], action["post"])

    def notice(
        self, origin: Origin, name: str | None, post: tuple[str, int] | None, reason: str
    ) -> None:
        self._write(
            "notice", origin, reason=reason, account=name and {"id": name},
            post=post and {"id": post[0], "revision": post[1], "digest": "00"},
        )  # fmt: skip
        where = f"{origin.topic}/{origin.partition}/{origin.offset}"
        self.oracle.notice(name, post, reason, where, origin.time)

    def receipt(self, origin: Origin, pick: int, status: Any) -> None:
        action = self.chosen(pick)
        name = action["account_id"] if action else "a"
        identity = action["action_id"] if action else "UNKNOWN"
        self._write(
            "receipt", origin, account={"id": name}, action_id=identity, status=status,
            at=origin.time,
        )  # fmt: skip
        self.oracle.receipt(name, identity, status, origin.time)

    def review(self, origin: Origin, pick: int, decision: Any, policy: str | None) -> None:
        action = self.chosen(pick)
        if decision == "act" and policy is None:
            policy = action["policy"] if action else "p"
        name = action["account_id"] if action else "a"
        identity = action["action_id"] if action else "UNKNOWN"
        self._reviewed(origin, name, identity, None, decision, policy)

    def review_post(
        self, origin: Origin, name: str, post: str, revision: int | None, decision: Any,
        policy: str | None,
    ) -> None:  # fmt: skip
        if decision == "act" and policy is None:
            policy = "q"
        self._reviewed(origin, name, None, (post, revision), decision, policy)

    def _reviewed(
        self, origin: Origin, name: str, action: str | None, post: tuple[str, int | None] | None,
        decision: Any, policy: str | None,
    ) -> None:  # fmt: skip
        self._write(
            "review", origin, account={"id": name}, action_id=action,
            post=post and {"id": post[0], "revision": post[1]}, decision=decision, policy=policy,
            by={"id": "m1", "role": "moderator"}, reason="seen", time=0,
        )  # fmt: skip
        self.oracle.review(name, action, post, decision, policy, origin.time)

    def chosen(self, pick: int) -> dict[str, Any] | None:
        """Pick an action written so far, shadow ones included: those nobody can review."""
        known = [a for a in self.oracle.actions if a["account_id"] is not None]
        return known[-1 - pick % len(known)] if known and pick < 48 else None


def told(output: Output) -> dict[str, Any]:
    """Take from an action's output what the oracle knows."""
    return told_of(orjson.loads(output.value or b""))


def told_of(r: dict[str, Any]) -> dict[str, Any]:
    """Take from an action record what the oracle knows."""
    proposal = r["proposal"] or {"cause": None, "kind": None}
    return {
        "shadow": r["shadow"],
        "kind": r["kind"],
        "action_id": r["action_id"],
        "account_id": r["account_id"],
        "account_seq": r["account_seq"],
        "post": r["post"] and r["post"]["id"],
        "revision": r["post"] and r["post"]["revision"],
        "policy": r["policy"],
        "rules": [name.split("/", 1)[1] for name in r["rule_ids"]],
        "step": r["step"],
        "effective_at": r["effective_at"],
        "expires_at": r["expires_at"],
        "until": r["release_condition"] == "post_deleted",
        "before": r["strikes_before"],
        "after": r["strikes_after"],
        "warning": r["warning"] and r["warning"]["action_id"],
        "why": proposal["cause"],
        "proposed": proposal["kind"],
        "automated": r["automated_decision"],
        "supersedes": r["supersedes"],
    }


def enforce(
    bundle: Bundle, records: Sequence[bytes], act_after: int | None,
    sizes: Sequence[int] = (), partition: int = 0, partitions: int = 1,
) -> list[Output]:  # fmt: skip
    stage = EnforceStage(bundle, "weir", KEY, act_after)
    table = stage.new_table(partition, partitions)
    outputs, at = [], 0
    for size in [*sizes, len(records)]:
        part = records[at : at + size]
        outputs += stage.step(table, view_of(part, first=at))
        at += size
    return outputs


def story(seed: int) -> tuple[Bundle, list[tuple[Any, ...]], int | None]:
    """Draw a bundle that acts and a stream in which accounts offend, wait, delete and appeal."""
    draw = random.Random(seed)
    pool = [_ladder(draw, name) for name in ("mild", "hard")]
    policies = {
        name: Policy(
            name=name,
            ladder=draw.choice([pool[0], pool[0], pool[0], pool[1], None]),
            severe=draw.random() < 0.25,
            clause="https://example.org/rules",
            cooldown_ms=draw.choice([0, 0, 0, 45 * MINUTE]),
            rules=tuple(
                replace(
                    RULE,
                    policy=name,
                    id=f"r{i}",
                    post_action=draw.choice([None, "label", "limit", "remove", "review"]),
                    strikes=draw.choice([0, 1, 1, 1, 2, 3]),
                    mode=draw.choice(["live"] * 8 + ["shadow", "off"]),
                )
                for i in range(draw.randint(1, 3))
            ),
        )
        for name in ("p", "q")
    }
    kinds = ["label", "limit", "remove", "warn", "lock", "suspend"]
    limits = {kind: draw.randint(0, 3) for kind in draw.sample(kinds, 2)}
    bundle = replace(
        base_bundle(),
        enforcement="observe" if draw.random() < 0.05 else "live",
        policies=policies,
        limits=limits if draw.random() < 0.3 else {},
        exempt_accounts=frozenset({"newsroom"}),
    )
    events = [_event(draw) for _ in range(draw.randint(5, 60))]
    return bundle, events, START + 3 * HOUR if draw.random() < 0.2 else None


def _ladder(draw: random.Random, name: str) -> Ladder:
    steps = {
        at: Step(
            at,
            draw.choice(["warn", "lock", "lock", "lock", "suspend", "review"]),
            draw.choice([None, HOUR, 12 * HOUR, 7 * DAY, 200 * DAY]),
            draw.choice([None, None, "post_deleted"]),
        )
        for at in draw.sample(range(1, 7), draw.randint(1, 4))
    }
    return Ladder(
        name=name,
        strike_ttl_ms=draw.choice([5 * HOUR, 90 * DAY, 400 * DAY]),
        warn_grace_ms=draw.choice([0, 50 * MINUTE, 50 * MINUTE]),
        warning=draw.choice(["issued", "issued", "delivered"]),
        steps=tuple(steps[at] for at in sorted(steps)),
    )


def _event(draw: random.Random) -> tuple[Any, ...]:
    gap = draw.choice(
        [0, 0, 1, MINUTE, 30 * MINUTE, HOUR, HOUR, 2 * HOUR, 2 * HOUR, -MINUTE, -HOUR]
    )
    if draw.random() < 0.06:
        gap = draw.choice([DAY, 8 * DAY, 91 * DAY, 190 * DAY, 500 * DAY, -9 * DAY, -200 * DAY])
    account = draw.choice(["a", "a", "a", "a", "b", "newsroom"])
    policy = draw.choice(["p"] * 5 + ["q"] * 5 + ["lost"])
    rule = f"r{draw.randint(0, 2)}"
    pick = draw.choice([0, 0, 1, 1, 2, 3, 5, 8, 13, 50])
    match draw.choices(
        ["fresh", "signal", "delete_of", "receipt", "review", "review_post", "notice"],
        [10, 5, 2, 2, 2, 1, 1],
    )[0]:
        case "fresh":
            return ("fresh", gap, account, policy, rule)
        case "signal":
            post, mode = f"post{draw.randint(0, 5)}", draw.choice(["live"] * 5 + ["shadow"])
            return ("signal", gap, account, post, draw.choice([0, 0, 1]), policy, rule, mode)
        case "delete_of":
            return ("delete_of", gap, pick)
        case "receipt":
            return ("receipt", gap, pick, draw.choice(["done", "done", "repeated", "failed"]))
        case "review":
            decision = draw.choice(["overturn", "act", "act", "uphold"])
            return ("review", gap, pick, decision, draw.choice([None, None, "p", "q", "lost"]))
        case "review_post":
            post = f"post{draw.randint(0, 5)}"
            decision, named = draw.choice(["overturn", "act"]), draw.choice(["p", "q", None])
            return ("review_post", gap, account, post, draw.choice([None, 0, 1]), decision, named)
        case _:
            post_ref = draw.choice([None, ("post1", 0)])
            return ("notice", gap, draw.choice(["a", "b", None]), post_ref, "json_invalid")
