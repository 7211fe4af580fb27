"""Every record that a stage writes follows the schema that readers are given."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from tests.property.test_correlate import many, run_in_records
from tests.support.enforce_stories import Replay, enforce, oracle_for, story
from tests.support.stage_inputs import KEY
from tests.unit import test_screen_stage as screen_stage
from worker.domain.action import ACTION_KINDS
from worker.stages.protocols import Output

FOLDER = Path(__file__).parents[2] / "docs" / "records"
STORIES = 60


@cache
def validator(name: str) -> Draft202012Validator:
    schema = orjson.loads((FOLDER / f"{name}.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@cache
def actions() -> tuple[Output, ...]:
    written: list[Output] = []
    for seed in range(STORIES):
        bundle, events, act_after = story(seed)
        replay = Replay(oracle_for(bundle, act_after))
        for event in events:
            replay.feed(event)
        for record in replay.records:
            validator("signal").validate(orjson.loads(record))
        written += enforce(bundle, replay.records, act_after)
    return tuple(written)


def test_every_action_is_a_complete_statement() -> None:
    kinds = set()
    for output in actions():
        record = orjson.loads(output.value or b"")
        validator("action").validate(record)
        kinds.add(record["kind"])
    assert kinds == set(ACTION_KINDS)


def test_the_keys_of_an_action_have_one_order() -> None:
    schema = orjson.loads((FOLDER / "action.schema.json").read_bytes())
    for output in actions():
        assert list(orjson.loads(output.value or b"")) == schema["required"]


def test_headers_route_without_parsing() -> None:
    for output in actions():
        record = orjson.loads(output.value or b"")
        headers = dict(output.headers)
        assert headers["weir.kind"] == record["kind"].encode()
        assert headers["content-type"] == b"application/json"
        cloud = {name: value for name, value in headers.items() if name.startswith("ce_")}
        if record["shadow"]:
            assert cloud == {}
            continue
        if record["account_id"] is not None:  # never the account itself
            digest = hashlib.blake2b(record["account_id"].encode(), digest_size=8, key=KEY)
            assert cloud.pop("ce_subject") == digest.hexdigest().encode()
        assert cloud == {
            "ce_specversion": b"1.0",
            "ce_id": record["action_id"].encode(),
            "ce_source": b"weir/enforce",
            "ce_type": f"weir.action.{record['kind']}.v1".encode(),
            "ce_time": headers["ce_time"],
        }


@pytest.mark.parametrize("field", ["clause_ref", "warning", "expires_at", "in", "supersedes"])
def test_an_action_that_lacks_a_field_is_refused(field: str) -> None:
    record = next(
        r for o in actions() for r in [orjson.loads(o.value or b"")] if r["kind"] == "lock"
    )
    del record[field]
    assert [error.message for error in validator("action").iter_errors(record)]


def test_a_ban_without_warning_or_severity_is_refused() -> None:
    record = next(
        r for o in actions() for r in [orjson.loads(o.value or b"")] if r["kind"] == "lock"
    )
    record |= {"warning": None, "severe": False}
    assert list(validator("action").iter_errors(record))


def _records(outputs: list[Output], role: str) -> list[Any]:
    return [orjson.loads(o.value or b"") for o in outputs if o.topic == role]


def test_what_screen_and_correlate_write_follows_its_schema() -> None:
    screen = screen_stage.new_stage(screen_stage.BACKENDS[0])
    outputs = screen_stage.run(screen, screen_stage.stream())
    outputs += screen_stage.run(screen, [screen_stage.review()], topic="weir.reviews")
    outputs += screen_stage.run(screen, [screen_stage.receipt()], topic="weir.receipts")
    found, _, _ = run_in_records(many(5), [1] * 5)
    signals = _records([*outputs, *found], "signals")
    assert {record["kind"] for record in signals} == {"signal", "notice", "review", "receipt"}
    for record in signals:
        validator("signal").validate(record)
    campaigns = _records(found, "campaigns")
    assert campaigns
    for record in campaigns:
        validator("campaign").validate(record)
