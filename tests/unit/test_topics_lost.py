"""A broker that goes away while a worker checks topics ends the start with 69, not a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kafka import errors

from worker.domain.errors import BrokerUnavailable
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
