"""A TCP proxy that misbehaves on demand: it delays, cuts, refuses, holds, and drops answers after
the request has had its effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Self

Target = tuple[str, int] | str
"""Host and port, or the path of a unix socket."""

Targets = Callable[[], Sequence[Target]]

_CHUNK = 1 << 16
_REFUSALS = (OSError, asyncio.IncompleteReadError)


class Proxy:
    """Listens on a port of its own, for as long as its `async with` block runs.

    A new connection goes to the first of `targets()` that takes it.
    """

    def __init__(self, name: str, targets: Targets) -> None:
        self.name = name
        self._targets = targets
        self.delay = 0.0
        """Seconds that each piece waits, in both directions."""
        self.drops_answers = False
        """Requests pass, answers vanish."""
        self.refuses = False
        """New connections are closed at once."""
        self._flows = asyncio.Event()
        self._flows.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """host:port to connect to."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut(self) -> None:
        """Closes every connection."""
        for connection in self._connections:
            connection.cancel()

    def hold(self) -> None:
        """Lets nothing through; connections stay open."""
        self._flows.clear()

    def heal(self) -> None:
        """Behaves well again. Connections that lost something are cut."""
        broken = self.drops_answers
        self.delay, self.drops_answers, self.refuses = 0.0, False, False
        self._flows.set()
        if broken:
            self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._connect(reader, writer)
        except asyncio.CancelledError:
            pass  # cut: the callback that asyncio ties to this task must not hear of it
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = None if self.refuses else await self._reach()
        if there is None:
            return
        try:
            await self._between((reader, writer), there)
        finally:
            there[1].transport.abort()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for target in self._targets():
            with suppress(*_REFUSALS):
                if isinstance(target, str):
                    return await asyncio.open_unix_connection(target)
                return await asyncio.open_connection(*target)
        return None

    async def _between(
        self,
        here: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        ways = [
            asyncio.ensure_future(self._pump(here[0], there[1], answers=False)),
            asyncio.ensure_future(self._pump(there[0], here[1], answers=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(*_REFUSALS):
            while piece := await reader.read(_CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._flows.wait()
                if answers and self.drops_answers:
                    continue
                writer.write(piece)
                await writer.drain()
