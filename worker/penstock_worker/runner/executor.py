"""Runs handlers: each execution that is started ends with exactly one END record.

Used by runner processes, by inline workers and by `penstock_worker.testing`.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from penstock.v1 import execution_pb2, task_pb2, worker_pb2, worker_service_pb2
from penstock_worker import codec, frames
from penstock_worker.context import Context, enter
from penstock_worker.errors import ExecutionCancelled, Fail, ResultError
from penstock_worker.failure import failure_of, kind_of
from penstock_worker.lines import SYSTEM, LineBounds, LineCutter, LineState
from penstock_worker.registry import Handler, Registry
from penstock_worker.runner import trace
from penstock_worker.runner.outbox import Outbox
from penstock_worker.runner.shared_tasks import SharedTasks
from penstock_worker.runner.threads import Threads

SUCCEEDED: Final = execution_pb2.EXECUTION_OUTCOME_SUCCEEDED
FAILED: Final = execution_pb2.EXECUTION_OUTCOME_FAILED
CANCELLED: Final = execution_pb2.EXECUTION_OUTCOME_CANCELLED

# Stock servers refuse calls above 4 MiB, and a refused call would take other reports with it.
RESULT_BYTES: Final = 3_500_000


class Meter(Protocol):
    """Measures what one execution uses, in a process that runs one at a time."""

    def start(self) -> None:
        """Begins to measure."""

    def read(self, usage: execution_pb2.Usage) -> None:
        """Fills in what was used since `start`."""


class Executor:
    """Starts and stops executions; runs on one event loop."""

    def __init__(
        self,
        registry: Registry,
        outbox: Outbox,
        *,
        threads: int,
        bounds: LineBounds | None = None,
        meter: Meter | None = None,
        before_end: Callable[[], str] | None = None,
    ) -> None:
        """`before_end` answers what an execution has left that spoils the process, or ""."""
        self._registry = registry
        self._outbox = outbox
        self._loop = asyncio.get_running_loop()
        self._threads = Threads(threads)
        self._meter = meter
        self._before_end = before_end
        self._is_copy = False
        self._tasks = SharedTasks()
        self._contexts: dict[int, Context] = {}
        self.lines = LineCutter(self._emit_line, bounds or LineBounds())

    # ---- Sink ----

    def progress(self, execution_id: int, progress: task_pb2.Progress) -> None:
        """Takes progress of an execution; late ones of ended executions are dropped."""
        if execution_id in self._contexts:
            self._outbox.progress(execution_id, progress)

    def line(self, context: Context, stream: int, level: str, logger: str, text: str) -> None:
        """Takes log lines of an execution; late ones of ended executions are dropped."""
        if context.execution_id in self._contexts:
            self.lines.line(self._log_of(context), stream, level, logger, text)

    def write(self, context: Context, stream: int, text: str) -> None:
        """Takes text written to a standard stream by an execution."""
        if context.execution_id in self._contexts:
            self.lines.write(self._log_of(context), stream, text)

    def _log_of(self, context: Context) -> LineState:
        state = context.line_state
        if state is None:
            state = context.line_state = self.lines.begin(context.execution_id)
        return state

    def _emit_line(
        self, execution_id: int, time_ns: int, stream: int, level: str, logger: str, text: str
    ) -> None:
        self._outbox.put((frames.LINE, execution_id, time_ns, stream, level, logger, text))

    # ---- start and stop ----

    @property
    def running(self) -> int:
        """Executions that run now."""
        return len(self._contexts)

    def start(
        self, execution_id: int, lease: worker_pb2.Lease, deadline: float | None, traceparent: str
    ) -> None:
        """Starts an execution. A type without a handler ends as a failure."""
        context = Context(execution_id, lease, self, deadline)
        self._contexts[execution_id] = context
        handler = self._registry.get(context.task_type)
        if handler is None:
            self._end(context, None, None, _no_handler(context.task_type), 0)
        elif handler.is_async:
            run = self._run(context, handler, traceparent)
            self._tasks.start(execution_id, handler.task_type, run)
        else:
            self._threads.submit(lambda: self._run_in_thread(context, handler, traceparent))

    def cancel(self, execution_id: int, reason: str) -> None:
        """Tells an execution to stop: cancels its coroutine, or sets its flag."""
        context = self._contexts.get(execution_id)
        if context is None:
            return
        context.cancel(reason)
        task = self._tasks.by_number.get(execution_id)
        # One that has not begun sees it when it does. Cancelled before its first step it would
        # never run at all, and nobody would say that it has ended.
        if task is not None and context.has_begun:
            task.cancel()

    async def cancel_all(self, reason: str) -> None:
        """Stops every execution and waits for the coroutines among them."""
        tasks = list(self._tasks.by_number.values())
        for execution_id in list(self._contexts):
            self.cancel(execution_id, reason)
        if tasks:
            await asyncio.wait(tasks)

    def close(self) -> None:
        """Lets the threads go."""
        self._threads.close()

    def abandon(self) -> None:
        """Ends the part of a copy that a handler's fork has made: it has nothing to report."""
        self._is_copy = True
        self._contexts = {}

    # ---- run ----

    async def _run(self, context: Context, handler: Handler, traceparent: str) -> None:
        enter(context)  # in the context variables that it has for itself
        spec = context.spec
        if traceparent or spec.HasField("trace_context"):
            trace.enter(spec, traceparent)
        result, error = None, None
        started = self._begin()
        context.has_begun = True
        try:
            if context.cancelled:
                raise ExecutionCancelled
            result = await handler.function(**handler.binding.arguments(context, spec.payload))
        except BaseException as raised:
            if isinstance(raised, GeneratorExit) and not self._loop.is_running():
                raise  # the loop is gone; nobody could be told
            # Also a cancel (somebody asked for it and is told by the END) and sys.exit.
            error = raised
        self._tasks.by_number.pop(context.execution_id, None)
        self._end(context, handler, result, error, started)

    def _run_in_thread(self, context: Context, handler: Handler, traceparent: str) -> None:
        contextvars.copy_context().run(self._run_here, context, handler, traceparent)

    def _run_here(self, context: Context, handler: Handler, traceparent: str) -> None:
        enter(context)
        spec = context.spec
        if traceparent or spec.HasField("trace_context"):
            trace.enter(spec, traceparent)
        result, error = None, None
        started = self._begin()
        try:
            if context.cancelled:
                raise ExecutionCancelled
            result = handler.function(**handler.binding.arguments(context, spec.payload))
        except BaseException as raised:
            error = raised
        self._end(context, handler, result, error, started)

    def _begin(self) -> int:
        if self._meter is not None:
            self._meter.start()
        return time.perf_counter_ns()

    # ---- end ----

    def _end(
        self,
        context: Context,
        handler: Handler | None,
        result: Any,
        error: BaseException | None,
        started: int,
    ) -> None:
        if self._is_copy:  # a fork has returned from the handler, and the original will too
            os._exit(0 if error is None else 1)
        try:
            outcome, item = self._ending(context, handler, result, error, started)
        except BaseException as broken:  # no memory is left, or the exception's own code raises
            outcome, item = FAILED, _undescribed(error, broken)
        self._send_end(context, outcome, item.SerializeToString())

    def _ending(
        self,
        context: Context,
        handler: Handler | None,
        result: Any,
        error: BaseException | None,
        started: int,
    ) -> tuple[int, worker_service_pb2.ReportItem]:
        wall = time.perf_counter_ns() - started if started else 0
        item = worker_service_pb2.ReportItem()
        outcome = SUCCEEDED
        if error is None:
            error = _complete(item, result)
        if error is not None:
            outcome = CANCELLED if _is_cancelled(context, error) else FAILED
            _fail(item, handler, context, error, outcome)
        usage = (item.complete if outcome == SUCCEEDED else item.fail).usage
        wall_time = usage.wall_time
        # As FromNanoseconds writes it, without the call: every task comes by here.
        wall_time.seconds, wall_time.nanos = divmod(wall, 1_000_000_000)
        if self._meter is not None:
            self._meter.read(usage)
        return outcome, item

    def _send_end(self, context: Context, outcome: int, item: bytes) -> None:
        left = self._before_end() if self._before_end is not None else ""
        if left:
            self.line(context, SYSTEM, "", "", f"the handler has left {left}")
        if context.line_state is not None:
            self.lines.finish(context.line_state)
        self._outbox.take_progress(context.execution_id)
        self._contexts.pop(context.execution_id, None)
        self._outbox.put((frames.END, context.execution_id, outcome, item, left))


def _undescribed(
    error: BaseException | None, broken: BaseException
) -> worker_service_pb2.ReportItem:
    item = worker_service_pb2.ReportItem()
    item.fail.outcome = FAILED
    item.fail.failure.kind = kind_of(broken if error is None else error)
    item.fail.failure.message = (
        f"how the handler ended cannot be described: {type(broken).__name__} was raised meanwhile"
    )
    return item


def _no_handler(task_type: str) -> BaseException:
    return Fail(f"no handler for task type {task_type!r}", kind="penstock_worker.NoHandler")


def _is_cancelled(context: Context, error: BaseException) -> bool:
    return context.cancelled and isinstance(error, asyncio.CancelledError | ExecutionCancelled)


def _complete(item: worker_service_pb2.ReportItem, result: Any) -> BaseException | None:
    """Fills in the result; answers why it cannot."""
    try:
        payload = codec.write_result(result)
        if payload is not None and len(payload.data) > RESULT_BYTES:
            raise ResultError(
                f"the result has {len(payload.data)} bytes, too many for one message."
                " Keep large results elsewhere and return where"
            )
    except BaseException as error:  # a result's own code may raise anything
        return error
    if payload is None:
        item.complete.SetInParent()
    else:
        item.complete.result.CopyFrom(payload)
    return None


def _fail(
    item: worker_service_pb2.ReportItem,
    handler: Handler | None,
    context: Context,
    error: BaseException,
    outcome: int,
) -> None:
    retry = handler.retry if handler is not None else None
    item.fail.failure.CopyFrom(failure_of(error, retry=retry, attempt=context.attempt))
    item.fail.outcome = outcome  # type: ignore[assignment]
