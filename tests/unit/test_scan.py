"""Hold the pipeline to the reference order and to results that appear whole or not at all."""

from __future__ import annotations

import base64
import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastpath.records import BatchView
from worker.engine.scan import Pipeline, PipelineError, Scan
from worker.stages.protocols import Output
from worker.transport.protocols import Headers, Polled


class Scripted:
    """Play a stage: what each record says it causes is written; its table counts records."""

    def __init__(self, name: str, role: str) -> None:
        self.name = name
        self.inputs = (role,)
        self.counters: Counter[str] = Counter()

    def new_table(self, partition: int, partitions: int) -> list[int]:
        assert (partition, partitions) == (0, 1)
        return [0]

    def entries(self, table: list[int]) -> Mapping[str, int]:
        return {"records": table[0]}

    def step(self, table: list[int], view: BatchView) -> list[Output]:
        outputs: list[Output] = []
        for index in range(len(view)):
            table[0] += 1
            value = view.value(index)
            assert value is not None
            outputs += self.judge(view.offset(index), orjson.loads(value))
        return outputs

    def judge(self, offset: int, record: dict[str, object]) -> list[Output]:
        raise NotImplementedError


def signal(rule: str, cause: int, post: int) -> Output:
    value = orjson.dumps({"kind": "signal", "policy": "p", "rule": rule, "post": post})
    return Output(cause, post, "signals", b"a", value, rules=(f"p/{rule}",))


class Screen(Scripted):
    def judge(self, offset: int, record: dict[str, object]) -> list[Output]:
        if "bad" in record:
            headers = (("weir.dlq.reason", b"json_invalid"),)
            raw = orjson.dumps(record)
            return [Output(offset, offset, "dlq", None, raw, headers=headers)]
        made = []
        if "sighting" in record:  # written first: the pipeline must put signals in order
            made.append(Output(offset, offset, "sightings", None, orjson.dumps(offset)))
        if "flagged" in record:
            made.append(signal("post", offset, offset))
        return made


class Correlate(Scripted):
    def judge(self, offset: int, record: object) -> list[Output]:
        post = int(str(record))
        return [
            signal("campaign", offset, post),
            Output(offset, post, "campaigns", b"f", orjson.dumps({"post": post})),
        ]


class Enforce(Scripted):
    def judge(self, offset: int, record: dict[str, object]) -> list[Output]:
        value = orjson.dumps({"signal": offset, **record})
        rules = (f"p/{record['rule']}",)
        return [
            Output(offset, 0, "actions.warn", b"a", value, rules=rules),
            Output(offset, 0, "shadow", b"a", value, rules=rules),
        ]


class Kept:
    """Keep results in memory."""

    def __init__(self) -> None:
        self.lines: dict[str, list[bytes]] = {}
        self.summary: bytes | None = None
        self.closed = False

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        headers: Headers = (),
    ) -> None:
        assert value is not None
        self.lines.setdefault(topic, []).append(value)

    def flush(self, timeout_s: float) -> int:
        return 0

    def publish(self, summary: bytes) -> None:
        assert not self.closed
        self.summary = summary

    def close(self, timeout_s: float) -> None:
        self.closed = True

    def path(self, name: str) -> Path:
        return Path(f"{name}.ndjson")


class Listed:
    """Hand out given blocks of lines."""

    name = "posts.ndjson"
    size = None
    position = 0

    def __init__(
        self, blocks: list[list[dict[str, object]]], then: Exception | None = None
    ) -> None:
        self.blocks = list(blocks)
        self.then = then
        self.at_end = False
        self.closed = False
        self._line = 1

    def poll(self, timeout_s: float, max_records: int) -> Polled:
        if not self.blocks:
            if self.then is not None:
                raise self.then
            self.at_end = True
            return Polled()
        block = self.blocks.pop(0)
        data = b"".join(orjson.dumps(post) + b"\n" for post in block)
        view = BatchView.from_lines(self.name, data, self._line)
        self._line += len(block)
        return Polled((view,))

    def close(self, timeout_s: float) -> None:
        self.closed = True


def pipeline(results: Kept, screen: Scripted | None = None) -> Pipeline:
    return Pipeline(
        "posts.ndjson",
        screen=screen or Screen("screen", "posts"),
        correlate=Correlate("correlate", "sightings"),
        enforce=Enforce("enforce", "signals"),
        results=results,
    )


def scan(posts: Listed, results: Kept) -> Scan:
    ticks = iter((10.0, 12.0))
    return Scan(posts, pipeline(results), results, lambda: next(ticks), "d1", "0.1.0")


POSTS = st.lists(
    st.sets(st.sampled_from(["flagged", "sighting", "bad"])).map(
        lambda marks: dict.fromkeys(sorted(marks), 1)
    ),
    max_size=20,
)


@given(posts=POSTS, data=st.data())
def test_signals_come_by_post_screens_first_wherever_blocks_end(
    posts: list[dict[str, object]], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(posts)))))
    edges = [0, *cuts, len(posts)]
    blocks = [posts[a:b] for a, b in itertools.pairwise(edges) if a < b]
    kept = Kept()

    summary = scan(Listed(blocks), kept).run()

    expected = []
    for line, post in enumerate(posts, start=1):
        if "bad" in post:
            continue
        expected += [("post", line)] if "flagged" in post else []
        expected += [("campaign", line)] if "sighting" in post else []
    signals = [orjson.loads(line) for line in kept.lines.get("signals", [])]
    assert [(each["rule"], each["post"]) for each in signals] == expected
    actions = [orjson.loads(line) for line in kept.lines.get("actions", [])]
    assert [each["signal"] for each in actions] == list(range(len(expected)))
    bad = sum("bad" in post for post in posts)
    assert summary.tally.posts == len(posts)
    assert summary.tally.dead_letters == bad
    assert summary.tally.actions == ({"warn": len(expected)} if expected else {})
    assert summary.tally.signals.total() == summary.tally.shadow.total() == len(expected)


def test_dead_letter_holds_the_bytes_the_reason_and_the_line() -> None:
    kept = Kept()
    scan(Listed([[{}, {"bad": "\u00ff"}]]), kept).run()
    assert [orjson.loads(line) for line in kept.lines["dlq"]] == [
        {
            "reason": "json_invalid",
            "raw": base64.b64encode('{"bad":"\u00ff"}'.encode()).decode(),
            "origin": {"file": "posts.ndjson", "line": 2},
        }
    ]


def test_summary_has_the_published_fields_in_order() -> None:
    kept = Kept()
    scan(Listed([[{"flagged": 1}, {"sighting": 1}, {"bad": 1}]]), kept).run()
    assert kept.summary is not None
    assert list(orjson.loads(kept.summary).items()) == [
        ("posts", 3),
        ("dead_letters", 1),
        ("signals", {"p/campaign": 1, "p/post": 1}),
        ("actions", {"warn": 2}),
        ("shadow", {"p/campaign": 1, "p/post": 1}),
        ("campaigns", 1),
        ("seconds", 2.0),
        ("posts_per_s", 2),
        ("bundle", "d1"),
        ("version", "0.1.0"),
    ]


def test_failed_run_publishes_nothing_and_closes_the_input() -> None:
    kept, posts = Kept(), Listed([[{"flagged": 1}]], then=OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        scan(posts, kept).run()
    assert kept.closed
    assert kept.summary is None
    assert posts.closed


def test_progress_reports_records_after_each_block() -> None:
    seen: list[tuple[int, int]] = []
    scan(Listed([[{}, {}], [{}]]), Kept()).run(
        lambda position, posts: seen.append((position, posts))
    )
    assert seen == [(0, 2), (0, 3), (0, 3)]


def test_unknown_role_is_a_broken_composition() -> None:
    class Lost(Screen):
        def judge(self, offset: int, record: dict[str, object]) -> list[Output]:
            return [Output(offset, offset, "elsewhere", None, b"")]

    with pytest.raises(PipelineError, match="'elsewhere'"):
        pipeline(Kept(), Lost("screen", "posts")).step(BatchView.from_lines("p", b"{}\n", 1))
