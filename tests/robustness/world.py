"""Everything that one round runs: store, two servers, workers, and the proxies between them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from robustness.parts import ServerNode, StoreNode, WorkerNode
from robustness.plan import Plan
from robustness.proxy import Proxy, Target, Targets

QUEUES: Final = ("alpha", "beta", "gamma")
"""Served by the Python workers."""
RAW_QUEUE: Final = "raw"
"""Served by the hand-made worker."""
BACKLOG: Final = 120
"""Bound of the namespace's backlog, tasks."""
DISK_MB: Final = 192


@dataclass
class World:
    """The parts of one round."""

    plan: Plan
    folder: Path
    store: StoreNode
    servers: list[ServerNode]
    workers: list[WorkerNode]
    store_proxy: Proxy
    client_proxies: list[Proxy]
    worker_proxies: list[Proxy]
    """One for each worker, and one for the hand-made worker."""
    small_disk: bool
    """Whether the store's folder is a file system of its own, which can be filled."""

    @property
    def proxies(self) -> list[Proxy]:
        """All of them."""
        return [self.store_proxy, *self.client_proxies, *self.worker_proxies]

    async def start_all(self) -> None:
        """Starts what does not run."""
        await self.store.start()
        for part in (*self.servers, *self.workers):
            await part.start()

    async def end_all(self) -> None:
        """Ends everything, the store last."""
        for part in (*self.workers, *self.servers, self.store):
            await part.end()


@asynccontextmanager
async def world(plan: Plan, folder: Path) -> AsyncIterator[World]:
    """A world that is up; everything ends with the block."""
    async with AsyncExitStack() as stack:
        data = folder / "store"
        data.mkdir(parents=True)
        small_disk = plan.small_disk and _mount(data)
        if small_disk:
            stack.callback(subprocess.run, ["umount", "--lazy", str(data)], check=False)
        store = StoreNode(folder, data, plan.appendfsync)
        store_proxy = await stack.enter_async_context(Proxy("store", lambda: [str(store.socket)]))
        url = f"redis://{store_proxy.address}/0"
        servers = [ServerNode(f"server-{n}", folder, url, settings(plan)) for n in (1, 2)]
        entered: list[Proxy] = []
        for name in ("clients-1", "clients-2", *_worker_names(plan), "raw"):
            targets = _towards(servers, first=len(entered) % 2)
            entered.append(await stack.enter_async_context(Proxy(name, targets)))
        clients, others = entered[:2], entered[2:]
        workers = [
            WorkerNode(name, folder, proxy.address, queues=QUEUES, slots=plan.slots)
            for name, proxy in zip(_worker_names(plan), others, strict=False)
        ]
        made = World(
            plan, folder, store, servers, workers, store_proxy, clients, others, small_disk
        )
        stack.push_async_callback(made.end_all)
        await made.start_all()
        yield made


def settings(plan: Plan) -> Sequence[str]:
    """The settings of the servers: short terms, and nothing forgotten before it was checked."""
    return (
        f"lease.term={plan.term:g}s",
        f"lease.accept_within={plan.accept_within:g}s",
        f"store.partitions={plan.partitions}",
        f"limits.backlog_tasks={BACKLOG}",
        "retention.events_age=7d",
        "retention.events_count=100000000",
        "retention.events_bytes=4GiB",
        "retention.ended_count=10000000",
        "drain.grace=2s",
    )


def _worker_names(plan: Plan) -> list[str]:
    return [f"worker-{number + 1}" for number in range(plan.workers)]


def _towards(servers: Sequence[ServerNode], *, first: int) -> Targets:
    """The servers that serve, one of them first: a balancer that knows who is away."""

    def targets() -> list[Target]:
        order = [*servers[first:], *servers[:first]]
        return [address for server in order if (address := server.address) is not None]

    return targets


def _mount(data: Path) -> bool:
    """Puts a small file system under the store; False where only root may."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(data)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
