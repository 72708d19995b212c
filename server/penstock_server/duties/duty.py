"""What duties have in common: a lock for each partition that spreads them over the servers, and the
loop.

Correctness never rests on the lock: every duty may run twice at the same time.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from time import perf_counter
from typing import ClassVar, Final, Protocol

from penstock_server.engine.background import Background
from penstock_server.store.locks import DutyLocks
from penstock_server.store.store import Store

_LOCK_TERM: Final = timedelta(seconds=2)
"""Shorter than the pause after which the reaper takes nothing away, so that another server takes
over in time.
"""


class Duty(Protocol):
    """Something to be done again and again in every partition."""

    name: ClassVar[str]
    every: ClassVar[timedelta]

    async def run_once(self, partition: int) -> bool:
        """Does a bounded amount of work; says whether more is left right now."""


class Duties:
    """Runs duties in this process, in the partitions whose lock it holds."""

    def __init__(
        self,
        store: Store,
        server_id: str,
        duties: Sequence[Duty],
        on_run: Callable[[str, float], None] = lambda _name, _seconds: None,
    ) -> None:
        self._locks = DutyLocks(store.connection, server_id, _LOCK_TERM)
        self._partitions = range(store.meta.partitions)
        self._duties = duties
        self._on_run = on_run

    def start(self, background: Background) -> None:
        """Begins the loop of every duty."""
        for duty in self._duties:
            background.repeat(duty.name, partial(self.turn, duty), duty.every)

    async def turn(self, duty: Duty) -> None:
        """Does what there is to do, in rounds: a partition that never ends holds up no other."""
        busy = list(self._partitions)
        while busy:
            busy = [partition for partition in busy if await self._run(duty, partition)]

    async def _run(self, duty: Duty, partition: int) -> bool:
        """Does one piece if the lock is ours; says whether more is left."""
        # Before each piece: long work must not lose the lock half-way.
        if not await self._locks.hold(duty.name, partition):
            return False
        started = perf_counter()
        more = await duty.run_once(partition)
        self._on_run(duty.name, perf_counter() - started)
        return more
