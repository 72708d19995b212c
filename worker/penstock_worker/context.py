"""What a handler can know about its execution, and tell the server while it runs.

One Context belongs to one execution. Its methods may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from google.protobuf import struct_pb2

from penstock.v1 import execution_pb2, task_pb2, worker_pb2
from penstock_worker.errors import ExecutionCancelled
from penstock_worker.lines import LineState
from penstock_worker.text import cut

PROGRESS_MESSAGE_BYTES: Final = 256
PROGRESS_DETAILS_BYTES: Final = 16 * 1024

_LEVELS: Final = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})


class Sink(Protocol):
    """Where an execution's progress and log lines go. Callable from any thread."""

    def progress(self, execution_id: int, progress: task_pb2.Progress) -> None:
        """Takes the latest progress; an older one that was not sent yet is replaced."""

    def line(self, context: Context, stream: int, level: str, logger: str, text: str) -> None:
        """Takes log text; it may hold several lines."""

    def write(self, context: Context, stream: int, text: str) -> None:
        """Takes text as written to a standard stream; what follows the last line end waits."""


class Context:
    """One execution, as its handler sees it."""

    __slots__ = (
        "_cancel_reason",
        "_deadline",
        "_lease",
        "_lock",
        "_sink",
        "_spec",
        "_waiters",
        "execution_id",
        "has_begun",
        "line_state",
    )

    def __init__(
        self, execution_id: int, lease: worker_pb2.Lease, sink: Sink, deadline: float | None
    ) -> None:
        self.execution_id = execution_id
        """Number of the execution within its worker process; for the runtime."""
        self._lease = lease
        self._spec = lease.spec  # each read of a message's field makes an object
        self._sink = sink
        self._deadline = deadline
        self._cancel_reason: str | None = None
        # Made when somebody waits: most executions end in microseconds and nobody does.
        self._lock: threading.Event | None = None
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] | None = None
        self.has_begun = False
        """True once its coroutine has taken its first step; for the runtime."""
        self.line_state: LineState | None = None
        """State of the execution's log once it has one; for the runtime."""

    # ---- facts ----

    @property
    def task_id(self) -> str:
        """Identifier of the task."""
        return self._lease.task_id

    @property
    def task_type(self) -> str:
        """Type of the task."""
        return self._spec.task_type

    @property
    def queue(self) -> str:
        """Queue that the task waited in."""
        return self._spec.queue

    @property
    def execution(self) -> int:
        """Number of this execution, from 1, in every lease."""
        return self._lease.execution

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1. Released and crashed executions do not count."""
        return self._lease.attempt

    @property
    def crash_count(self) -> int:
        """Crashes of the task so far."""
        return self._lease.crash_count

    @property
    def fence(self) -> int:
        """A number that rises with every lease of the task.

        Hand it to stores that can refuse an older one: a handler that was cut off and does not
        know it yet can then not overwrite what its successor wrote.
        """
        return self._lease.fence

    @property
    def spec(self) -> task_pb2.TaskSpec:
        """What was asked for, defaults filled in. Not to be changed."""
        return self._spec

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that the producer sent along."""
        return self._spec.headers

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the task."""
        return self._spec.labels

    @property
    def previous_failure(self) -> task_pb2.Failure | None:
        """Why the execution before did not succeed; None in the first one."""
        if self._lease.HasField("previous_failure"):
            return self._lease.previous_failure
        return None

    @property
    def create_time(self) -> datetime:
        """When the server took the task in (UTC)."""
        return self._lease.create_time.ToDatetime(tzinfo=UTC)

    @property
    def deadline(self) -> float | None:
        """When this execution times out, by `time.monotonic()`; None if it may run for ever."""
        return self._deadline

    @property
    def remaining(self) -> float | None:
        """Seconds until `deadline`, at least 0; None if the execution may run for ever."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    # ---- what the handler tells ----

    def progress(
        self,
        fraction: float,
        message: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Reports how far the handler is; it is also the beat that `heartbeat_timeout` waits for.

        `fraction` is 0.0 to 1.0. `message` is cut at 256 bytes. `details` are JSON-able, at most
        16 KiB. Cheap: the latest is sent on, at most once a second, and once more before the
        execution ends. Raises ValueError for what is out of bounds.
        """
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"the fraction of progress is {fraction}; it must be 0.0 to 1.0")
        progress = task_pb2.Progress(
            fraction=fraction, message=cut(message, PROGRESS_MESSAGE_BYTES)
        )
        if details is not None:
            progress.details.CopyFrom(_details(details))
        self._sink.progress(self.execution_id, progress)

    def log(self, text: str, level: str = "INFO") -> None:
        """Writes a line into the execution's log. Raises ValueError for an unknown level."""
        if level not in _LEVELS:
            raise ValueError(f"{level!r} is no log level: use one of {', '.join(sorted(_LEVELS))}")
        self._sink.line(self, execution_pb2.LOG_STREAM_LOGGER, level, "penstock.task", text)

    def output(self, text: str, *, error: bool = False) -> None:
        """Writes text into the execution's log as its standard output, or standard error.

        For what a handler reads from elsewhere, e.g. a child process. Text after the last line
        end waits for the rest of its line.
        """
        stream = execution_pb2.LOG_STREAM_STDERR if error else execution_pb2.LOG_STREAM_STDOUT
        self._sink.write(self, stream, text)

    @property
    def logger(self) -> logging.Logger:
        """A standard logger named after the task type; its lines go into the execution's log."""
        return logging.getLogger(f"penstock.task.{self.task_type}")

    # ---- cancellation ----

    @property
    def cancelled(self) -> bool:
        """True once the handler should stop: a cancel, a timeout, a lost lease, or a shutdown."""
        return self._cancel_reason is not None

    @property
    def cancel_reason(self) -> str | None:
        """Why the handler should stop: `cancel`, `timeout`, `lost` or `shutdown`; else None."""
        return self._cancel_reason

    def check_cancelled(self) -> None:
        """Raises ExecutionCancelled if the handler should stop."""
        if self._cancel_reason is not None:
            raise ExecutionCancelled(self._cancel_reason)

    def wait(self, timeout: float | None = None) -> bool:
        """Sleeps up to `timeout` seconds or until the handler should stop; True if it should.

        For `def` handlers: it blocks its thread.
        """
        if self._lock is None:
            self._lock = threading.Event()
        if self._cancel_reason is not None:
            return True
        return self._lock.wait(timeout)

    async def wait_cancelled(self) -> str:
        """Waits until the handler should stop, and answers why."""
        event = asyncio.Event()
        self._waiters = self._waiters or []
        self._waiters.append((asyncio.get_running_loop(), event))
        if self._cancel_reason is None:
            await event.wait()
        return self._cancel_reason or ""

    def cancel(self, reason: str) -> None:
        """Tells the handler to stop; for the runtime and for tests."""
        self._cancel_reason = self._cancel_reason or reason
        if self._lock is not None:
            self._lock.set()
        for loop, event in self._waiters or ():
            loop.call_soon_threadsafe(event.set)


def _details(details: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(details)
    if struct.ByteSize() > PROGRESS_DETAILS_BYTES:
        raise ValueError(
            f"the details of progress have {struct.ByteSize()} bytes;"
            f" at most {PROGRESS_DETAILS_BYTES} are allowed"
        )
    return struct


_current: contextvars.ContextVar[Context] = contextvars.ContextVar("penstock_execution")


def current_context() -> Context | None:
    """Answers the Context of the execution that the caller belongs to; None outside of one."""
    return _current.get(None)


def enter(context: Context) -> contextvars.Token[Context]:
    """Makes an execution the current one; for the runtime."""
    return _current.set(context)


def leave(token: contextvars.Token[Context]) -> None:
    """Undoes `enter`; for the runtime."""
    _current.reset(token)
