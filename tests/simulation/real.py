"""Put the real stages under the simulator, each with a sequential oracle of its own.

Enforce is judged by `tests.support.enforce_oracle`, correlate by
`tests.support.url_campaign_oracle`, screen's signals by a window counted here. What has no oracle
(packed sightings, campaign records, tables) is compared with the stage run once over the whole
input, in order and without the engine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import orjson

from fastpath.changelog import SLICES, unpack
from fastpath.columns import Sighting
from fastpath.records import BatchView, SightingPacker, unpack_sightings
from fastpath.screen import Screen
from tests.simulation.brokers import Log, Stored
from tests.support.enforce_stories import KEY, Replay, _event, oracle_for, story, told
from tests.support.stage_inputs import bundle_with
from tests.support.url_campaign_oracle import Share, campaign_signals
from worker.policy.bundle import Bundle
from worker.stages.correlate import CorrelateStage
from worker.stages.enforce import EnforceStage
from worker.stages.protocols import ROLES
from worker.stages.screen import ScreenStage
from worker.state.ledger_images import RowImages
from worker.transport.protocols import Partition

Outputs = dict[tuple[Partition, str], list[tuple[Any, ...]]]
OTHER_DIGEST = "ab" * 32  # of a bundle that decides the same
ACCOUNTS, POSTS_1M = 6, 2  # what the rules of the bundles below ask for
MINUTE, DAY = 60_000, 86_400_000


class RealSubject:
    """Hold what the three have in common: one input, tables read through their snapshots."""

    stage_name = ""
    stateful = ""
    ring = ((4_096, SLICES, 7), (2 * SLICES + 8, SLICES, 1))
    small_records = False
    bundle: Bundle

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.partitions = draw.choice((1, 2, 3))
        self.inputs = (self.stateful,)
        self.state = f"weir.state.{self.stage_name}"
        outputs = {f"weir.{role}": 2 for role in ROLES}
        self.topics = outputs | {self.stateful: self.partitions, self.state: self.partitions}
        self.placement = draw.randbytes(16)
        self.rows: dict[int, list[bytes]] = {}
        self.times: dict[int, list[int]] = {}
        self.draw_input()

    @property
    def bundles(self) -> tuple[str, str]:
        return self.bundle.digest, OTHER_DIGEST

    def draw_input(self) -> None:
        """Draw `rows` and `times` by partition."""
        raise NotImplementedError

    def input(self) -> list[tuple[Partition, Stored | None]]:
        waiting, made = {n: 0 for n in self.rows if self.rows[n]}, []
        while waiting:
            number = self.draw.choice(sorted(waiting))
            at = waiting[number]
            row = Stored(self.key(number, at), self.rows[number][at], self.times[number][at])
            made.append((Partition(self.stateful, number), row))
            waiting[number] += 1
            if waiting[number] == len(self.rows[number]):
                del waiting[number]
        return made

    def key(self, number: int, at: int) -> bytes | None:
        return None

    def of(self, bundle: int) -> Bundle:
        return replace(self.bundle, digest=self.bundles[bundle])

    def new_stage(self, bundle: int, slices: int) -> Any:
        raise NotImplementedError

    def fingerprint(self, stage: Any, table: Any) -> Any:
        return [sorted(_entries(stage.snapshot(table, slice_))) for slice_ in range(SLICES)]

    def expected(
        self, logs: Mapping[tuple[str, int], Log], upto: Mapping[Partition, int]
    ) -> tuple[Outputs, dict[int, Any]]:
        """Say what outputs and tables must be once the whole input was read."""
        outputs: Outputs = {}
        state = {}
        for number in self.rows:
            place, stage = Partition(self.stateful, number), self.new_stage(0, SLICES)
            table, n = stage.new_table(number, self.partitions), len(self.rows[number])
            for output in stage.step(table, self._view(number, n)) if n else ():
                topic = f"weir.{output.topic}"
                record = Stored(output.key, output.value, 0, output.headers)
                for _, said in self.told(topic, record):
                    outputs.setdefault((place, topic), []).append(said)
            state[number] = self.fingerprint(stage, table)
            self.judge(place, outputs)
        return outputs, state

    def _view(self, number: int, n: int) -> BatchView:
        return BatchView.from_records(
            self.stateful,
            number,
            [self.key(number, at) for at in range(n)],
            self.rows[number],
            self.times[number],
            list(range(n)),
        )

    def judge(self, place: Partition, outputs: Outputs) -> None:
        """Put what the oracle says in place of what the stage said."""
        raise NotImplementedError

    def told(self, topic: str, record: Stored) -> Iterator[tuple[Partition, tuple[Any, ...]]]:
        """Read one output record: whose it is and what it says, an input offset first."""
        raise NotImplementedError


def _entries(packed: bytes) -> list[tuple[bytes, bytes, bool]]:
    return [tuple(entry) for entry in unpack(packed)]


class EnforceSubject(RealSubject):
    """Tell a story per partition; the oracle recounts everything for every event."""

    stage_name = "enforce"
    stateful = "weir.signals"

    def draw_input(self) -> None:
        self.bundle, events, self.act_after = story(self.draw.randrange(1 << 30))
        self.said: dict[int, list[tuple[str, tuple[Any, ...]]]] = {}
        for number in range(self.partitions):
            oracle = oracle_for(self.bundle, self.act_after, number, self.partitions)
            replay = Replay(oracle, partition=number)
            said = self.said[number] = []
            for event in events if number == 0 else [_event(self.draw) for _ in events]:
                at, known = len(replay.records), len(oracle.actions)
                replay.feed(event)
                said += [(_action_topic(a), (at, _json(a))) for a in oracle.actions[known:]]
            self.rows[number] = replay.records
            self.times[number] = [0] * len(replay.records)

    def new_stage(self, bundle: int, slices: int) -> Any:
        return EnforceStage(self.of(bundle), "weir", KEY, self.act_after)

    def fingerprint(self, stage: Any, table: Any) -> Any:
        """Read what can be observed: rows as of their last judged time, and the breaker."""
        images = RowImages(KEY, b"x")
        return [
            (
                sorted(e for name, row in book.ledger.rows() for e in images.all(name, row)),
                sorted(e for at in range(SLICES) for e in book.breaker.snapshot(at)),
            )
            for book in (table.live, table.shadow)
        ]

    def judge(self, place: Partition, outputs: Outputs) -> None:
        for key in [key for key in outputs if key[0] == place]:
            del outputs[key]
        for topic, said in self.said[place.number]:
            outputs.setdefault((place, topic), []).append(said)

    def told(self, topic: str, record: Stored) -> Iterator[tuple[Partition, tuple[Any, ...]]]:
        origin = orjson.loads(record.value or b"")["origin"]
        said = told(record)  # type: ignore[arg-type]
        yield Partition(self.stateful, origin["partition"]), (origin["offset"], _json(said))


def _json(said: Any) -> bytes:
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def _action_topic(action: Mapping[str, Any]) -> str:
    return "weir.shadow" if action["shadow"] else f"weir.actions.{action['kind']}"


@cache
def _campaign_bundle() -> Bundle:
    return bundle_with({})


class CorrelateSubject(RealSubject):
    """Let accounts share devices; a device of six accounts within a day is a campaign."""

    stage_name = "correlate"
    stateful = "weir.sightings"

    def draw_input(self) -> None:
        self.bundle = _campaign_bundle()
        self.shares: dict[int, list[Share]] = {}
        draw = self.draw
        for number in range(self.partitions):
            shares = self.shares[number] = []
            packer = SightingPacker("posts", bytes(32), 1)
            rows = self.rows[number] = []
            for at in range(draw.randint(5, 30)):
                packed = []
                for part in range(draw.randint(1, 3)):
                    device, time = draw.randrange(4), draw.randrange(3 * DAY)
                    account, post = f"{number}-u{draw.randrange(14)}", f"{at}-{part}"
                    shares.append(Share(str(device), account, post, time))
                    mark = bytes([device + 1]) * 16
                    packed.append(
                        Sighting(
                            "device", mark, account, None, post, 0, time, bytes(16), 0, number, at
                        )
                    )
                (batch,) = packer.pack(packed)
                rows.append(batch.value)
            self.times[number] = [0] * len(rows)

    def new_stage(self, bundle: int, slices: int) -> Any:
        return CorrelateStage(self.of(bundle), 30 * DAY, KEY, placement_seed=self.placement)

    def judge(self, place: Partition, outputs: Outputs) -> None:
        wanted = campaign_signals(self.shares[place.number], accounts=ACCOUNTS, over_ms=DAY)
        outputs[place, "weir.signals"] = [(0, s.account, s.post) for s in sorted(wanted)]

    def told(self, topic: str, record: Stored) -> Iterator[tuple[Partition, tuple[Any, ...]]]:
        said = orjson.loads(record.value or b"")
        if topic == "weir.signals":
            number = said["origin"]["partition"]
            heard = (0, said["account"]["id"], said["post"]["id"])
        else:
            number = int(said["members"][0].split("-")[0])
            heard = (0, _json({name: said[name] for name in ("fingerprint", "rule", "members")}))
        yield Partition(self.stateful, number), heard


@cache
def _window_bundle() -> Bundle:
    return bundle_with({"windows.posts_1m > 30": f"windows.posts_1m > {POSTS_1M}"})


class ScreenSubject(RealSubject):
    """Let accounts post, some of it forbidden and some too fast, some of it unreadable."""

    stage_name = "screen"
    stateful = "posts"

    def draw_input(self) -> None:
        self.bundle = _window_bundle()
        draw = self.draw
        for number in range(self.partitions):
            rows, times, now = [], [], 1_700_000_000_000
            self.keys: dict[tuple[int, int], bytes] = getattr(self, "keys", {})
            for at in range(draw.randint(5, 40)):
                now += draw.choice((0, 10, 4_000, 20_000, 100_000, -9_000))
                account = f"{number}-u{draw.randrange(4)}"
                text = draw.choice(("a fine day", "storm the hall now", "good night", "so what"))
                body = {"id": f"p{at}", "account": {"id": account}, "text": text}
                row = orjson.dumps(body) if draw.random() > 0.08 else b'{"id": '
                rows.append(row)
                times.append(now)
                self.keys[number, at] = account.encode()
            self.rows[number], self.times[number] = rows, times

    def key(self, number: int, at: int) -> bytes | None:
        return self.keys[number, at]

    def new_stage(self, bundle: int, slices: int) -> Any:
        made = self.of(bundle)
        spec = made.screen_spec(deployment_key=KEY, sighting_partitions=2)
        return ScreenStage(made, Screen(spec), placement_seed=self.placement)

    def judge(self, place: Partition, outputs: Outputs) -> None:
        """Count posts by the rules of time: eight ticks that are the account's own."""
        newest: dict[str, int] = {}
        counts: dict[tuple[str, int], int] = {}
        found: list[tuple[Any, ...]] = []
        rows = zip(self.rows[place.number], self.times[place.number], strict=True)
        for at, (row, time) in enumerate(rows):
            if row == b'{"id": ':
                found.append((at, "notice"))
                continue
            post = orjson.loads(row)
            account, tick = post["account"]["id"], time // (MINUTE // 8)
            newest[account] = max(newest.get(account, tick), tick)
            first = newest[account] - 7
            if tick >= first:
                counts[account, tick] = counts.get((account, tick), 0) + 1
            seen = range(max(tick - 7, first), tick + 1)
            if "storm the hall" in post["text"]:
                found.append((at, "incitement"))
            if sum(counts.get((account, each), 0) for each in seen) > POSTS_1M:
                found.append((at, "flood"))
        outputs[place, "weir.signals"] = found

    def told(self, topic: str, record: Stored) -> Iterator[tuple[Partition, tuple[Any, ...]]]:
        if topic == "weir.sightings":
            for each in unpack_sightings(record.value or b"").sightings:
                place = Partition(self.stateful, each.partition)
                yield place, (each.offset, each.fingerprint, each.account)
        elif topic == "weir.dlq":
            headers = dict(record.headers)
            yield (
                Partition(self.stateful, int(headers["weir.dlq.partition"])),
                (int(headers["weir.dlq.offset"]), record.value),
            )
        else:
            said = orjson.loads(record.value or b"")
            origin = said["origin"]
            what = said["rule"] if said["kind"] == "signal" else said["kind"]
            yield Partition(self.stateful, origin["partition"]), (origin["offset"], what)


REAL: tuple[type[RealSubject], ...] = (EnforceSubject, CorrelateSubject, ScreenSubject)
EVERY = 40  # one seed in so many runs a real stage


def real_subject(seed: int) -> type[RealSubject] | None:
    """Choose the stage of a seed; None for the counting one."""
    return REAL[seed // EVERY % len(REAL)] if seed % EVERY == EVERY - 1 else None
