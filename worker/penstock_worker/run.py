"""Runs a worker from its start to its end; the entry of the command line."""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from collections.abc import Callable
from typing import Any

import structlog
import uvloop

from penstock.channel import client_version
from penstock.v1 import worker_pb2
from penstock_worker import collector, events
from penstock_worker.capacity import Capacity
from penstock_worker.connection import Connection
from penstock_worker.crew import Crew
from penstock_worker.metrics import Metrics, MetricsServer
from penstock_worker.options import WorkerOptions
from penstock_worker.poller import Poller
from penstock_worker.reload import run_reloading
from penstock_worker.reporter import Reporter
from penstock_worker.runners import Hello
from penstock_worker.shutdown import Shutdown
from penstock_worker.supervisor import Supervisor
from penstock_worker.sweeper import Sweeper
from penstock_worker.tracing import open_tracing

log = structlog.stdlib.get_logger("penstock_worker")


def run_worker(target: str, *, reload: bool = False, **options: Any) -> None:
    """Runs the worker that `target` (`module:attribute`) names until it is told to stop.

    The options are the fields of WorkerOptions. SIGTERM and SIGINT drain it; a second one hurries.
    With `reload` it starts anew when a source file changes. Raises WorkerStartError if it cannot
    start, ValueError for options out of bounds.
    """
    settings = WorkerOptions(**options)
    if not reload:
        uvloop.run(WorkerProcess(target, settings).run())
    elif settings.inline:
        raise ValueError("reload and inline exclude each other: inline loads the module only once")
    else:
        uvloop.run(run_reloading(lambda: WorkerProcess(target, settings), os.getcwd()))


class WorkerProcess:
    """A worker: its parts, made in order and ended in reverse."""

    def __init__(
        self,
        target: str,
        options: WorkerOptions,
        *,
        on_started: Callable[[WorkerProcess], None] | None = None,
    ) -> None:
        self.target = target
        self.options = options
        self.session_id = str(uuid.uuid4())
        self.shutdown: Shutdown
        self.supervisor: Supervisor
        self.metrics_address = ""
        self._connection: Connection
        self._on_started = on_started

    async def run(self) -> None:
        """Runs until it is drained. Raises WorkerStartError if it cannot start."""
        self.shutdown = Shutdown()
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread:
            self.shutdown.listen()
        try:
            await self._run()
        finally:
            if in_main_thread:
                self.shutdown.ignore()

    async def _run(self) -> None:
        options = self.options
        capacity = Capacity(options.slots, options.isolated_slots)
        metrics = Metrics(self._gauges)
        tracing = open_tracing(self.session_id)
        supervisor = self.supervisor = Supervisor(capacity, metrics, tracing, self)
        self._connection = Connection(options.client)
        crew = supervisor.crew = self._crew(supervisor)
        server = MetricsServer(options.metrics, metrics) if options.metrics else None
        try:
            self.metrics_address = server.address if server else ""
            await self._serve(supervisor, crew)
        finally:
            await crew.close()
            await self._connection.close()
            if server is not None:
                server.close()
            tracing.close()
            log.info(events.STOPPED, session_id=self.session_id)

    def _crew(self, supervisor: Supervisor) -> Crew:
        if self.options.inline:
            from penstock_worker.inline import InlineCrew

            return InlineCrew(self.target, self.options, supervisor)
        return Crew(self.target, self.options, supervisor)

    async def _serve(self, supervisor: Supervisor, crew: Crew) -> None:
        hello = await self._first_runner(crew)
        if hello is None:
            return
        supervisor.serve(hello.handlers)
        supervisor.capacity.shared_ready = crew.is_ready
        self._wire(supervisor, hello)
        with collector.settled():
            await self._work(supervisor, hello)

    async def _work(self, supervisor: Supervisor, hello: Hello) -> None:
        """Polls and sweeps until the worker is drained."""
        try:
            async with asyncio.TaskGroup() as parts:
                polling = parts.create_task(supervisor.poller.run())
                sweeping = parts.create_task(Sweeper(supervisor).run())
                self._announce(hello)
                await self.shutdown.asked()
                await self.shutdown.finish(supervisor, self.options.drain_grace.total_seconds())
                polling.cancel()
                sweeping.cancel()
        except* Exception as group:
            raise _first(group) from None
        finally:
            await supervisor.reporter.close()

    async def _first_runner(self, crew: Crew) -> Hello | None:
        """Starts the crew; None if the worker was told to end meanwhile."""
        starting = asyncio.ensure_future(crew.start())
        asked = asyncio.ensure_future(self.shutdown.asked())
        await asyncio.wait((starting, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if starting.done():
            return starting.result()
        starting.cancel()
        await asyncio.wait((starting,))
        return None

    def _wire(self, supervisor: Supervisor, hello: Hello) -> None:
        options = self.options
        queues = options.queues or hello.queues
        reporter = Reporter(
            self._connection,
            supervisor.capacity,
            supervisor,
            namespace=options.client.namespace,
            session_id=self.session_id,
            queues=queues,
        )
        poller = Poller(
            self._connection,
            supervisor.capacity,
            supervisor,
            namespace=options.client.namespace,
            session=self._session(hello),
            queues=queues,
            wait=options.poll_wait.total_seconds(),
        )
        # While a poll waits for tasks there are none: a report that asked too would ask in vain.
        capacity = supervisor.capacity
        reporter.wants_leases = lambda: capacity.more_waiting or not poller.is_waiting_for_tasks
        poller.leaves_asking = lambda: reporter.is_busy

        def look_for_more() -> None:
            if capacity.more_waiting and not capacity.running:
                poller.look_again()

        reporter.on_asked = look_for_more
        supervisor.connect(reporter, poller)

    def _session(self, hello: Hello) -> worker_pb2.WorkerSession:
        return worker_pb2.WorkerSession(
            session_id=self.session_id,
            display_name=self.options.display_name(hello.name, self.target),
            slots=self.options.slots,
            labels=dict(self.options.labels),
            runtime=f"penstock-python/{client_version()}",
        )

    def _announce(self, hello: Hello) -> None:
        log.info(
            events.STARTED,
            session_id=self.session_id,
            address=self.options.client.address,
            namespace=self.options.client.namespace,
            queues=list(self.options.queues or hello.queues),
            task_types=sorted(hello.handlers),
            slots=self.options.slots,
            inline=self.options.inline,
            metrics=self.metrics_address,
        )
        if self._on_started is not None:
            self._on_started(self)

    def _gauges(self) -> dict[str, float]:
        capacity = self.supervisor.capacity
        reporter = getattr(self.supervisor, "reporter", None)
        return {
            "slots": capacity.slots,
            "running": capacity.running,
            "asked": capacity.asked,
            "reports_in_flight": reporter.in_flight if reporter is not None else 0,
        }

    # ---- Wishes ----

    def drain(self, reason: str) -> None:
        """Drains the worker: the server asks for it."""
        self.shutdown.drain(reason or "the server asked for it")

    def reconnect(self, reason: str) -> None:
        """Makes a new connection: the server goes away."""
        self._connection.renew()
        self.supervisor.poller.renew()


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    """Answers the first plain exception of nested groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, Exception):
        raise error
    return error
