"""What the tasks go through: a store, servers, workers, a producer; and how each is killed."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from robustness.kills.producer import QUEUE
from robustness.parts import Part, ServerNode, StoreNode, WorkerNode
from robustness.proxy import Proxy, Target

PARTS: Final = ("store", "server", "worker", "runner", "producer")
"""What is killed, each as often as the others."""
SLOTS: Final = 50
_SETTINGS: Final = (
    "lease.term=5s",
    "lease.accept_within=3s",
    "retention.events_age=7d",
    "retention.events_count=100000000",
    "retention.events_bytes=4GiB",
    "retention.ended_count=10000000",
)


class ProducerNode(Part):
    """The producer. It ends by itself once everything is acknowledged."""

    def __init__(self, folder: Path, address: str, total: int) -> None:
        super().__init__("producer", folder)
        self.acknowledged = folder / "acknowledged.jsonl"
        self.ahead = folder / "ahead"
        self.ahead.write_text("0")
        self._address = address
        self._total = total

    async def command(self) -> Sequence[str]:
        given = [self._address, str(self.acknowledged), str(self._total), str(self.ahead)]
        return [sys.executable, "-m", "robustness.kills.producer", *given]

    async def ready(self) -> bool:
        return bool(self.pid) or self.is_done

    @property
    def is_done(self) -> bool:
        """Whether it has ended by itself."""
        return self.process is not None and self.process.returncode == 0


@dataclass
class Site:
    """The parts, which are all up."""

    folder: Path
    store: StoreNode
    servers: list[ServerNode]
    workers: list[WorkerNode]
    producer: ProducerNode
    rng: random.Random

    @property
    def url(self) -> str:
        """Of the store itself."""
        return f"unix://{self.store.socket}"

    async def kill(self, part: str) -> bool:
        """kill -9 of one such part, which is then started again. False if none was there."""
        if part == "runner":
            return self._kill_a_runner()
        chosen: Part = {
            "store": self.store,
            "server": self.rng.choice(self.servers),
            "worker": self.rng.choice(self.workers),
            "producer": self.producer,
        }[part]
        if not chosen.pid:
            return False
        await chosen.kill()
        await chosen.start()
        return True

    def _kill_a_runner(self) -> bool:
        runners = [pid for worker in self.workers for pid in worker.runners()]
        if not runners:
            return False
        with suppress(ProcessLookupError):
            os.kill(self.rng.choice(runners), signal.SIGKILL)
        return True


@asynccontextmanager
async def site(folder: Path, total: int, seed: int) -> AsyncIterator[Site]:
    """A site in an empty folder; everything ends with the block."""
    async with AsyncExitStack() as stack:
        data = folder / "store"
        data.mkdir(parents=True)
        store = StoreNode(folder, data, "always")
        url = f"unix://{store.socket}"
        servers = [ServerNode(f"server-{n}", folder, url, _SETTINGS) for n in (1, 2)]

        def serving() -> list[Target]:
            return [address for server in servers if (address := server.address) is not None]

        # Servers come back on other ports: what connects to them goes through one that stays.
        proxies = [await stack.enter_async_context(Proxy(f"to-{n}", serving)) for n in range(3)]
        workers = [
            WorkerNode(f"worker-{n}", folder, proxies[n].address, queues=[QUEUE], slots=SLOTS)
            for n in (1, 2)
        ]
        producer = ProducerNode(folder, proxies[0].address, total)
        made = Site(folder, store, servers, workers, producer, random.Random(seed))
        for part in (store, *servers, *workers, producer):
            stack.push_async_callback(part.end)
            await part.start()
        yield made
