"""Receive in large pieces and count EndTxn requests: the client's network side, a little changed.

The client reads a socket 4 KiB at a time, which costs more than checking and indexing what was
read. `FastNetClient` is handed over through its public option `kafka_client`.
"""

from __future__ import annotations

import ssl
import time
from functools import partial
from typing import Any

from kafka import errors as client_errors
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.producer import EndTxnRequest

# One receive asks for this much; above the 16 KiB of a TLS record and below the socket's buffer.
RECEIVE_BYTES = 1024 * 1024
_NOTHING_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def receive(transport: Any) -> tuple[bytes, Exception | None]:
    """Read all that a transport's socket has, plain or TLS; see the client's `_sock_recv`."""
    received: list[bytes] = []
    error: Exception | None = None
    while error is None:
        try:
            data = transport._sock.recv(RECEIVE_BYTES)
        except _NOTHING_NOW:
            break
        except Exception as raised:  # noqa: BLE001  # whatever it is, the connection is over
            error = client_errors.KafkaConnectionError(raised)
        else:
            received.append(data)
            if not data:
                error = client_errors.KafkaConnectionError("socket disconnected")
    return b"".join(received), error


class _Manager(KafkaConnectionManager):  # type: ignore[misc]  # the client is untyped
    """Build the client's transports, which then receive in large pieces."""

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        transport = await super()._build_transport(node, timeout_at=timeout_at)
        transport._sock_recv = partial(receive, transport)
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
