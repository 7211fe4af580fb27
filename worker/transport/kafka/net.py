"""Receive frames without copies and count EndTxn requests: the client's network side, changed.

The client reads a socket 4 KiB at a time and copies what it read seven times before records are
bytes of their own; together that costs more than screening what was read. `FastNetClient` is
handed over through its public option `kafka_client`.
"""

from __future__ import annotations

import socket
import ssl
import sys
import time
from typing import Any

from kafka import errors as client_errors
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport
from kafka.protocol.producer import EndTxnRequest

# What a connection's buffer begins with and goes back to: larger than any frame but those that
# carry records, and than the 16 KiB of a TLS record.
SMALL_BUFFER_BYTES = 64 * 1024
# A larger buffer is let go after its frame. Holds a fetch: kafka.fetch_max_bytes is 16 MiB, and
# its first batch may exceed that by the input's max.message.bytes.
KEPT_BUFFER_BYTES = 24 * 1024 * 1024
# How much of a frame's rest wakes the I/O thread: each wake costs some 50 µs of the client's loop,
# and a fetch of 4 MiB took seventeen. Must stay below client.RECEIVE_BUFFER_BYTES; the kernel
# itself asks for no more than half of its buffer, and wakes at a full one.
WAKE_BYTES = 512 * 1024
_LENGTH_BYTES = 4  # of a frame, in front of it
_NOTHING_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Frame:
    """Be to the client's parser what its own buffer is, in place; valid until the next receive.

    The rest of a frame is given as a view: the client's decoders copy out of it what they keep.
    """

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int | None = None) -> bytes | memoryview:
        """Return the next `size` bytes, or a view of all that is left."""
        start = self._at
        if size is None:
            self._at = len(self._data)
            return self._data[start:]
        self._at = min(start + size, len(self._data))
        return self._data[start : self._at].tobytes()

    def seek(self, at: int) -> None:
        """Go on reading at a byte."""
        self._at = at

    def tell(self) -> int:
        """Return which byte comes next."""
        return self._at


class FrameReceiver:
    """Receive one connection's frames, plain or TLS, into a buffer that is used again.

    Stands in for the transport's `_sock_recv` and, since nothing is handed over as bytes, for the
    parser's `receive_bytes`. Runs on the client's I/O thread; never blocks.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._buffer = bytearray(SMALL_BUFFER_BYTES)
        self._filled = 0  # bytes received; the first is the first of a frame's length
        self._responses: list[Any] = []  # decoded and not taken
        # SO_RCVLOWAT, bytes; 0 where it is left alone: what lies in a socket of TLS is no frame.
        plain = sys.platform == "linux" and not isinstance(transport, KafkaSSLTransport)
        self._wakes_at = 1 if plain else 0

    def install(self) -> None:
        """Take the place of the transport's own receive."""
        self._transport._sock_recv = self.receive

    def receive(self) -> tuple[bytes, Exception | None]:
        """Receive and decode all that the socket has; what was decoded is there to be taken.

        A socket is emptied each time: bytes that TLS holds decrypted wake no selector.
        """
        parser = self._transport._protocol.parser
        parser.receive_bytes = self.take
        try:
            while self._fill():
                self._decode(parser)
            self._sleep_until(self._decode(parser))
        except client_errors.KafkaError as error:
            return b"", error
        except Exception as raised:  # noqa: BLE001  # whatever it is, the connection is over
            return b"", client_errors.KafkaConnectionError(raised)
        return b"", None

    def take(self, _nothing: bytes) -> list[Any]:
        """Return the responses that came, as (correlation id, response)."""
        taken, self._responses = self._responses, []
        return taken

    def _fill(self) -> bool:
        """Receive until the buffer is full; false where the socket has no more."""
        with memoryview(self._buffer) as room:
            while self._filled < len(room):
                try:
                    received = self._transport._sock.recv_into(room[self._filled :])
                except _NOTHING_NOW:
                    return False
                if not received:
                    raise client_errors.KafkaConnectionError("socket disconnected")
                self._filled += received
        return True

    def _decode(self, parser: Any) -> int:
        """Decode the whole frames, move what is left to the front, and make room for its rest.

        Returns the bytes that are missing of the frame at hand, or of its length.
        """
        at = 0
        size = self._frame_bytes(parser, at)
        with memoryview(self._buffer) as data:
            while at + size <= self._filled:
                with data[at + _LENGTH_BYTES : at + size] as frame:
                    self._responses.append(parser._process_response(Frame(frame)))
                at += size
                size = self._frame_bytes(parser, at)
        self._make_room(at, size)
        return size - self._filled

    def _make_room(self, at: int, size: int) -> None:
        """Let a frame of which a part is there at `at` stand at the front of a buffer for all."""
        begun = self._filled - at
        if size > len(self._buffer) or at > KEPT_BUFFER_BYTES:
            larger = bytearray(max(size, SMALL_BUFFER_BYTES))
            larger[:begun] = self._buffer[at : self._filled]
            self._buffer = larger
        elif at:
            self._buffer[:begun] = self._buffer[at : self._filled]
        self._filled = begun

    def _sleep_until(self, missing: int) -> None:
        """Have the kernel wake the I/O thread when so many bytes, or WAKE_BYTES, are there.

        Never more than what is missing of a frame: nothing may follow it.
        """
        wanted = min(missing, WAKE_BYTES)
        if wanted == self._wakes_at or not self._wakes_at:
            return
        try:
            self._transport._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
            self._wakes_at = wanted
        except OSError:  # a kernel without the option: more wakes, nothing else
            self._wakes_at = 0

    def _frame_bytes(self, parser: Any, at: int) -> int:
        """Return the bytes of the frame that begins at a byte, its length included."""
        if self._filled - at < _LENGTH_BYTES:
            return _LENGTH_BYTES
        size = int.from_bytes(self._buffer[at : at + _LENGTH_BYTES], "big", signed=True)
        parser._validate_frame_size(size)
        return size + _LENGTH_BYTES


class _Manager(KafkaConnectionManager):  # type: ignore[misc]  # the client is untyped
    """Build the client's transports, which then receive frames in place."""

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        transport = await super()._build_transport(node, timeout_at=timeout_at)
        FrameReceiver(transport).install()
        return transport


class FastNetClient(KafkaNetClient):  # type: ignore[misc]  # the client is untyped
    """Stand in for the client's own; each consumer, producer and admin client makes one.

    `end_requests` counts the EndTxn requests sent, tries repeated by the client included, and
    `last_end_request` is the monotonic time of the last: under the old transaction protocol a
    request that was delayed can end a later transaction, so whoever commits must know of a second
    try. Of a producer this object is `producer._sender._client`.
    """

    def __init__(
        self, net: Any = None, manager: Any = None, *, large_receives: bool = True, **configs: Any
    ) -> None:
        if manager is None and large_receives:
            net = NetworkSelector(**configs) if net is None else net
            manager = _Manager(net, **configs)
        self.end_requests = 0
        self.last_end_request: float | None = None
        super().__init__(net=net, manager=manager, **configs)

    def send(self, node_id: Any, request: Any, **kwargs: Any) -> Any:
        """Send a request; called by the sender's thread for each try."""
        if isinstance(request, EndTxnRequest):
            self.end_requests += 1
            self.last_end_request = time.monotonic()
        return super().send(node_id, request, **kwargs)
