"""The faults: each breaks something, waits, and heals it again. All of them are recorded."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from penstock_server.model.errors import StoreUnavailable
from penstock_server.store.store import open_store
from robustness.history import Fault, Recorder, now
from robustness.parts import Part, ServerNode, WorkerNode
from robustness.proxy import Proxy
from robustness.world import World

_LONGER_THAN_A_TERM: Final = 1.4
_SKIPPED: Final = "skipped"


@dataclass
class Damage:
    """What a fault says of itself while it goes on."""

    target: str = ""
    workers: list[int] = field(default_factory=list)
    runners: list[int] = field(default_factory=list)
    loses_writes: bool = False
    note: str = ""


class Saboteur:
    """Breaks things, one after the other, in an order that comes from the seed."""

    def __init__(self, world: World, recorder: Recorder) -> None:
        self._world = world
        self._recorder = recorder
        self._rng = world.plan.rng("faults")
        self._acts: dict[str, Callable[[Damage], Awaitable[None]]] = {
            name: getattr(self, "_" + name.replace("-", "_")) for name in world.plan.faults
        }

    async def run(self, over: asyncio.Event) -> None:
        """Breaks and heals until it is over. Every kind comes before any comes again."""
        deck: list[str] = []
        while not over.is_set():
            if not deck:
                deck = list(self._acts)
                self._rng.shuffle(deck)
            await self._one(deck.pop())
            with suppress(TimeoutError):
                pause = self._world.plan.pause * self._rng.uniform(0.3, 1.7)
                await asyncio.wait_for(over.wait(), pause)

    async def _one(self, name: str) -> None:
        damage, began = Damage(), now()
        await self._acts[name](damage)
        if damage.note == _SKIPPED:
            return
        self._recorder.add(
            Fault(
                name=name,
                target=damage.target,
                began=began,
                ended=now(),
                workers=damage.workers,
                runners=damage.runners,
                loses_writes=damage.loses_writes,
                note=damage.note,
            )
        )

    async def _for(self, low: float, high: float) -> None:
        await asyncio.sleep(self._rng.uniform(low, high))

    # ---- workers ----------------------------------------------------------------------------

    def _a_worker(self, damage: Damage) -> WorkerNode:
        worker = self._rng.choice(self._world.workers)
        damage.target = worker.name
        damage.workers.append(worker.pid)
        return worker

    async def _kill_worker(self, damage: Damage) -> None:
        worker = self._a_worker(damage)
        damage.runners += worker.runners()
        await worker.kill()
        await self._for(0, 1)
        await worker.start()

    async def _stop_worker(self, damage: Damage) -> None:
        worker = self._a_worker(damage)
        worker.send(signal.SIGSTOP)
        await self._for(0.5, self._world.plan.term * _LONGER_THAN_A_TERM)
        worker.send(signal.SIGCONT)

    async def _drain_worker(self, damage: Damage) -> None:
        worker = self._a_worker(damage)
        damage.workers.clear()  # a drained worker gives back what it has: nothing may be lost
        await worker.end()
        await worker.start()

    async def _kill_runner(self, damage: Damage) -> None:
        await self._to_runner(damage, signal.SIGKILL)

    async def _stop_runner(self, damage: Damage) -> None:
        pid = await self._to_runner(damage, signal.SIGSTOP)
        await self._for(0.5, 3)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    async def _to_runner(self, damage: Damage, number: signal.Signals) -> int:
        worker = self._a_worker(damage)
        damage.workers.clear()  # the supervisor goes on renewing
        runners = worker.runners()
        if not runners:
            damage.note = _SKIPPED
            return os.getpid()
        pid = self._rng.choice(runners)
        damage.runners.append(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        return pid

    # ---- servers ----------------------------------------------------------------------------

    def _a_server(self, damage: Damage) -> ServerNode:
        server = self._rng.choice(self._world.servers)
        damage.target = server.name
        return server

    async def _kill_server(self, damage: Damage) -> None:
        both = self._rng.random() < 0.3
        servers = self._world.servers if both else [self._a_server(damage)]
        damage.target = " ".join(server.name for server in servers)
        for server in servers:
            await server.kill()
        await self._for(0, 2)
        for server in servers:
            await server.start()

    async def _stop_server(self, damage: Damage) -> None:
        # Who is connected to it waits in vain, while the other server goes on taking leases away.
        damage.workers += self._all_workers()
        server = self._a_server(damage)
        server.send(signal.SIGSTOP)
        await self._for(0.5, self._world.plan.term * _LONGER_THAN_A_TERM)
        server.send(signal.SIGCONT)

    async def _drain_server(self, damage: Damage) -> None:
        server = self._a_server(damage)
        await server.end()
        await server.start()

    def _all_workers(self) -> list[int]:
        return [worker.pid for worker in self._world.workers if worker.pid]

    # ---- the store --------------------------------------------------------------------------

    async def _kill_store(self, damage: Damage) -> None:
        damage.target = f"store ({self._world.plan.appendfsync})"
        damage.loses_writes = self._world.plan.appendfsync != "always"
        await self._world.store.kill()
        if self._rng.random() < 0.4:
            await asyncio.sleep(self._world.plan.term * _LONGER_THAN_A_TERM)
        await self._start(self._world.store)

    async def _power_cut(self, damage: Damage) -> None:
        """The store's machine dies: what was not flushed to the disk by then is gone."""
        store, everysec = self._world.store, self._world.plan.appendfsync != "always"
        damage.target = f"store ({self._world.plan.appendfsync})"
        file = store.append_file()
        flushed = size_of(file)
        await self._for(0.5, 1.9)
        await store.kill()
        if everysec and file is not None and file == store.append_file():
            damage.note = f"{size_of(file) - flushed} bytes were not on the disk"
            os.truncate(file, flushed)
        damage.loses_writes = everysec
        await self._start(store)

    async def _start(self, part: Part) -> None:
        await part.start()

    async def _stop_store(self, damage: Damage) -> None:
        damage.target = "store"
        self._world.store.send(signal.SIGSTOP)
        await self._for(0.5, self._world.plan.term * _LONGER_THAN_A_TERM)
        self._world.store.send(signal.SIGCONT)

    async def _script_flush(self, damage: Damage) -> None:
        damage.target = "store"
        await self._world.store.ask("SCRIPT FLUSH SYNC")

    async def _client_kill(self, damage: Damage) -> None:
        damage.target = "store"
        await self._world.store.ask("CLIENT KILL TYPE normal SKIPME yes")

    async def _pubsub_kill(self, damage: Damage) -> None:
        damage.target = "store"
        for _ in range(5):
            await self._world.store.ask("CLIENT KILL TYPE pubsub")
            await self._for(0.1, 0.4)

    async def _store_memory_full(self, damage: Damage) -> None:
        damage.target = "store"
        await self._world.store.ask("CONFIG SET maxmemory 1mb")
        await self._for(1, 3)
        await self._world.store.ask("CONFIG SET maxmemory 0")

    async def _disk_full(self, damage: Damage) -> None:
        if not self._world.small_disk:
            damage.note = _SKIPPED
            return
        damage.target = f"store ({self._world.plan.appendfsync})"
        damage.loses_writes = self._world.plan.appendfsync != "always"
        ballast = self._world.store.data / "ballast"
        try:
            await asyncio.to_thread(fill, ballast)
            await self._for(1, 3)
        finally:
            ballast.unlink(missing_ok=True)
        # With `always` the store gives itself up when it cannot write.
        await asyncio.sleep(0.2)
        damage.note = "" if self._world.store.pid else "the store ended itself"
        await self._start(self._world.store)

    async def _clock_jump(self, damage: Damage) -> None:
        """The reaper runs once with a clock that is an hour ahead: nothing may be taken away."""
        damage.target = "reaper"
        url = f"unix://{self._world.store.socket}"
        ahead = str(int((now() + 3_600) * 1_000))
        with suppress(StoreUnavailable):
            partitions = self._world.plan.partitions
            store = await open_store(url, partitions=partitions, clock=lambda: ahead)
            try:
                for partition in range(partitions):
                    result = await store.leases.reap(
                        partition, longest_pause=timedelta(seconds=3), limit=256
                    )
                    damage.note = "held still" if result is None else "reaped"
            finally:
                await store.close()

    # ---- the network ------------------------------------------------------------------------

    @asynccontextmanager
    async def _healed(self, proxy: Proxy, damage: Damage) -> AsyncIterator[Proxy]:
        damage.target = proxy.name
        for worker in self._world.workers:
            if worker.name == proxy.name:
                damage.workers.append(worker.pid)
        try:
            yield proxy
        finally:
            proxy.heal()

    async def _cut_workers(self, damage: Damage) -> None:
        for _ in range(3):
            for proxy in self._world.worker_proxies:
                proxy.cut()
            await self._for(0.1, 0.5)
        damage.target = "all workers"

    async def _hold_worker(self, damage: Damage) -> None:
        async with self._healed(self._rng.choice(self._world.worker_proxies), damage) as proxy:
            proxy.hold()
            await self._for(0.5, self._world.plan.term * _LONGER_THAN_A_TERM)

    async def _delay_clients(self, damage: Damage) -> None:
        async with self._healed(self._rng.choice(self._world.client_proxies), damage) as proxy:
            proxy.delay = self._rng.uniform(0.05, 0.3)
            await self._for(1, 3)

    async def _cut_clients(self, damage: Damage) -> None:
        async with self._healed(self._rng.choice(self._world.client_proxies), damage) as proxy:
            for _ in range(5):
                proxy.cut()
                await self._for(0.1, 0.6)

    async def _drop_answers_to_clients(self, damage: Damage) -> None:
        async with self._healed(self._rng.choice(self._world.client_proxies), damage) as proxy:
            proxy.drops_answers = True
            await self._for(0.3, 1.5)

    async def _drop_answers_to_worker(self, damage: Damage) -> None:
        async with self._healed(self._rng.choice(self._world.worker_proxies), damage) as proxy:
            proxy.drops_answers = True
            await self._for(0.3, 2)

    async def _delay_store(self, damage: Damage) -> None:
        async with self._healed(self._world.store_proxy, damage) as proxy:
            proxy.delay = self._rng.uniform(0.02, 0.3)
            await self._for(1, 3)

    async def _cut_store(self, damage: Damage) -> None:
        async with self._healed(self._world.store_proxy, damage) as proxy:
            for _ in range(3):
                proxy.cut()
                proxy.refuses = self._rng.random() < 0.5
                await self._for(0.1, 1)

    async def _drop_answers_of_store(self, damage: Damage) -> None:
        async with self._healed(self._world.store_proxy, damage) as proxy:
            proxy.drops_answers = True
            await self._for(0.2, 1.5)


def size_of(path: Path | None) -> int:
    """Bytes of a file; 0 if there is none."""
    return path.stat().st_size if path is not None else 0


def fill(path: Path) -> None:
    """Writes until the disk is full."""
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
