"""Large receives read what the client's own would; EndTxn requests are counted."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError
from kafka.net.compat import KafkaNetClient
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from kafka.protocol.producer import AddPartitionsToTxnRequest, EndTxnRequest

from tests.support import tls
from worker.settings import KafkaSettings
from worker.transport.kafka import fast_path
from worker.transport.kafka.net import FastNetClient, receive

DATA = bytes(range(256)) * 500  # above 16 KiB, the most that one TLS record holds


@pytest.fixture(params=["plain", "tls"])
def pair(request: pytest.FixtureRequest) -> Any:
    """Give the sending socket and the client's transport over the receiving one."""
    near, far = socket.socketpair()
    with near, far:
        if request.param == "plain":
            near.setblocking(False)
            yield far, KafkaTCPTransport(None, near)
            return
        with tls.handshaken(near, far) as (client, server):
            client.setblocking(False)
            transport = KafkaSSLTransport.__new__(KafkaSSLTransport)
            KafkaTCPTransport.__init__(transport, None, client)
            yield server, transport


def test_all_that_came_is_received(pair: tuple[socket.socket, Any]) -> None:
    far, transport = pair
    far.sendall(DATA)
    received = b""
    while len(received) < len(DATA):
        data, error = receive(transport)
        assert error is None
        received += data
    assert received == DATA
    assert receive(transport) == (b"", None)


def test_a_closed_socket_is_an_error_with_what_came_before(
    pair: tuple[socket.socket, Any],
) -> None:
    far, transport = pair
    far.sendall(b"last")
    far.close()
    data, error = receive(transport)
    assert data == b"last"
    assert isinstance(error, KafkaConnectionError)


def test_a_transport_that_was_closed_is_an_error() -> None:
    data, error = receive(SimpleNamespace(_sock=None))
    assert data == b""
    assert isinstance(error, KafkaConnectionError)


class _Manager:
    def send(self, request: Any, node_id: Any) -> str:
        return "future"


def test_each_try_to_end_a_transaction_is_counted() -> None:
    client = FastNetClient(net=object(), manager=_Manager())
    assert (client.end_requests, client.last_end_request) == (0, None)
    assert client.send(1, AddPartitionsToTxnRequest()) == "future"
    assert client.end_requests == 0
    assert client.send(1, EndTxnRequest(), wakeup=False) == "future"
    first = client.last_end_request
    client.send(1, EndTxnRequest())
    assert client.end_requests == 2
    assert first is not None
    assert client.last_end_request is not None
    assert client.last_end_request >= first


def test_large_receives_can_be_left_out() -> None:
    plain = FastNetClient(large_receives=False, bootstrap_servers="127.0.0.1:1")
    stock = KafkaNetClient(bootstrap_servers="127.0.0.1:1")
    fast = FastNetClient(bootstrap_servers="127.0.0.1:1")
    try:
        assert type(plain._manager) is type(stock._manager)
        assert type(fast._manager) is not type(stock._manager)
    finally:
        for client in (plain, stock, fast):
            client.close()


# Guards.

NOTHING: dict[str, Any] = {"consumer": None, "receive": None}


def test_the_installed_client_has_the_known_shape() -> None:
    assert fast_path.fast_path_off(KafkaSettings()) == NOTHING


def test_the_plain_path_can_be_asked_for() -> None:
    off = fast_path.fast_path_off(KafkaSettings(fast_path=False))
    assert set(off.values()) == {"kafka.fast_path is false"}


def test_another_version_takes_the_plain_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_path.kafka, "__version__", "3.1.0")
    off = fast_path.fast_path_off(KafkaSettings())
    assert set(off.values()) == {"kafka-python 3.1.0, tried on 3.0.12"}


class _Other:
    def __init__(self, fetch_offset: int, tp: Any, records: Any) -> None: ...


@pytest.mark.parametrize(
    ("part", "owner", "name", "value", "text"),
    [
        ("consumer", "Fetcher", "PartitionRecords", _Other, "takes (self, fetch_offset, tp, recor"),
        ("consumer", "Fetcher", "PartitionRecords", None, "Fetcher has no PartitionRecords"),
        ("receive", "KafkaConnectionManager", "_build_transport", None, "no _build_transport"),
        ("receive", "KafkaTCPTransport", "_sock_recv", None, "KafkaTCPTransport has no _sock_recv"),
        ("receive", "KafkaSSLTransport", "_sock_recv", lambda s, n: n, "takes (s, n)"),
    ],
)
def test_another_shape_takes_the_plain_path_of_its_part(
    monkeypatch: pytest.MonkeyPatch, part: Any, owner: str, name: str, value: object, text: str
) -> None:
    monkeypatch.setattr(getattr(fast_path, owner), name, value)
    off = fast_path.fast_path_off(KafkaSettings())
    assert text in (off[part] or "")
    (other,) = set(off) - {part}
    assert off[other] is None
