"""Lets go of what was kept long enough: records of ended tasks, purged tasks, old events."""

from datetime import timedelta
from typing import ClassVar

from penstock_server.store.queues import QueueStore


class Pruner:
    """Old ended task → stub; old event → gone."""

    name: ClassVar[str] = "pruner"
    every: ClassVar[timedelta] = timedelta(seconds=1)

    def __init__(self, queues: QueueStore, *, batch: int = 64) -> None:
        self._queues = queues
        self._batch = batch

    async def run_once(self, partition: int) -> bool:
        """Prunes one batch; says whether more may go."""
        _, more = await self._queues.prune(partition, self._batch)
        return more


class Sweeper:
    """Purged task → CANCELLED (purged)."""

    name: ClassVar[str] = "sweeper"
    every: ClassVar[timedelta] = timedelta(milliseconds=500)

    def __init__(self, queues: QueueStore, *, batch: int = 256) -> None:
        self._queues = queues
        self._batch = batch

    async def run_once(self, partition: int) -> bool:
        """Sweeps one batch; says whether more was purged."""
        _, more = await self._queues.sweep(partition, self._batch)
        return more
