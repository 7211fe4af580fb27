"""What screen writes, with both backends: signals, sightings, dead letters, forwarded records."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest

from fastpath import screen as compiled
from fastpath.records import unpack_sightings
from fastpath.reference import screen as twin
from tests.support.stage_inputs import KEY, bundle_with, view_of
from worker.stages.protocols import ROLES, Output
from worker.stages.screen import NOTICE_FLAGS, ScreenStage

BUNDLE = bundle_with({"windows.posts_1m > 30": "windows.posts_1m > 2"})
NOW = 1_700_000_000_000
BACKENDS = [compiled.Screen, twin.Screen]


@pytest.fixture(params=BACKENDS, ids=["compiled", "reference"])
def stage(request: pytest.FixtureRequest) -> ScreenStage:
    return new_stage(request.param)


def new_stage(backend: Any, **spec: Any) -> ScreenStage:
    return ScreenStage(
        BUNDLE, backend(BUNDLE.screen_spec(deployment_key=KEY, sighting_partitions=4, **spec))
    )


def post(text: str = "hello there", **fields: Any) -> bytes:
    return orjson.dumps(
        {
            "id": "p1",
            "account": {"id": "u1", "created_at": NOW - 86_400_000},
            "text": text,
            **fields,
        }
    )


def run(
    stage: ScreenStage, values: list[bytes | None], keys: list[bytes | None] | None = None,
    topic: str = "posts", times: list[int] | None = None,
) -> list[Output]:  # fmt: skip
    n = len(values)
    view = view_of(
        values,
        topic,
        keys=keys or [b"u1"] * n,
        times=times or [NOW + i for i in range(n)],
        first=100,
        partition=3,
    )
    return stage.step(stage.new_table(3, 8) if topic == "posts" else None, view)


def records(outputs: list[Output], role: str) -> list[dict[str, Any]]:
    return [orjson.loads(o.value or b"") for o in outputs if o.topic == role]


def test_a_rule_that_holds_is_signalled_with_what_it_read(stage: ScreenStage) -> None:
    text = "They will STORM the hall. Storm the hall!"
    outputs = run(stage, [post(text, urls=["https://evil.example/a"])])
    first, second, third = records(outputs, "signals")
    assert (first["policy"], first["rule"], first["mode"]) == ("violence", "incitement", "live")
    assert first["account"] == {"id": "u1", "created_at": NOW - 86_400_000}
    assert first["origin"] == {"topic": "posts", "partition": 3, "offset": 100, "time": NOW}
    assert first["bundle"] == BUNDLE.digest
    assert first["evidence"]["matches"] == [
        {
            "list": "incitement",
            "pattern": "storm the hall",
            "lane": "folded",
            "span": [10, 24],
            "count": 2,
            "distance": None,
        }
    ]
    assert first["evidence"]["windows"] == {}
    assert second["rule"] == "images"
    assert [m["list"] for m in second["evidence"]["matches"]] == ["bad_links"]
    assert second["evidence"]["matches"][0]["span"] is None
    assert third["rule"] == "flood"
    assert third["evidence"]["windows"] == {"posts_1m": 1}
    assert [m["list"] for m in third["evidence"]["matches"]] == ["spam_domains"]
    signals = [o for o in outputs if o.topic == "signals"]
    assert {(o.key, o.cause, o.trigger, o.partition) for o in signals} == {(b"u1", 100, 100, None)}
    assert stage.counters["rule_hits.violence/incitement.live"] == 1


def test_a_condition_decides_where_its_gate_only_lets_through(stage: ScreenStage) -> None:
    outputs = run(stage, [post("police said: storm the hall")])
    assert records(outputs, "signals") == []


def test_sightings_go_to_the_partition_of_their_fingerprint(stage: ScreenStage) -> None:
    outputs = run(stage, [post(f"some words {i} and others", id=f"p{i}") for i in range(20)])
    packed = [o for o in outputs if o.topic == "sightings"]
    total = 0
    for output in packed:
        record = unpack_sightings(output.value or b"")
        assert record.topic == "posts"
        assert record.bundle_digest.hex() == BUNDLE.digest
        for sighting in record.sightings:
            total += 1
            home = int.from_bytes(sighting.fingerprint[:8], "little") % 4
            assert output.partition == home
        assert output.cause == record.sightings[0].offset
    assert total == 20


def test_a_delete_is_forwarded(stage: ScreenStage) -> None:
    value = orjson.dumps({"id": "p1", "op": "delete", "account": {"id": "u1"}})
    (output,) = run(stage, [value])
    assert orjson.loads(output.value or b"") == {
        "v": 1,
        "kind": "delete",
        "account": {"id": "u1"},
        "post": {"id": "p1"},
        "origin": {"topic": "posts", "partition": 3, "offset": 100, "time": NOW},
    }


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (b"{", b"u1", "json_invalid"),
        (b"\xff\xfe", b"u1", "encoding_invalid"),
        (b'{"id":"1"}', b"u1", "field_missing"),
        (post(), b"u2", "key_mismatch"),
        (post(), None, "key_mismatch"),
        (b"[" * 40 + b"]" * 40, b"\xff", "json_too_deep"),
    ],
)
def test_what_cannot_be_read_is_set_aside_untouched_and_noticed(
    stage: ScreenStage, value: bytes, key: bytes | None, reason: str
) -> None:
    letter, notice = run(stage, [value], [key])
    assert (letter.topic, letter.key, letter.value) == ("dlq", key, value)
    headers = dict(letter.headers)
    assert headers["weir.dlq.reason"] == reason.encode()
    assert headers["weir.dlq.disposition"] == b"poison"
    assert headers["weir.dlq.stage"] == b"screen"
    assert headers["weir.dlq.topic"] == b"posts"
    assert headers["weir.dlq.partition"] == b"3"
    assert headers["weir.dlq.offset"] == b"100"
    assert headers["weir.dlq.timestamp"] == str(NOW).encode()
    assert headers["weir.dlq.bundle_digest"] == BUNDLE.digest.encode()
    assert b"hello" not in headers["weir.dlq.error"]
    assert (notice.topic, notice.key) == ("signals", key)
    record = orjson.loads(notice.value or b"")
    assert (record["kind"], record["reason"], record["post"]) == ("notice", reason, None)
    account = {"id": key.decode()} if key in (b"u1", b"u2") else None
    assert record["account"] == account
    assert stage.counters[f"dead_letters.{reason}.poison"] == 1


def test_a_post_judged_in_part_asks_a_person() -> None:
    for backend in BACKENDS:
        stage = new_stage(backend, max_window_keys=1)
        values = [
            post(account={"id": name, "created_at": 0}, id=f"p{name}") for name in ("u1", "u2")
        ]
        outputs = run(stage, list(values), [b"u1", b"u2"])
        (notice,) = records(outputs, "signals")
        assert notice["reason"] == "window_table_full"
        assert notice["account"] == {"id": "u2"}
        assert notice["post"]["id"] == "pu2"
    assert NOTICE_FLAGS == ("matches_truncated", "window_table_full")


def review(**changes: Any) -> bytes:
    record = {
        "v": 1,
        "kind": "review",
        "action_id": "ID",
        "decision": "overturn",
        "by": {"id": "m1", "role": "moderator"},
        "reason": "not a threat",
        "time": NOW - 5,
    }
    return orjson.dumps({k: v for k, v in {**record, **changes}.items() if v is not None})


def receipt(**changes: Any) -> bytes:
    record = {"v": 1, "kind": "receipt", "action_id": "ID", "status": "done", "at": NOW + 10_000}
    return orjson.dumps({k: v for k, v in {**record, **changes}.items() if v is not None})


def test_a_review_is_checked_and_forwarded_at_the_earlier_time(stage: ScreenStage) -> None:
    (output,) = run(stage, [review(extra=1)], topic="weir.reviews")
    record = orjson.loads(output.value or b"")
    assert (output.topic, output.key, output.cause) == ("signals", b"u1", 100)
    assert record["account"] == {"id": "u1"}
    assert record["origin"] == {
        "topic": "weir.reviews", "partition": 3, "offset": 100, "time": NOW - 5
    }  # fmt: skip
    assert record["decision"] == "overturn"


def test_a_receipt_cannot_be_written_into_the_future(stage: ScreenStage) -> None:
    (output,) = run(stage, [receipt()], topic="weir.receipts")
    record = orjson.loads(output.value or b"")
    assert record["origin"]["time"] == NOW
    assert (record["status"], record["at"]) == ("done", NOW + 10_000)


@pytest.mark.parametrize(
    ("topic", "value", "key", "reason"),
    [
        ("weir.reviews", review(), None, "key_mismatch"),
        ("weir.reviews", review(account={"id": "u2"}), b"u1", "key_mismatch"),
        ("weir.reviews", review(v=2), b"u1", "field_type"),
        ("weir.reviews", review(v=None), b"u1", "field_missing"),
        ("weir.reviews", receipt(), b"u1", "field_type"),
        ("weir.reviews", review(action_id=None), b"u1", "field_missing"),
        ("weir.reviews", review(action_id=""), b"u1", "id_out_of_range"),
        ("weir.reviews", review(action_id="x" * 257), b"u1", "id_out_of_range"),
        ("weir.reviews", review(decision="maybe"), b"u1", "field_type"),
        ("weir.reviews", review(decision="act"), b"u1", "field_missing"),
        ("weir.reviews", review(by={"id": "m1"}), b"u1", "field_missing"),
        ("weir.reviews", review(by="m1"), b"u1", "field_type"),
        ("weir.reviews", review(time=True), b"u1", "field_type"),
        ("weir.reviews", review(time=2**62), b"u1", "field_type"),
        ("weir.reviews", review(post={"id": "p", "revision": "0"}), b"u1", "field_type"),
        ("weir.reviews", review(reason="x" * 4_001), b"u1", "field_type"),
        ("weir.receipts", receipt(status="gone"), b"u1", "field_type"),
        ("weir.receipts", receipt(at=None), b"u1", "field_missing"),
        ("weir.receipts", None, b"u1", "json_invalid"),
        ("weir.receipts", b"[]", b"u1", "field_type"),
    ],
)
def test_a_wrong_review_or_receipt_is_set_aside_and_noticed(
    stage: ScreenStage, topic: str, value: bytes | None, key: bytes | None, reason: str
) -> None:
    letter, notice = run(stage, [value], [key], topic=topic)
    assert (letter.topic, letter.value) == ("dlq", value)
    assert dict(letter.headers)["weir.dlq.reason"] == reason.encode()
    assert orjson.loads(notice.value or b"")["kind"] == "notice"


def test_posts_need_a_table(stage: ScreenStage) -> None:
    with pytest.raises(TypeError, match="table of partition 0"):
        stage.step(None, view_of([post()], "posts"))


def stream() -> list[bytes | None]:
    texts = ["hello", "storm the hall", "http://evil.example/x", "", "burn it down " * 40]
    return [
        b"{" if n % 11 == 0 else post(texts[n % 5], id=f"p{n % 30}", revision=n % 3)
        for n in range(60)
    ]


def test_signals_do_not_depend_on_where_views_end(stage: ScreenStage) -> None:
    values = stream()
    times = [NOW + n * 700 for n in range(60)]
    view = view_of(values, "posts", keys=[b"u1"] * 60, times=times)
    whole = stage.step(stage.new_table(0, 1), view)
    for size in (1, 7, 59):
        table = stage.new_table(0, 1)
        parts = list(
            itertools.chain.from_iterable(
                stage.step(table, view.slice(at, min(at + size, 60))) for at in range(0, 60, size)
            )
        )
        for role in ("signals", "dlq"):
            assert [o for o in parts if o.topic == role] == [o for o in whole if o.topic == role]
        seen = [_seen(outputs) for outputs in (parts, whole)]
        assert seen[0] == seen[1]


def _seen(outputs: list[Output]) -> dict[int | None, list[Any]]:
    """Put the sightings of each partition in a row: records may be cut anywhere."""
    found: dict[int | None, list[Any]] = {}
    for output in outputs:
        if output.topic == "sightings":
            row = found.setdefault(output.partition, [])
            row.extend(unpack_sightings(output.value or b"").sightings)
    return found


def test_both_backends_write_the_same_bytes() -> None:
    written = [run(new_stage(backend), stream()) for backend in BACKENDS]
    assert written[0] == written[1]
    assert {output.topic for output in written[0]} <= set(ROLES)
    causes = [output.cause for output in written[0]]
    assert causes == sorted(causes)
