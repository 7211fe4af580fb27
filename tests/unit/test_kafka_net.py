"""Frames are received as the client's own parser would; EndTxn requests are counted."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.errors import InvalidReceiveError, KafkaConnectionError
from kafka.net.compat import KafkaNetClient
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from kafka.protocol.consumer import FetchResponse
from kafka.protocol.parser import KafkaProtocol
from kafka.protocol.producer import AddPartitionsToTxnRequest, EndTxnRequest

from tests.support import tls
from worker.settings import KafkaSettings
from worker.transport.kafka import fast_path
from worker.transport.kafka.net import (
    KEPT_BUFFER_BYTES,
    SMALL_BUFFER_BYTES,
    WAKE_BYTES,
    FastNetClient,
    Frame,
    FrameReceiver,
)

LARGEST = (
    9 * SMALL_BUFFER_BYTES
)  # of the frames here: above a TLS record, the small buffer and WAKE_BYTES


class _Parser(KafkaProtocol):  # type: ignore[misc]  # the client is untyped
    """Take any frame for a response: what comes out is the frame."""

    def _process_response(self, frame: Any) -> tuple[int, bytes]:
        return len(self.send_bytes()), bytes(frame.read())


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def receiver_of(transport: Any, parser: Any = None) -> FrameReceiver:
    transport._protocol = SimpleNamespace(parser=parser or _Parser())
    receiver = FrameReceiver(transport)
    receiver.install()
    return receiver


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


def cut(stream: bytes, sizes: list[int]) -> Iterator[bytes]:
    """Cut a stream into pieces of these sizes, and the rest."""
    for size in sizes:
        yield stream[:size]
        stream = stream[size:]
    yield stream


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 40) | st.integers(1, LARGEST), max_size=6),
    cuts=st.lists(st.integers(1, 8) | st.integers(1, LARGEST), max_size=12),
)
def test_frames_are_those_of_the_client_wherever_the_stream_is_cut(
    sizes: list[int], cuts: list[int]
) -> None:
    payloads = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    stream = b"".join(map(framed, payloads))
    pieces = list(cut(stream, cuts))
    feed = _Feed(deque(pieces))
    transport = SimpleNamespace(_sock=feed)
    receiver = receiver_of(transport)
    parser = transport._protocol.parser
    stock = _Parser()
    came = 0
    for piece in pieces:
        assert transport._sock_recv() == (b"", None)
        assert parser.receive_bytes(b"") == KafkaProtocol.receive_bytes(stock, piece)
        came += len(piece)
        assert feed.wakes_at == min(missing_of(payloads, came), WAKE_BYTES)
    assert receiver.take(b"") == []


def missing_of(payloads: list[bytes], came: int) -> int:
    """Return the bytes that must still come of a frame, or of its length where that is not known.

    A reader that waited for one more might wait for ever.
    """
    for payload in payloads:
        if came < 4 + len(payload):
            return 4 - came if came < 4 else 4 + len(payload) - came
        came -= 4 + len(payload)
    return 4


class _Feed:
    """Be a socket that has one piece of a stream at a time."""

    def __init__(self, pieces: deque[bytes]) -> None:
        self._pieces = pieces
        self._left: bytes | None = None
        self.wakes_at = 1

    def setsockopt(self, _level: int, option: int, value: int) -> None:
        assert option == socket.SO_RCVLOWAT
        self.wakes_at = value

    def recv_into(self, room: memoryview) -> int:
        if self._left is None:
            self._left = self._pieces.popleft()
        if not self._left:
            self._left = None
            raise BlockingIOError
        size = min(len(room), len(self._left))
        room[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def test_all_that_came_is_received(pair: tuple[socket.socket, Any]) -> None:
    far, transport = pair
    receiver = receiver_of(transport)
    payload = bytes(range(256)) * (LARGEST // 256)
    with ThreadPoolExecutor(1) as sender:
        sending = sender.submit(far.sendall, framed(payload) + framed(b"next"))
        received: list[Any] = []
        while len(received) < 2:
            assert receiver.receive() == (b"", None)
            received += receiver.take(b"")
        sending.result()
    assert [data for _, data in received] == [payload, b"next"]
    assert receiver.receive() == (b"", None)


def test_a_closed_socket_is_an_error(pair: tuple[socket.socket, Any]) -> None:
    far, transport = pair
    receiver = receiver_of(transport)
    far.sendall(framed(b"last"))
    far.close()
    data, error = receiver.receive()
    assert data == b""
    assert isinstance(error, KafkaConnectionError)


def test_a_transport_that_was_closed_is_an_error() -> None:
    _, error = receiver_of(SimpleNamespace(_sock=None)).receive()
    assert isinstance(error, KafkaConnectionError)


def test_a_length_that_the_client_refuses_is_its_error() -> None:
    transport = SimpleNamespace(_sock=_Feed(deque([b"\xff" * 4, b""])))
    _, error = receiver_of(transport).receive()
    assert isinstance(error, InvalidReceiveError)


def test_a_buffer_is_used_again_and_a_larger_one_let_go() -> None:
    sizes = [LARGEST, LARGEST - 1, KEPT_BUFFER_BYTES, 8]
    transport = SimpleNamespace(_sock=_Feed(deque(framed(bytes(size)) for size in sizes)))
    receiver = receiver_of(transport)
    held = []
    for size in sizes:
        assert receiver.receive() == (b"", None)
        assert [len(data) for _, data in receiver.take(b"")] == [size]
        held.append((id(receiver._buffer), len(receiver._buffer)))
    assert held[0] == held[1]
    assert held[0][1] == LARGEST + 4
    assert [size for _, size in held[2:]] == [SMALL_BUFFER_BYTES] * 2


def test_what_the_client_decodes_outlives_the_buffer() -> None:
    response = FetchResponse(
        throttle_time_ms=0,
        error_code=0,
        session_id=7,
        responses=[
            FetchResponse.FetchableTopicResponse(
                topic="posts",
                partitions=[
                    FetchResponse.FetchableTopicResponse.PartitionData(
                        partition_index=3,
                        error_code=0,
                        high_watermark=9,
                        last_stable_offset=9,
                        log_start_offset=0,
                        aborted_transactions=None,
                        preferred_read_replica=-1,
                        records=b"records" * 20,
                    )
                ],
            )
        ],
        version=12,
    )
    frame = response.encode()
    data = bytearray(frame)
    decoded = FetchResponse.decode(Frame(memoryview(data)), version=12)
    data[:] = b"\xee" * len(data)
    assert decoded == FetchResponse.decode(frame, version=12)
    assert decoded.responses[0].partitions[0].records == b"records" * 20
    assert type(decoded.responses[0].partitions[0].records) is bytes


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
        ("receive", "KafkaProtocol", "_process_response", None, "KafkaProtocol has no _process_"),
        ("receive", "KafkaTCPTransport", "_sock_recv", None, "KafkaTCPTransport has no _sock_recv"),
        ("receive", "KafkaSSLTransport", "_sock_recv", lambda s, n: n, "takes (s, n)"),
    ],
)
def test_another_shape_takes_the_plain_path_of_its_part(
    monkeypatch: pytest.MonkeyPatch, part: Any, owner: str, name: str, value: object, text: str
) -> None:
    held = getattr(fast_path, owner)
    if value is None:
        monkeypatch.delattr(held, name)
    else:
        monkeypatch.setattr(held, name, value)
    off = fast_path.fast_path_off(KafkaSettings())
    assert text in (off[part] or "")
    (other,) = set(off) - {part}
    assert off[other] is None
