"""Probes mean progress; the server serves four paths."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest

from worker.domain.errors import ConfigError
from worker.obs.collector import Exposition, WorkerCollector
from worker.obs.health import COMMIT_WITHIN_S, LIVE_WITHIN_S, Health, HealthServer
from worker.obs.instruments import Instruments


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def instruments() -> Instruments:
    return Instruments("screen")


@pytest.fixture
def health(instruments: Instruments, clock: Clock) -> Health:
    return Health(instruments, clock)


def running(health: Health) -> Health:
    health.joined()
    health.turned(0)
    return health


def test_start_up_is_over_with_the_first_assignment(health: Health) -> None:
    assert not health.started().ok
    assert "consumer group" in health.ready().text
    running(health)
    assert health.started().ok
    assert health.ready().ok


def test_live_until_the_loop_stands_still(health: Health, clock: Clock) -> None:
    running(health)
    clock.now += LIVE_WITHIN_S
    assert health.live().ok
    clock.now += 1
    assert not health.live().ok
    assert "31 s ago, limit 30" in health.live().text
    assert not health.ready().ok
    health.turned(5)
    assert health.live().ok


def test_ready_only_once_every_partition_is_rebuilt(health: Health) -> None:
    running(health).restoring(2)
    assert health.live().ok
    assert "2 partitions" in health.ready().text
    health.restoring(0)
    assert health.ready().ok


def test_behind_without_a_commit_is_not_ready_but_live(health: Health, clock: Clock) -> None:
    running(health)
    for _ in range(int(COMMIT_WITHIN_S) + 1):
        clock.now += 1
        health.turned(7)
    assert health.live().ok
    assert "without a commit for 61 s" in health.ready().text
    health.committed()
    assert health.ready().ok


def test_an_idle_hour_does_not_count_against_the_first_record(health: Health, clock: Clock) -> None:
    running(health)
    clock.now += 3_600
    health.turned(0)
    health.turned(9)
    assert health.ready().ok


def test_a_stop_for_a_person_is_live_and_not_ready_and_says_what_to_do(
    health: Health, instruments: Instruments, clock: Clock
) -> None:
    health.stopped(72, "the fuse of posts/3 is open: see weir.dlq")
    clock.now += 3_600
    assert health.live().ok
    assert health.started().ok
    assert not health.ready().ok
    assert "72" in health.ready().text
    assert "the fuse of posts/3 is open" in health.ready().text
    assert instruments.value("weir_stopped_code") == 72


@pytest.fixture
def server(health: Health, instruments: Instruments) -> Iterator[HealthServer]:
    exposition = Exposition(WorkerCollector([instruments]))
    other = running(Health(Instruments("enforce")))
    server = HealthServer("127.0.0.1", 0, [health, other], exposition)
    server.start()
    yield server
    server.close()


def ask(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("Content-Type", "")
    finally:
        connection.close()


def test_the_server_answers_for_every_stage_of_the_process(
    server: HealthServer, health: Health
) -> None:
    assert ask(server, "/startupz")[0] == 503
    assert ask(server, "/readyz")[0] == 503
    running(health)
    assert ask(server, "/startupz")[:2] == (200, "ok\nok\n")
    assert ask(server, "/livez")[0] == 200
    health.stopped(73, "retention overtook posts/0")
    assert ask(server, "/livez")[0] == 200
    code, body, _ = ask(server, "/readyz")
    assert code == 503
    assert "retention overtook posts/0" in body


def test_metrics_are_served_in_the_text_format(server: HealthServer) -> None:
    code, body, content_type = ask(server, "/metrics")
    assert code == 200
    assert content_type.startswith("text/plain; version=")
    assert 'weir_fuse_open{stage="screen"} 0.0' in body


@pytest.mark.parametrize("path", ["/", "/debug", "/metrics/", "/livez/x", "/../livez"])
def test_nothing_else_is_served(server: HealthServer, path: str) -> None:
    assert ask(server, path)[0] == 404


def test_other_methods_are_refused_and_head_has_no_body(server: HealthServer) -> None:
    assert ask(server, "/metrics", "POST")[0] == 501
    code, body, _ = ask(server, "/livez", "HEAD")
    assert (code, body) == (200, "")


def test_a_taken_port_is_an_error_at_once(server: HealthServer, health: Health) -> None:
    exposition = Exposition(WorkerCollector([Instruments("screen")]))
    with pytest.raises(ConfigError, match=f"health.port {server.port} of .* in use; set another"):
        HealthServer("127.0.0.1", server.port, [health], exposition)
