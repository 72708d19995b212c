"""Handlers in the supervisor itself: for debugging, and for the last drop of throughput.

A handler that blocks the loop then blocks the renewal of every lease too, and one that kills its
process kills the worker. Isolated handlers keep their processes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penstock.v1 import worker_pb2
from penstock_worker.crew import Crew
from penstock_worker.frames import Record
from penstock_worker.held import Held
from penstock_worker.lines import LineBounds
from penstock_worker.options import WorkerOptions
from penstock_worker.runner.capture import Capture
from penstock_worker.runner.executor import Executor
from penstock_worker.runner.loader import load
from penstock_worker.runner.outbox import Outbox
from penstock_worker.runner.process import hello_record
from penstock_worker.runners import Hello, Runner

if TYPE_CHECKING:
    from penstock_worker.crew import Owner


class InlineRunner(Runner):
    """Stands for a runner; runs executions where it is."""

    def __init__(self, executor: Executor) -> None:
        super().__init__(isolated=False)
        self._executor = executor
        self.is_ready = True

    def start(
        self, held: Held, lease: worker_pb2.Lease, deadline: float | None, traceparent: str
    ) -> None:
        """Starts an execution."""
        self.executions[held.id] = held
        self._executor.start(held.id, lease, deadline, traceparent)

    def cancel(self, held: Held, reason: str) -> None:
        """Tells an execution to stop."""
        self._executor.cancel(held.id, reason)

    def kill(self, number: int) -> None:
        """Does nothing: there is no process of its own to kill."""


class InlineCrew(Crew):
    """A crew whose shared runner is the supervisor."""

    def __init__(self, target: str, options: WorkerOptions, owner: Owner) -> None:
        super().__init__(target, options, owner)
        self._executor: Executor | None = None
        self._capture: Capture | None = None
        self._inline: InlineRunner | None = None

    async def start(self) -> Hello:
        """Loads the user's module here. Raises WorkerStartError if that fails."""
        worker = load(self._target)
        outbox = Outbox(self._loop, self._deliver, on_loop=True)
        self._executor = Executor(
            worker.registry,
            outbox,
            threads=self._options.slots,
            bounds=LineBounds(lines=self._options.log_lines, size=self._options.log_bytes),
        )
        self._capture = Capture(self._executor, streams=True)
        self._capture.install()
        self._capture.settle()
        self._inline = InlineRunner(self._executor)
        hello = Hello(hello_record(worker))
        self._needs_isolated = any(info.isolated for info in hello.handlers.values())
        self._keep_warm()
        return hello

    def _deliver(self, records: list[Record]) -> None:
        if self._inline is not None:
            self._owner.on_records(self._inline, records)

    @property
    def is_ready(self) -> bool:
        """True once the module is loaded."""
        return self._inline is not None

    def shared(self) -> Runner | None:
        """Answers the runner that is the supervisor itself."""
        return self._inline

    async def close(self) -> None:
        """Stops what runs here, and every isolated runner."""
        await super().close()
        if self._executor is not None:
            await asyncio.wait_for(self._executor.cancel_all("shutdown"), 2.0)
            self._executor.close()
        if self._capture is not None:
            self._capture.remove()
