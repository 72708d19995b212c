"""What operators do with queues, and how queues are doing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Generic, TypeVar

from penstock_server.model.records import QueueRecord, SessionRecord, TaskRecord
from penstock_server.store.store import Store

from .pressure import Pressure
from .workers import Workers

Config = TypeVar("Config")
_CONFIG_AGE: Final = 1.0
"""Seconds for which a queue's config is taken from memory."""


@dataclass(frozen=True, slots=True)
class QueueView:
    """A queue, and whether its tasks are being served."""

    record: QueueRecord
    workers: int
    unserved: str
    """Why what waits is not being served; empty if it is, or if nothing waits."""
    stopped: str = ""
    """Why nothing is leased from any queue; empty while it is."""


@dataclass(frozen=True, slots=True)
class Peek:
    """The first tasks of a queue."""

    ready: list[TaskRecord]
    scheduled: list[TaskRecord]
    running: list[TaskRecord]
    dead: list[TaskRecord]


class Queues:
    """Get, list, configure, pause, resume, purge, peek."""

    def __init__(self, store: Store, workers: Workers, pressure: Pressure) -> None:
        self._store = store
        self._workers = workers
        self._pressure = pressure

    async def get(self, namespace: str, queue: str) -> QueueView:
        """One queue. Raises `QueueNotFound`."""
        record = await self._store.queues.get(namespace, queue)
        return self._view(record, await self._workers.live(namespace))

    async def list(
        self, namespace: str, *, after: str, limit: int
    ) -> tuple[Sequence[QueueView], str]:
        """Queues by name behind `after`, and the name to go on behind; empty if there are no
        more.
        """
        names = await self._store.queues.names(namespace, after=after, limit=limit + 1)
        sessions = await self._workers.live(namespace)
        records = await self._store.queues.read(namespace, names[:limit])
        more = names[limit - 1] if len(names) > limit else ""
        return [self._view(record, sessions) for record in records], more

    async def pause(self, namespace: str, queue: str, reason: str) -> QueueView:
        """Stops leasing from a queue. Raises `LimitReached`."""
        sessions = await self._workers.live(namespace)
        return self._view(await self._store.queues.pause(namespace, queue, reason), sessions)

    async def resume(self, namespace: str, queue: str) -> QueueView:
        """Starts leasing again. Raises `QueueNotFound`."""
        sessions = await self._workers.live(namespace)
        return self._view(await self._store.queues.resume(namespace, queue), sessions)

    async def config(self, namespace: str, queue: str) -> tuple[bytes, int]:
        """What operators set on a queue, and its version."""
        return await self._store.queues.config(namespace, queue)

    async def configure(
        self, namespace: str, queue: str, config: bytes, *, version: int
    ) -> QueueView:
        """Sets a queue's config. Raises `EtagMismatch`, `LimitReached`."""
        sessions = await self._workers.live(namespace)
        record = await self._store.queues.configure(namespace, queue, config, version=version)
        return self._view(record, sessions)

    async def purge(self, namespace: str, queue: str) -> int:
        """Takes everything that waits out of a queue. Raises `QueueNotFound`."""
        return await self._store.queues.purge(namespace, queue)

    async def peek(self, namespace: str, queue: str, limit: int) -> Peek:
        """The first tasks of a queue. Raises `QueueNotFound`."""
        found: list[list[TaskRecord]] = []
        for ids in await self._store.queues.peek(namespace, queue, limit):
            tasks = await self._store.tasks.read(namespace, ids)
            found.append([task for task in tasks if task is not None])
        return Peek(*found)

    def _view(self, record: QueueRecord, sessions: Sequence[SessionRecord]) -> QueueView:
        serving = [session for session in sessions if record.queue in session.queues]
        unserved = _why_unserved(record, serving)
        return QueueView(record, len(serving), unserved, self._pressure.reason)


def _why_unserved(record: QueueRecord, serving: Sequence[SessionRecord]) -> str:
    if not record.ready or record.paused:
        return ""
    able = [session for session in serving if not session.draining]
    if not able:
        return f"{record.ready} tasks wait and no live worker polls the queue"
    served = {task_type for session in able for task_type in session.task_types}
    orphans = sorted(task_type for task_type in record.ready_by_type if task_type not in served)
    if not orphans:
        return ""
    return f"no live worker of the queue serves {', '.join(orphans[:5])}" + (
        " and others" if len(orphans) > 5 else ""
    )


class QueueConfigs(Generic[Config]):
    """Configs of queues for submits, at most a second old."""

    def __init__(self, store: Store, parse: Callable[[bytes], Config]) -> None:
        self._store = store
        self._parse = parse
        self._known: dict[tuple[str, str], tuple[float, Config]] = {}

    def at_hand(self, namespace: str, queue: str) -> Config | None:
        """The config if it is fresh in memory."""
        known = self._known.get((namespace, queue))
        return known[1] if known is not None and monotonic() - known[0] < _CONFIG_AGE else None

    async def get(self, namespace: str, queue: str) -> Config:
        """The config, read if need be."""
        config = self._parse((await self._store.queues.config(namespace, queue))[0])
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[namespace, queue] = (monotonic(), config)
        return config

    def forget(self, namespace: str, queue: str) -> None:
        """The config was changed here: read it anew."""
        self._known.pop((namespace, queue), None)
