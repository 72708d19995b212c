"""One batcher for each verb and partition, made when it is first needed."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from zlib import crc32

from .batcher import Batcher
from .connection import Connection
from .script_library import Script


def columns(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """What scripts take of many rows: a list for each place in them, which Lua reads quicker."""
    return list(zip(*rows, strict=True))


class Lanes:
    """Calls scripts, batched by verb and partition or by themselves."""

    def __init__(self, connection: Connection, scripts: dict[str, Script], partitions: int) -> None:
        self.connection = connection
        self.partitions = partitions
        self._scripts = scripts
        self._batchers: dict[tuple[str, int], Batcher[Any, Any]] = {}

    def home(self, namespace: str, queue: str) -> int:
        """The partition that a queue lives in. Never changes: stored keys rest on it."""
        return (
            crc32(f"{namespace}:{queue}".encode()) % self.partitions if self.partitions > 1 else 0
        )

    async def run(self, verb: str, partition: int, value: object) -> Any:
        """Calls a script by itself."""
        return await self.connection.run(self._scripts[verb], partition, value)

    async def batch(
        self,
        verb: str,
        partition: int,
        items: Sequence[Any],
        *,
        size: int = 0,
        weight: int | None = None,
        wrap: Callable[[list[Any]], object] = columns,
        send: Callable[[int, list[Any]], Awaitable[list[Any]]] | None = None,
    ) -> list[Any]:
        """Calls a script together with other callers' items; gives one answer for each item.

        `wrap` makes the script's input of the items. `send` is for a verb with several scripts: it
        takes partition and items, and gives the answers.
        """
        batcher = self._batchers.get((verb, partition))
        if batcher is None:
            batcher = self._batchers[verb, partition] = Batcher(
                partial(send, partition) if send else self._sender(verb, partition, wrap)
            )
        return await batcher.call(items, size=size, weight=weight)

    def _sender(
        self, verb: str, partition: int, wrap: Callable[[list[Any]], object]
    ) -> Callable[[list[Any]], Awaitable[list[Any]]]:
        script, run = self._scripts[verb], self.connection.run

        async def send(items: list[Any]) -> list[Any]:
            answers: list[Any] = await run(script, partition, wrap(items))
            return answers

        return send

    async def drain(self) -> None:
        """Waits until every batch has been answered."""
        for batcher in list(self._batchers.values()):
            await batcher.drain()
