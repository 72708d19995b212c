"""Takes away leases that ran out, and ends executions whose time is over."""

from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar

from penstock_server.engine.observer import Observer
from penstock_server.store.leases import LeaseStore, Reaped


class Reaper:
    """Expired lease → next execution, dead letter or CANCELLED.

    When the duty itself paused for more than 3 s it takes nothing away for one full lease term:
    nobody could renew meanwhile.
    """

    name: ClassVar[str] = "reaper"
    every: ClassVar[timedelta] = timedelta(milliseconds=500)
    longest_pause: ClassVar[timedelta] = timedelta(seconds=3)

    def __init__(
        self,
        leases: LeaseStore,
        observer: Observer,
        *,
        batch: int = 256,
        on_reaped: Callable[[Reaped], None] = lambda _: None,
    ) -> None:
        """`on_reaped` is told of each execution that was ended."""
        self._leases = leases
        self._on_reaped = on_reaped
        self._observer = observer
        self._batch = batch

    async def run_once(self, partition: int) -> bool:
        """Reaps one batch; says whether more has run out."""
        result = await self._leases.reap(
            partition, longest_pause=self.longest_pause, limit=self._batch
        )
        if result is None:
            return False
        reaped, more = result
        for execution in reaped:
            self._observer.reaped(execution.namespace, execution.queue, execution.outcome)
            self._on_reaped(execution)
        return more
