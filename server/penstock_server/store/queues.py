"""Queues in the store: read, list, set, pause, resume, purge, peek; and the upkeep of what waits
in them.
"""

from collections.abc import Sequence
from typing import Any

import msgpack

from penstock_server.model.errors import EtagMismatch, LimitReached, QueueNotFound
from penstock_server.model.records import QueueRecord, StoreLimits

from . import keys
from .lanes import Lanes


class QueueStore:
    """The verbs on queues."""

    def __init__(self, lanes: Lanes, limits: StoreLimits) -> None:
        self._lanes = lanes
        self._limits = limits

    async def get(self, namespace: str, queue: str) -> QueueRecord:
        """Reads one queue. Raises `QueueNotFound`."""
        found = await self.read(namespace, [queue])
        if not found:
            raise QueueNotFound(namespace=namespace, queue=queue)
        return found[0]

    async def read(self, namespace: str, queues: Sequence[str]) -> list[QueueRecord]:
        """Reads those of the queues that exist, in order."""
        by_partition: dict[int, list[str]] = {}
        for queue in queues:
            by_partition.setdefault(self._lanes.home(namespace, queue), []).append(queue)
        found: dict[str, QueueRecord] = {}
        for partition, names in by_partition.items():
            value = [[namespace, name] for name in names]
            answer = await self._lanes.run("read_queues", partition, value)
            found |= {record.queue: record for record in _records(namespace, names, answer)}
        return [found[queue] for queue in queues if queue in found]

    async def names(self, namespace: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Names of queues behind `after`, in order."""
        start = f"({after}" if after else "-"
        names: list[str] = []
        for partition in range(self._lanes.partitions):
            name = keys.key(partition, "queues", namespace=namespace)
            found = await self._lanes.connection.read(
                "ZRANGEBYLEX", name, start, "+", "LIMIT", 0, limit
            )
            names += [queue.decode() for queue in found]
        return sorted(names)[:limit]

    async def config(self, namespace: str, queue: str) -> tuple[bytes, int]:
        """What operators set on a queue, b"" if nothing, and its version."""
        home = self._lanes.home(namespace, queue)
        name = keys.key(home, "queue", namespace=namespace, queue=queue)
        config, version = await self._lanes.connection.read("HMGET", name, "cf", "v")
        return config or b"", int(version or 0)

    async def pause(self, namespace: str, queue: str, reason: str) -> QueueRecord:
        """Stops leasing from a queue; makes it if need be. Raises `LimitReached`."""
        return await self._set(namespace, queue, "pause", reason.encode())

    async def resume(self, namespace: str, queue: str) -> QueueRecord:
        """Starts leasing again. Raises `QueueNotFound`."""
        return await self._set(namespace, queue, "resume", b"")

    async def configure(
        self, namespace: str, queue: str, config: bytes, *, version: int = -1
    ) -> QueueRecord:
        """Sets the config; makes the queue if need be.

        Raises `EtagMismatch` unless `version` fits or is -1.
        """
        return await self._set(namespace, queue, "config", config, version)

    async def _set(
        self, namespace: str, queue: str, what: str, value: bytes, version: int = -1
    ) -> QueueRecord:
        # The record comes with the word: one that was read afterwards could show what a store that
        # lost its latest writes went back to.
        home = self._lanes.home(namespace, queue)
        change = [namespace, queue, what, value, version]
        word, *told = await self._lanes.run("set_queue", home, change)
        if word == b"not_found":
            raise QueueNotFound(namespace=namespace, queue=queue)
        if word == b"changed":
            raise EtagMismatch(etag=str(version))
        if word == b"too_many_queues":
            raise LimitReached(
                what=f"queues in namespace {namespace}", limit=self._limits.queues_per_namespace
            )
        (record,) = _records(namespace, [queue], msgpack.unpackb(told[0], raw=True))
        return record

    async def purge(self, namespace: str, queue: str) -> int:
        """Takes everything that waits out of the queue; gives how many tasks that were.

        Raises `QueueNotFound`.
        """
        word, count = await self._lanes.run(
            "purge", self._lanes.home(namespace, queue), [namespace, queue]
        )
        if word == b"not_found":
            raise QueueNotFound(namespace=namespace, queue=queue)
        return int(count)

    async def peek(self, namespace: str, queue: str, limit: int) -> list[list[str]]:
        """Ids of the first ready, scheduled, running and dead tasks. Raises `QueueNotFound`."""
        home = self._lanes.home(namespace, queue)
        word, *lists = await self._lanes.run("peek_queue", home, [namespace, queue, limit])
        if word == b"not_found":
            raise QueueNotFound(namespace=namespace, queue=queue)
        return [[task_id.decode() for task_id in ids] for ids in lists]

    async def promote(self, partition: int, limit: int) -> tuple[int, bool]:
        """Makes due tasks ready and expires others. Gives how many, and whether more is left."""
        return _progress(await self._lanes.run("promote", partition, [limit]))

    async def sweep(self, partition: int, limit: int) -> tuple[int, bool]:
        """Cancels purged tasks. Gives how many, and whether more is left."""
        return _progress(await self._lanes.run("sweep", partition, [limit]))

    async def prune(self, partition: int, limit: int) -> tuple[int, int]:
        """Lets go of old records. Gives how many, and how many more may go."""
        count, left = await self._lanes.run("prune", partition, [limit])
        return int(count), int(left)


def _progress(answer: list[Any]) -> tuple[int, bool]:
    return int(answer[0]), bool(answer[1])


def _records(namespace: str, queues: Sequence[str], answer: list[Any]) -> list[QueueRecord]:
    now_ms, found = answer
    return [
        _record(namespace, queue, fields, int(now_ms))
        for queue, fields in zip(queues, found, strict=True)
        if fields
    ]


def _record(namespace: str, queue: str, answer: list[Any], now_ms: int) -> QueueRecord:
    fields, scheduled, running, dead, types, oldest = answer
    fields += [None] * (5 - len(fields))
    _epoch, created, paused, config, version = fields
    ready_by_type = {
        name.decode(): int(count) for name, count in zip(types[::2], types[1::2], strict=True)
    }
    return QueueRecord(
        namespace=namespace,
        queue=queue,
        config=config or b"",
        version=int(version or 0),
        paused=isinstance(paused, bytes),
        pause_reason=paused.decode() if isinstance(paused, bytes) else "",
        create_ms=int(created),
        ready=sum(ready_by_type.values()),
        scheduled=scheduled,
        running=running,
        dead=dead,
        ready_by_type=ready_by_type,
        oldest_ready_ms=max(0, int(oldest)),
        now_ms=now_ms,
    )
