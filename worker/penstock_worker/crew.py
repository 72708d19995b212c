"""The runners of a worker: which of them gets an execution, and what happens when one dies.

Shared runners are kept at their number and restarted with a growing wait. Isolated runners run
one execution at a time; one is kept warm, and each is replaced after a number of executions or
when it holds too much memory.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Final, Protocol

import structlog

from penstock.v1 import worker_pb2
from penstock_worker import events, frames
from penstock_worker.child import Child
from penstock_worker.errors import WorkerStartError
from penstock_worker.frames import Record
from penstock_worker.held import Held
from penstock_worker.lines import LineBounds, LineCutter
from penstock_worker.options import WorkerOptions
from penstock_worker.runner.config import RunnerConfig
from penstock_worker.runners import ChildRunner, Hello, Runner

FIRST_BACKOFF: Final = 0.1
LONGEST_BACKOFF: Final = 30.0
STEADY_AFTER: Final = 30.0
PING_INTERVAL: Final = 2.0

log = structlog.stdlib.get_logger("penstock_worker")


class Owner(Protocol):
    """Whoever holds the executions: the supervisor."""

    def on_records(self, runner: Runner, records: list[Record]) -> None:
        """Takes what a runner says about executions."""

    def on_line(self, held: Held, line: tuple[int, int, str, str, str]) -> None:
        """Takes a line from a standard stream: time (ns), stream, level, logger, text."""

    def on_death(self, runner: Runner, how: str, *, was_ready: bool, was_asked: bool) -> None:
        """Takes the death of a runner with executions in `runner.executions`."""

    def on_not_started(self, held: Held, why: str) -> None:
        """Told that no process could be had for an execution."""

    def on_ready(self) -> None:
        """Told when a runner has become ready."""


class Crew:
    """Every runner of the worker."""

    def __init__(self, target: str, options: WorkerOptions, owner: Owner) -> None:
        self._target = target
        self._options = options
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._shared: list[ChildRunner] = []
        self._isolated: list[ChildRunner] = []
        self._runners: dict[Child, ChildRunner] = {}
        self._hello: asyncio.Future[Hello] = self._loop.create_future()
        self._backoff = FIRST_BACKOFF
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False
        self._needs_shared = self._needs_isolated = False
        self._cutter = LineCutter(
            self._emit_line, LineBounds(lines=options.log_lines, size=options.log_bytes)
        )

    # ---- life ----

    async def start(self) -> Hello:
        """Starts the first runner and answers what the module declares.

        Raises WorkerStartError if the module cannot be loaded.
        """
        await self._spawn(isolated=False)
        hello = await self._hello
        self._needs_shared = any(not info.isolated for info in hello.handlers.values())
        self._needs_isolated = any(info.isolated for info in hello.handlers.values())
        if self._needs_shared:
            for _ in range(self._options.runners - 1):
                await self._spawn(isolated=False)
        else:
            self._retire(self._shared[0])
        self._keep_warm()
        return hello

    async def close(self) -> None:
        """Ends every runner: politely, and after two seconds by force."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        children = list(self._runners)
        for child in children:
            child.stop()
        for child in children:
            await child.wait()

    @property
    def is_ready(self) -> bool:
        """True if a shared runner can start something."""
        return any(runner.is_ready for runner in self._shared)

    @property
    def pids(self) -> list[int]:
        """Process ids of the runners."""
        return [child.pid for child in self._runners]

    async def _spawn(self, *, isolated: bool) -> ChildRunner:
        child = Child(
            self._config(isolated),
            on_records=self._on_records,
            on_text=self._on_text,
            on_death=self._on_death,
        )
        runner = ChildRunner(child)
        (self._isolated if isolated else self._shared).append(runner)
        self._runners[child] = runner
        try:
            await child.start()
        except OSError as error:
            self._forget(runner)
            raise WorkerStartError(
                f"the system does not let the worker start a process: {error}"
            ) from error
        return runner

    def _config(self, isolated: bool) -> RunnerConfig:
        options = self._options
        return RunnerConfig(
            target=self._target,
            descriptor=-1,
            parent=-1,
            threads=1 if isolated else options.slots,
            isolated=isolated,
            log_lines=options.log_lines,
            log_bytes=options.log_bytes,
        )

    def _later(self, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- choosing ----

    def shared(self) -> Runner | None:
        """Answers the ready shared runner with the fewest executions, or None."""
        if len(self._shared) == 1:
            runner = self._shared[0]
            return runner if runner.is_ready else None
        ready = [runner for runner in self._shared if runner.is_ready]
        return min(ready, key=lambda runner: len(runner.executions), default=None)

    def start_isolated(
        self, held: Held, lease: worker_pb2.Lease, deadline: float | None, traceparent: str
    ) -> None:
        """Starts an execution in an idle isolated runner, or in one that is spawned for it."""
        for runner in self._isolated:
            if not runner.executions and not runner.is_leaving:
                self._begin(runner, held, lease, deadline, traceparent)
                self._keep_warm()
                return
        self._later(self._start_in_new(held, lease, deadline, traceparent))

    async def _start_in_new(
        self, held: Held, lease: worker_pb2.Lease, deadline: float | None, traceparent: str
    ) -> None:
        try:
            runner = await self._spawn(isolated=True)
        except WorkerStartError as error:
            log.error(events.RUNNER_BROKEN, reason=str(error))
            self._owner.on_not_started(held, str(error))
            return
        if held.stop is not None:  # told to stop while there was no process to tell
            self._owner.on_not_started(held, "stopped before it started")
            return
        self._begin(runner, held, lease, deadline, traceparent)

    def _begin(
        self,
        runner: ChildRunner,
        held: Held,
        lease: worker_pb2.Lease,
        deadline: float | None,
        traceparent: str,
    ) -> None:
        held.runner = runner
        runner.line_state = self._cutter.begin(held.id)
        runner.start(held, lease, deadline, traceparent)

    def _keep_warm(self) -> None:
        """Spawns an isolated runner in advance if none is idle and there is room for one."""
        if not self._needs_isolated or self._closing:
            return
        living = [runner for runner in self._isolated if not runner.is_leaving]
        idle = any(not runner.executions for runner in living)
        if not idle and len(living) < self._options.isolated_slots:
            self._later(self._spawn_warm())

    async def _spawn_warm(self) -> None:
        try:
            await self._spawn(isolated=True)
        except WorkerStartError as error:
            log.error(events.RUNNER_BROKEN, reason=str(error))

    # ---- what children say ----

    def _on_records(self, child: Child, records: list[Record]) -> None:
        runner = self._runners[child]
        if not runner.is_ready:
            first, *records = records
            if first[0] == frames.BROKEN:
                self._on_broken(first[1])
                return
            self._on_hello(runner, Hello(first))
        self._owner.on_records(runner, records)

    def _on_hello(self, runner: ChildRunner, hello: Hello) -> None:
        runner.is_ready = True
        log.info(events.RUNNER_STARTED, pid=runner.child.pid, isolated=runner.is_isolated)
        if not self._hello.done():
            self._hello.set_result(hello)
        self._owner.on_ready()

    def _on_broken(self, text: str) -> None:
        log.error(events.RUNNER_BROKEN, reason=text)
        if not self._hello.done():
            self._hello.set_exception(WorkerStartError(text))

    def _on_text(self, child: Child, stream: int, text: str) -> None:
        state = self._runners[child].line_state
        if state is not None:
            self._cutter.write(state, stream, text)

    def _emit_line(self, number: int, time_ns: int, stream: int, *rest: str) -> None:
        for runner in self._isolated:
            held = runner.executions.get(number)
            if held is not None:
                self._owner.on_line(held, (time_ns, stream, *rest))  # type: ignore[arg-type]
                return

    def settle_output(self, runner: ChildRunner) -> None:
        """Takes everything that an isolated execution wrote: it has ended."""
        runner.child.drain_pipes()
        if runner.line_state is not None:
            self._cutter.finish(runner.line_state)

    # ---- after an isolated execution ----

    def recycle(self, runner: ChildRunner, left: str) -> None:
        """Replaces an isolated runner that has served long enough; keeps it otherwise.

        `left` is what the execution has left behind that spoils the process, or "".
        """
        reason = left or self._recycle_reason(runner)
        if reason:
            log.info(events.RUNNER_RECYCLED, pid=runner.child.pid, reason=reason)
            self._retire(runner)
            self._keep_warm()

    def _recycle_reason(self, runner: ChildRunner) -> str:
        if runner.served >= self._options.isolated_executions:
            return "executions"
        if runner.child.has_lost_stream:
            return "a standard stream was closed"
        bound = self._options.isolated_memory
        return "memory" if bound is not None and runner.resident_bytes() > bound else ""

    def _retire(self, runner: ChildRunner) -> None:
        runner.is_leaving = True
        runner.child.stop()

    # ---- death ----

    def _on_death(self, child: Child) -> None:
        runner = self._runners[child]
        was_ready = runner.is_ready
        runner.is_ready = False
        if runner.is_isolated:
            self.settle_output(runner)
        self._forget(runner)
        if not self._hello.done():
            self._hello.set_exception(
                WorkerStartError(
                    f"the process that loads {self._target!r} {child.death_text()}"
                    " before it had loaded it; its own output says more"
                )
            )
        if not (self._closing or runner.is_leaving):
            log.warning(
                events.RUNNER_DIED,
                pid=child.pid,
                isolated=runner.is_isolated,
                how=child.death_text(),
                executions=len(runner.executions),
            )
        self._owner.on_death(
            runner,
            child.death_text(),
            was_ready=was_ready,
            was_asked=self._closing or runner.is_leaving,
        )
        self._replace(runner)

    def _replace(self, runner: ChildRunner) -> None:
        if self._closing or runner.is_leaving:
            return
        if runner.is_isolated:
            if runner.served:  # one that never served would be spawned for ever
                self._keep_warm()
        elif self._needs_shared:
            self._later(self._restart(time.monotonic() - runner.start_time))

    async def _restart(self, lived: float) -> None:
        if lived > STEADY_AFTER:
            self._backoff = FIRST_BACKOFF
        await asyncio.sleep(self._backoff * random.uniform(0.5, 1.0))
        self._backoff = min(self._backoff * 2, LONGEST_BACKOFF)
        try:
            await self._spawn(isolated=False)
        except WorkerStartError as error:
            log.error(events.RUNNER_BROKEN, reason=str(error))
            self._later(self._restart(0.0))

    def _forget(self, runner: ChildRunner) -> None:
        self._runners.pop(runner.child, None)
        crowd = self._isolated if runner.is_isolated else self._shared
        if runner in crowd:
            crowd.remove(runner)

    # ---- pings ----

    def ping(self, now: float) -> None:
        """Asks the shared runners for a sign of life; kills those that gave none for too long."""
        bound = self._options.unresponsive_after.total_seconds()
        for runner in self._shared:
            if not runner.is_ready:
                continue
            if runner.pong_time < runner.ping_time:
                if now - runner.ping_time > bound:
                    self._kill_silent(runner, now)
            elif now - runner.ping_time >= PING_INTERVAL:
                runner.ping_time = now
                runner.child.send((frames.PING, 0))

    @staticmethod
    def _kill_silent(runner: ChildRunner, now: float) -> None:
        log.error(
            events.RUNNER_UNRESPONSIVE,
            pid=runner.child.pid,
            silent_seconds=round(now - runner.ping_time, 1),
            executions=len(runner.executions),
        )
        runner.child.kill()
