"""One round: a fresh world, traffic under faults, peace, and the look at what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock import Client, ClientOptions, PenstockError
from penstock_server.model.errors import StoreUnavailable
from penstock_server.store.store import Store, open_store
from robustness import oracle
from robustness.faults import Saboteur
from robustness.history import Entry, Fault, History, Note, Recorder, now, read
from robustness.listeners import Listener, Tailer
from robustness.plan import Plan
from robustness.rawworker import RawWorker
from robustness.traffic import Caller, Known
from robustness.world import QUEUES, RAW_QUEUE, World, world

_STALL: Final = 1.0
"""Seconds for which this process itself may be kept from running before that is recorded."""
_QUIET: Final = 4.0


async def play(plan: Plan, folder: Path) -> History:
    """Plays a round in an empty folder and gives its history, which is also in `history.jsonl`."""
    recorder = Recorder(folder / "history.jsonl")
    try:
        recorder.add(Note(name="slots", value=plan.slots))
        recorder.add(Note(name="term", value=plan.term))
        recorder.add(Note(name="accept within", value=plan.accept_within))
        async with world(plan, folder) as made:
            await _Round(made, recorder).run()
        for mark in _marks(folder):
            recorder.add(mark)
    finally:
        recorder.close()
    return recorder.history


def _marks(folder: Path) -> Iterator[Entry]:
    for path in sorted(folder.glob("marks-*.jsonl")):
        yield from read(path)


@dataclass
class _Round:
    world: World
    recorder: Recorder

    async def run(self) -> None:
        plan = self.world.plan
        traffic_over, all_over = asyncio.Event(), asyncio.Event()
        raw = RawWorker(self.world.worker_proxies[-1].address, plan, self.recorder)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._meter(all_over))
            group.create_task(raw.run(traffic_over, all_over))
            traffic = [
                group.create_task(coroutine) for coroutine in self._traffic(traffic_over, all_over)
            ]
            saboteur = Saboteur(self.world, self.recorder)
            breaking = group.create_task(saboteur.run(traffic_over))
            await asyncio.sleep(plan.seconds)
            traffic_over.set()
            await asyncio.gather(breaking, *traffic[: plan.clients])
            await self._make_peace()
            await self._let_watches_catch_up()
            all_over.set()
            for listening in traffic[plan.clients :]:
                listening.cancel()
        await self._look()

    def _traffic(
        self, over: asyncio.Event, all_over: asyncio.Event
    ) -> list[Coroutine[None, None, None]]:
        plan, known = self.world.plan, Known()
        addresses = [proxy.address for proxy in self.world.client_proxies]
        callers = [
            Caller(f"client-{n}", addresses[n % 2], plan, self.recorder, known).run(over)
            for n in range(plan.clients)
        ]
        listeners = [
            Listener(f"watch-{n}", addresses[n % 2], plan, self.recorder).run(all_over)
            for n in range(2)
        ]
        tailers = [
            Tailer(f"tail-{n}", addresses[n % 2], plan, self.recorder, known).run(all_over)
            for n in range(2)
        ]
        return [*callers, *listeners, *tailers]

    async def _meter(self, over: asyncio.Event) -> None:
        """Records when this machine itself stood still: that excuses a lost lease."""
        while not over.is_set():
            before = now()
            await asyncio.sleep(0.05)
            if now() - before > _STALL:
                pids = [worker.pid for worker in self.world.workers]
                self.recorder.add(
                    Fault(name="stall", target="machine", began=before, ended=now(), workers=pids)
                )

    async def _make_peace(self) -> None:
        """Heals everything and waits until every task has ended."""
        for proxy in self.world.proxies:
            proxy.heal()
        await self.world.start_all()
        self.recorder.add(Note(name="peace", value=now()))
        await self._resume()
        store = await open_store(self._store_url, partitions=self.world.plan.partitions)
        give_up = now() + self.world.plan.patience
        try:
            while (left := await self._open(store)) and now() < give_up:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        finally:
            await store.close()
        self.recorder.add(Note(name="all ended", value=now()))
        self.recorder.add(Note(name="never ended", value=left))

    async def _let_watches_catch_up(self) -> None:
        """Until no watch has been told anything for a while longer than a reconnect takes."""
        give_up, watched = now() + 30, -1
        while watched != len(self.recorder.history.watched) and now() < give_up:
            watched = len(self.recorder.history.watched)
            await asyncio.sleep(_QUIET)

    async def _open(self, store: Store) -> int:
        with suppress(StoreUnavailable):
            return await oracle.still_open(store, self.world.plan.partitions)
        return 1

    async def _resume(self) -> None:
        address = self.world.client_proxies[0].address
        async with Client(ClientOptions(address=address)) as client:
            for queue in (*QUEUES, RAW_QUEUE):
                with suppress(PenstockError):  # a queue that was never used
                    await client.queues.resume(queue)

    async def _look(self) -> None:
        address = self.world.client_proxies[0].address
        known = oracle.acknowledged(self.recorder.history)
        await oracle.look(self.world.plan, self._store_url, address, self.recorder, known)

    @property
    def _store_url(self) -> str:
        return f"unix://{self.world.store.socket}"
