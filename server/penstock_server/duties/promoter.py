"""Makes tasks ready when their time comes, and expires those that waited too long."""

from datetime import timedelta
from typing import ClassVar

from penstock_server.store.queues import QueueStore


class Promoter:
    """Due task → READY; overdue task → CANCELLED (expired)."""

    name: ClassVar[str] = "promoter"
    every: ClassVar[timedelta] = timedelta(milliseconds=100)

    def __init__(self, queues: QueueStore, *, batch: int = 256) -> None:
        self._queues = queues
        self._batch = batch

    async def run_once(self, partition: int) -> bool:
        """Promotes one batch; says whether more is due."""
        _, more = await self._queues.promote(partition, self._batch)
        return more
