from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from penstock_server.engine.background import Background
from penstock_server.engine.watch import Watcher, WatchHub
from penstock_server.model.cursor import Place
from penstock_server.model.errors import StoreUnavailable
from penstock_server.model.lifecycle import EventKind, TaskState
from penstock_server.model.records import EventRecord
from penstock_server.store.streams import EventBatch

KEPT, LOST = Place("1-0", 1), Place("2-0", 2)


def event() -> EventRecord:
    return EventRecord("default", "q", "t", 2, "id", EventKind.SUBMITTED, 1, TaskState.READY)


class ForgetfulEvents:
    """An event stream whose second entry was read once, and lost with the store's power."""

    def __init__(self) -> None:
        self.reads = 0
        self.away = asyncio.Event()

    async def end(self, partition: int) -> Place:
        return KEPT

    async def after(self, partition: int, position: Place) -> EventBatch:
        return EventBatch([], position)

    async def wait(self, partition: int, position: Place, *, block_ms: int) -> EventBatch | None:
        self.reads += 1
        if self.reads == 1:
            return EventBatch([event()], LOST)
        if self.reads == 2:
            self.away.set()
            raise StoreUnavailable
        await asyncio.sleep(block_ms)
        return None


async def test_events_that_the_store_lost_are_not_told_to_who_comes_later() -> None:
    events, background = ForgetfulEvents(), Background()
    store: Any = SimpleNamespace(events=events, meta=SimpleNamespace(partitions=1, history_id="h"))
    hub = WatchHub(store, background)
    await hub.watch(lambda _: True)
    await asyncio.wait_for(events.away.wait(), 10)

    later = await hub.watch(lambda _: True)

    assert await later.next(0) == []
    await background.stop()


async def test_a_watch_of_tasks_tells_only_what_its_snapshot_of_them_does_not_hold() -> None:
    changes = [replace(event(), task_id=name, sequence=n) for name in "ab" for n in (1, 2, 3)]
    idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def after(_partition: int, _place: Place) -> EventBatch:
        return EventBatch(changes, LOST)

    hub: Any = SimpleNamespace(after=after, news=lambda: idle)
    watcher = Watcher(hub, [KEPT], lambda _: True, {"a": 2})

    told = await watcher.next(0)

    assert [(each.task_id, each.sequence) for each in told] == [
        ("a", 3),
        *(("b", sequence) for sequence in (1, 2, 3)),
    ]
