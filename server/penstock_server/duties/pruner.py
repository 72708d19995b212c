"""Lets go of what was kept long enough: records of ended tasks, purged tasks, old events."""

from datetime import timedelta
from typing import ClassVar, Final

from penstock_server.store.queues import QueueStore

_LEAST: Final = 64
_MOST: Final = 256
_CALLS: Final = 256
"""In how many calls what is left is to go: a pruner that falls behind takes more at a time."""


class Pruner:
    """Old ended task → stub; old event → gone.

    A call keeps everybody else from the store for a millisecond or more, so it takes few tasks as
    long as that keeps up with what ends.
    """

    name: ClassVar[str] = "pruner"
    every: ClassVar[timedelta] = timedelta(seconds=1)

    def __init__(self, queues: QueueStore) -> None:
        self._queues = queues
        self._left: dict[int, int] = {}

    async def run_once(self, partition: int) -> bool:
        """Prunes one batch; says whether more may go."""
        batch = min(max(_LEAST, self._left.get(partition, 0) // _CALLS), _MOST)
        _, left = await self._queues.prune(partition, batch)
        self._left[partition] = left
        return left > 0


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
