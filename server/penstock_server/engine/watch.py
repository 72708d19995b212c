"""Lets many watchers follow the event streams: one reader for all of them, each watcher at its own
place.

A watcher that keeps up gets what the reader brings; one that lags behind what is remembered here
reads the store by itself, until it has caught up. Either way it sees every event once, or
`CursorExpired`.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from penstock_server.model.cursor import Place, decode_watch, encode_watch
from penstock_server.model.errors import CursorExpired, ShuttingDown, StoreUnavailable, TaskNotFound
from penstock_server.model.records import EventRecord, TaskRecord
from penstock_server.store.store import Store
from penstock_server.store.streams import MOST_BYTES, EventBatch

from .background import Background

log = structlog.get_logger(__name__)

_REMEMBERED: Final = 1_000
"""Batches of events that are remembered for each partition."""
_REMEMBERED_BYTES: Final = 4 * 1024 * 1024
"""Bytes of events, as they are stored, that are remembered for each partition."""
_BLOCK_MS: Final = 5_000

Fits = Callable[[EventRecord], bool]


class _Recent:
    """The latest batches of one partition, each with the place before it."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._batches: deque[tuple[Place, EventBatch]] = deque()
        self._size = 0

    def add(self, batch: EventBatch) -> None:
        self._batches.append((self.place, batch))
        self.place = batch.position
        self._size += batch.size
        while len(self._batches) > _REMEMBERED or self._size > _REMEMBERED_BYTES:
            _, oldest = self._batches.popleft()
            self._size -= oldest.size

    def after(self, place: Place) -> EventBatch | None:
        """What came first behind a place; None if that is no longer remembered."""
        if place.number == self.place.number:
            return EventBatch([], place) if place == self.place else None
        # From the latest back: a watcher that keeps up lacks the last few of many.
        missed: list[EventBatch] = []
        for before, batch in reversed(self._batches):
            missed.append(batch)
            if before.number <= place.number:
                return _joined(missed[::-1]) if before == place else None
        return None


def _joined(batches: list[EventBatch]) -> EventBatch:
    """The first of the batches, as many as fit into one answer."""
    events: list[EventRecord] = []
    size, position = 0, batches[0].position
    for batch in batches:
        if events and size + batch.size > MOST_BYTES:
            break
        events += batch.events
        size, position = size + batch.size, batch.position
    return EventBatch(events, position, size)


class Watcher:
    """One watch: gives the events behind its places that fit, batch by batch."""

    def __init__(
        self, hub: "WatchHub", places: list[Place], fits: Fits, snapshot: dict[str, int]
    ) -> None:
        self._hub = hub
        self._places = places
        self._fits = fits
        self._snapshot = snapshot
        self._turn = 0
        """The partition that is looked at first."""

    @property
    def cursor(self) -> str:
        """Where to go on behind everything that was given."""
        return encode_watch(self._hub.history_id, self._places)

    async def next(self, seconds: float) -> list[EventRecord]:
        """The next events that fit; none when the time is over.

        Raises `CursorExpired`, `ShuttingDown`.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + seconds
        while True:
            # The signal is taken before looking, so that nothing can come in between. The look
            # itself is never cut short: what was taken must be given.
            news = self._hub.news()
            taken, has_moved = await self._take()
            events = [event for event in taken if self._wanted(event)]
            if events:
                return events
            if has_moved and loop.time() < give_up:
                await asyncio.sleep(0)
                continue  # one look takes only so much; what fits may be behind it
            done, _ = await asyncio.wait([news], timeout=max(0.0, give_up - loop.time()))
            if not done:
                return []

    async def _take(self) -> tuple[list[EventRecord], bool]:
        """What one answer can hold; and whether that brought the watch forward."""
        events: list[EventRecord] = []
        size, has_moved = 0, False
        for _ in self._places:
            if size > MOST_BYTES:
                break  # the other partitions come first the next time
            partition, place = self._turn, self._places[self._turn]
            self._turn = (partition + 1) % len(self._places)
            # While the store is away there is no news; the hub announces when it looks again.
            with suppress(StoreUnavailable):
                batch = await self._hub.after(partition, place)
                self._places[partition] = batch.position
                events += batch.events
                size, has_moved = size + batch.size, has_moved or batch.position != place
        return events, has_moved

    def _wanted(self, event: EventRecord) -> bool:
        return self._fits(event) and event.sequence > self._snapshot.get(event.task_id, 0)


class WatchHub:
    """Reads the event streams for all watchers of this process, while there are any."""

    def __init__(self, store: Store, background: Background) -> None:
        self._store = store
        self._background = background
        self._recent: dict[int, _Recent] = {}
        """By partition, while its reader knows its place."""
        self._readers: set[int] = set()
        """Partitions that are being read."""
        self._watchers = 0
        self._news: asyncio.Future[None] | None = None
        self._draining = False

    @property
    def history_id(self) -> str:
        """Names the store that cursors belong to."""
        return self._store.meta.history_id

    async def watch(self, fits: Fits, *, cursor: str = "") -> Watcher:
        """A watcher from a cursor, or from now.

        To be handed back to `leave`. Raises `CursorInvalid`.
        """
        places = self._places(cursor) if cursor else await self._ends()
        return self._enter(Watcher(self, places, fits, {}))

    async def watch_tasks(
        self, namespace: str, task_ids: list[str], fits: Fits, *, cursor: str = ""
    ) -> tuple[Watcher, list[TaskRecord]]:
        """A watcher of some tasks from a snapshot of them on, or from a cursor; and the tasks.

        Behind a cursor a task that is not there was deleted since, which is among the events.
        Raises `CursorInvalid`, and `TaskNotFound` without a cursor.
        """
        places = self._places(cursor) if cursor else await self._ends()
        found = await self._store.tasks.read(namespace, task_ids)
        for task_id, task in zip(task_ids, found, strict=True):
            if task is None and not cursor:
                raise TaskNotFound(namespace=namespace, task_id=task_id)
        tasks = [task for task in found if task is not None]
        snapshot = {} if cursor else {task.task_id: task.sequence for task in tasks}
        return self._enter(Watcher(self, places, fits, snapshot)), tasks

    def _places(self, cursor: str) -> list[Place]:
        return decode_watch(cursor, self.history_id, self._store.meta.partitions)

    def _enter(self, watcher: Watcher) -> Watcher:
        # Without a wait in between: whoever enters leaves again, and nobody waits without a reader.
        self._watchers += 1
        for partition in range(self._store.meta.partitions):
            if partition not in self._readers:
                self._readers.add(partition)
                self._background.forever(self._read(partition))
        return watcher

    def leave(self) -> None:
        """A watcher is gone."""
        self._watchers -= 1

    async def _ends(self) -> list[Place]:
        return [
            await self._store.events.end(partition)
            for partition in range(self._store.meta.partitions)
        ]

    async def after(self, partition: int, place: Place) -> EventBatch:
        """The first events behind a place: remembered ones, or else from the store."""
        if self._draining:
            raise ShuttingDown()
        recent = self._recent.get(partition)
        known = recent.after(place) if recent is not None else None
        if known is not None:
            return known
        return await self._store.events.after(partition, place)

    def news(self) -> "asyncio.Future[None]":
        """Done as soon as there may be more."""
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        return self._news

    def _announce(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _read(self, partition: int) -> None:
        try:
            while self._watchers and not self._draining:
                try:
                    await self._read_once(partition)
                except CursorExpired:
                    # The reader lost its place, or the store its latest writes: watchers find out
                    # by themselves.
                    self._recent.pop(partition, None)
                except Exception as error:
                    # Watchers rest on this loop: whatever is wrong now may be right in a moment. A
                    # store that comes back may have lost its latest writes: forget them as well.
                    self._recent.pop(partition, None)
                    log.warning("watch.interrupted", error=type(error).__name__)
                    await asyncio.sleep(0.5)
                self._announce()
        finally:
            self._recent.pop(partition, None)
            self._readers.discard(partition)
            self._announce()

    async def _read_once(self, partition: int) -> None:
        recent = self._recent.get(partition)
        if recent is None:
            # What came before, watchers read from the store, now that they are told.
            self._recent[partition] = _Recent(await self._store.events.end(partition))
            return
        batch = await self._store.events.wait(partition, recent.place, block_ms=_BLOCK_MS)
        if batch is not None:
            recent.add(batch)

    def drain(self) -> None:
        """Ends every watch with `ShuttingDown`."""
        self._draining = True
        self._announce()
