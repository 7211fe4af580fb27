"""Put TLS over a pair of sockets, without certificates: anonymous key exchange, for tests alone."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator


def _context(protocol: ssl._SSLMethod) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 has no anonymous suites
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    return context


@contextlib.contextmanager
def handshaken(
    near: socket.socket, far: socket.socket
) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """Give both ends after the handshake: (client, server)."""
    client = _context(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(near, do_handshake_on_connect=False)
    server = _context(ssl.PROTOCOL_TLS_SERVER).wrap_socket(
        far, server_side=True, do_handshake_on_connect=False
    )
    with client, server:
        thread = threading.Thread(target=server.do_handshake)
        thread.start()
        client.do_handshake()
        thread.join()
        yield client, server
