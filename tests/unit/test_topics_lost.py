"""A broker that goes away while a worker checks topics: it looks again, then ends with 69."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kafka import errors

from worker.domain.errors import BrokerUnavailable
from worker.runtime import worker as runtime_worker
from worker.runtime.worker import Worker
from worker.settings import Settings
from worker.transport.kafka import topics
from worker.transport.kafka.topics import Topics


class Admin:
    """Answer every question with one error, as the client of a broker that went away does."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _name: str) -> Callable[..., Any]:
        def raising(*_arguments: Any, **_options: Any) -> Any:
            raise self._error

        return raising


def looking(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Topics:
    monkeypatch.setattr(topics, "KafkaAdminClient", lambda **_options: Admin(error))
    return Topics(Settings())


@pytest.mark.parametrize(
    "error",
    [
        errors.UnknownBrokerIdError(1),
        errors.KafkaConnectionError("111 ECONNREFUSED"),
        errors.KafkaTimeoutError("late"),
        errors.NodeNotReadyError("2"),
    ],
)
def test_a_broker_that_goes_away(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    looked = looking(monkeypatch, error)
    with pytest.raises(BrokerUnavailable, match=type(error).__name__):
        looked.refuse(["screen"])


def test_what_no_restart_heals_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = looking(monkeypatch, errors.TopicAuthorizationFailedError("posts"))
    with pytest.raises(errors.TopicAuthorizationFailedError):
        looked.refuse(["screen"])


class Looks:
    """Stand in for `Topics`: a broker goes away in the first looks."""

    def __init__(self, lost: int) -> None:
        self.lost, self.looks = lost, 0

    def __call__(self, _settings: Settings) -> Looks:
        return self

    def __enter__(self) -> Looks:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def refuse(self, _stages: list[str]) -> list[str]:
        self.looks += 1
        if self.looks <= self.lost:
            raise BrokerUnavailable("gone")
        return []


def worker_that(monkeypatch: pytest.MonkeyPatch, looks: Looks, budget_ms: int) -> Worker:
    monkeypatch.setattr(runtime_worker, "Topics", looks)
    monkeypatch.setattr(runtime_worker, "LOOK_AGAIN_S", 0.0)
    settings = Settings(kafka={"unavailable_after_ms": budget_ms})
    return Worker(settings, [], None, None, True)


def test_a_worker_looks_again_where_a_broker_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks(3)
    assert worker_that(monkeypatch, looks, 60_000)._check_topics(["screen"]) == []
    assert looks.looks == 4


def test_a_worker_gives_up_in_time_or_when_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerUnavailable):
        worker_that(monkeypatch, Looks(10_000_000), 1_000)._check_topics(["screen"])
    asked = worker_that(monkeypatch, Looks(1), 60_000)
    asked.stop.set()
    with pytest.raises(BrokerUnavailable):
        asked._check_topics(["screen"])
