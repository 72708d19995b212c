"""Executions and their log lines as the server answers them: thin read-only views, as in `task`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from penstock import payload as payloads
from penstock.enums import ExecutionOutcome, LogStream, ReleaseReason
from penstock.messages import span_of, time_of
from penstock.task import Failure
from penstock.v1 import execution_pb2


class Execution:
    """One run of a task by a worker."""

    __slots__ = ("pb",)

    def __init__(self, pb: execution_pb2.Execution) -> None:
        self.pb = pb

    def __repr__(self) -> str:
        return f"Execution({self.task_id}#{self.number} {self.outcome.name})"

    @property
    def task_id(self) -> str:
        """The task that was run."""
        return self.pb.task_id

    @property
    def number(self) -> int:
        """Number of the execution within its task, from 1."""
        return self.pb.number

    @property
    def outcome(self) -> ExecutionOutcome:
        """How it ended; UNSPECIFIED while it runs."""
        return ExecutionOutcome(self.pb.outcome)

    @property
    def attempt(self) -> int:
        """Which attempt this was."""
        return self.pb.attempt

    @property
    def fence(self) -> int:
        """The lease's rising number, for use against outside stores."""
        return self.pb.fence

    @property
    def worker_session_id(self) -> str:
        """Session that held the lease."""
        return self.pb.worker_session_id

    @property
    def worker_name(self) -> str:
        """Display name of that session."""
        return self.pb.worker_name

    @property
    def start_time(self) -> datetime | None:
        """When it was leased."""
        return time_of(self.pb, "start_time")

    @property
    def end_time(self) -> datetime | None:
        """When its end was recorded; None while it runs."""
        return time_of(self.pb, "end_time")

    @property
    def result(self) -> Any:
        """What the handler answered, decoded."""
        return payloads.decode(self.pb.result) if self.pb.HasField("result") else None

    @property
    def failure(self) -> Failure | None:
        """Why it did not succeed."""
        return Failure(self.pb.failure) if self.pb.HasField("failure") else None

    @property
    def release_reason(self) -> ReleaseReason:
        """Why it was given back."""
        return ReleaseReason(self.pb.release_reason)

    @property
    def usage(self) -> Usage:
        """What it used, as far as the worker could measure it."""
        return Usage(self.pb.usage)


class Usage:
    """What an execution used; None where it could not be measured for this execution alone."""

    __slots__ = ("pb",)

    def __init__(self, pb: execution_pb2.Usage) -> None:
        self.pb = pb

    @property
    def wall_time(self) -> timedelta | None:
        """Wall-clock time of the handler."""
        return span_of(self.pb, "wall_time")

    @property
    def cpu_time(self) -> timedelta | None:
        """Processor time, user and system."""
        return span_of(self.pb, "cpu_time")

    @property
    def peak_memory_bytes(self) -> int | None:
        """Highest resident memory."""
        return self.pb.peak_memory_bytes if self.pb.HasField("peak_memory_bytes") else None


class LogLine:
    """One line of an execution's log."""

    __slots__ = ("pb",)

    def __init__(self, pb: execution_pb2.LogLine) -> None:
        self.pb = pb

    def __repr__(self) -> str:
        return f"LogLine({self.execution}:{self.number})"

    @property
    def execution(self) -> int:
        """Execution that wrote the line, from 1."""
        return self.pb.execution

    @property
    def number(self) -> int:
        """Number of the line within its execution, from 1."""
        return self.pb.number

    @property
    def time(self) -> datetime | None:
        """When the line was written, by the worker's clock."""
        return time_of(self.pb, "time")

    @property
    def stream(self) -> LogStream:
        """Where the line came from."""
        return LogStream(self.pb.stream)

    @property
    def level(self) -> str:
        """DEBUG, INFO, WARNING, ERROR or CRITICAL; empty for standard output and error."""
        return self.pb.level

    @property
    def logger(self) -> str:
        """Name of the logger; empty for standard output and error."""
        return self.pb.logger

    @property
    def text(self) -> str:
        """The text without its line end."""
        return self.pb.text
