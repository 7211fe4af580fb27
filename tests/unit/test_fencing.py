"""When a member without heartbeats counts as fenced, and when it merely joins again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kafka.coordinator.base import MemberState

from worker.transport.kafka.consumer import Fencing


def client(
    *,
    state: MemberState = MemberState.STABLE,
    generation: int = 3,
    rejoining: bool = False,
    heartbeats: bool = False,
) -> Any:
    member = SimpleNamespace(state=state, generation_id=generation)
    coordinator = SimpleNamespace(rejoining=rejoining, _heartbeat_enabled=heartbeats)
    return SimpleNamespace(_coordinator=coordinator, group_metadata=lambda: member)


def test_a_stable_member_that_stays_without_heartbeats_was_fenced() -> None:
    fencing = Fencing()
    assert [fencing.heard(client()) for _ in range(3)] == [False, True, True]


@pytest.mark.parametrize(
    "other",
    [
        {"heartbeats": True},
        {"rejoining": True},  # a coordinator that moves can be long in coming
        {"state": MemberState.REBALANCING},
        {"state": MemberState.UNJOINED, "generation": -1},
    ],
)
def test_any_other_member_was_not(other: dict[str, Any]) -> None:
    fencing = Fencing()
    assert not any(fencing.heard(client(**other)) for _ in range(5))
    assert not fencing.heard(client())  # and what was seen so far says nothing of this one


def test_a_join_in_between_begins_anew() -> None:
    fencing = Fencing()
    assert not fencing.heard(client(generation=3))
    assert not fencing.heard(client(generation=4))
    assert fencing.heard(client(generation=4))
