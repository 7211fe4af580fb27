"""Stand between workers and a broker: delay, slice, hold or cut what goes through."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Iterator, Sequence
from itertools import cycle

from typing_extensions import override

CHUNK = 65_536
# How long a trouble lasts: the longest is beyond request, session and transaction timeouts.
LASTS_S: tuple[float, ...] = (1.0, 2.0, 4.0, 9.0, 18.0)
TROUBLES = ("cut", "cut one", "slow", "sliced", "hold", "one way", "none")


class Proxy(threading.Thread):
    """Forward one loopback port to another, with one trouble after the other, from a seed."""

    def __init__(
        self,
        port: int,
        upstream: int,
        seed: str,
        kinds: Sequence[str] = TROUBLES,
        lasts: Sequence[float] = LASTS_S,
        *,
        in_turn: bool = False,
    ) -> None:
        super().__init__(name="proxy", daemon=True)
        self.troubles: dict[str, int] = dict.fromkeys(kinds, 0)
        self._port, self._upstream = port, upstream
        self._chosen = random.Random(seed)
        self._lasts = lasts
        self._order: Iterator[str] = cycle(kinds) if in_turn else self._drawn(kinds)
        self._trouble = "none"
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._end = asyncio.Event()

    def _drawn(self, kinds: Sequence[str]) -> Iterator[str]:
        while True:
            yield self._chosen.choice(kinds)

    def serve(self) -> None:
        """Start and wait until the port is open."""
        self.start()
        if not self._ready.wait(10):
            raise TimeoutError(f"the proxy did not open port {self._port}")

    def calm(self) -> None:
        """Forward everything from now on."""
        self._loop.call_soon_threadsafe(self._end.set)

    @override
    def run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._ready.set()
        async with server:
            while not self._end.is_set():
                self._trouble = next(self._order)
                self.troubles[self._trouble] += 1
                if self._trouble.startswith("cut"):
                    self._cut()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._end.wait(), self._chosen.choice(self._lasts))
            self._trouble = "none"
            await server.serve_forever()

    def _cut(self) -> None:
        self._pairs = [pair for pair in self._pairs if not pair[1].is_closing()]
        chosen = self._pairs
        if self._trouble == "cut one" and self._pairs:
            chosen = [self._chosen.choice(self._pairs)]
        for pair in chosen:
            for writer in pair:
                writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._upstream)
        self._pairs.append((writer, ours))
        await asyncio.gather(
            self._pump(reader, ours, answers=False), self._pump(theirs, writer, answers=True)
        )

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                await self._pass(data, writer, answers=answers)
        writer.close()

    async def _pass(self, data: bytes, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        # Half-open: what workers send arrives, and no answer comes back while it lasts.
        while self._trouble == "hold" or (answers and self._trouble == "one way"):
            await asyncio.sleep(0.05)
        if self._trouble == "slow":
            await asyncio.sleep(self._chosen.uniform(0.0, 0.4))
        if self._trouble == "sliced":
            for at in range(min(len(data), 100)):
                writer.write(data[at : at + 1])
                await writer.drain()
            data = data[100:]
        writer.write(data)
        await writer.drain()
