"""How a worker ends.

Draining: nothing more is leased, handlers get a grace to end, what still runs is given back, and
every report is sent. A second wish to end skips the grace.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final

import structlog

from penstock_worker import events
from penstock_worker.supervisor import Supervisor

FLUSH_TIMEOUT: Final = 10.0
HURRIED_FLUSH_TIMEOUT: Final = 2.0

log = structlog.stdlib.get_logger("penstock_worker")


class Shutdown:
    """Collects wishes to end, from signals and from the server."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._hurried = asyncio.Event()
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Asks the worker to drain; asked again, it hurries."""
        if self._asked.is_set():
            self._hurried.set()
        else:
            self.reason = reason
            self._asked.set()

    def drain(self, reason: str) -> None:
        """Asks the worker to drain; asked again, nothing changes."""
        if not self._asked.is_set():
            self.ask(reason)

    async def asked(self) -> None:
        """Waits until the worker is to end."""
        await self._asked.wait()

    def listen(self) -> None:
        """Takes SIGTERM and SIGINT as wishes to end. In the main thread only."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask, signal.Signals(number).name)

    def ignore(self) -> None:
        """Gives the signals back."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    async def finish(self, supervisor: Supervisor, grace: float) -> None:
        """Drains the worker: returns when nothing runs and everything is reported."""
        log.info(
            events.DRAINING,
            reason=self.reason,
            running=supervisor.capacity.running,
            grace_seconds=grace,
        )
        supervisor.capacity.open = False
        supervisor.poller.renew()  # a poll for directives only, which ends the open one
        await self._wait_for_handlers(supervisor, time.monotonic() + grace)
        supervisor.release_all()
        hurried = self._hurried.is_set()
        await supervisor.reporter.flush(HURRIED_FLUSH_TIMEOUT if hurried else FLUSH_TIMEOUT)

    async def _wait_for_handlers(self, supervisor: Supervisor, end: float) -> None:
        while supervisor.table and not self._hurried.is_set() and time.monotonic() < end:
            try:
                await asyncio.wait_for(self._hurried.wait(), 0.05)
            except TimeoutError:
                continue
