"""What happens to tasks as the server tells it: thin read-only views, as in `task`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from penstock.enums import CancelReason, ExecutionOutcome, TaskEventKind, TaskState
from penstock.messages import time_of
from penstock.task import Progress, Task
from penstock.v1 import event_pb2


@dataclass(frozen=True, slots=True)
class WatchUpdate:
    """Some of what happened. The first of a watch says that it has begun and may hold nothing."""

    tasks: tuple[Task, ...]
    """The watched tasks as they were when the watch by ids began, without payloads; else empty."""
    events: tuple[TaskEvent, ...]
    """What happened since the update before."""
    cursor: str
    """Where to go on after this update, also in another process."""


class TaskEvent:
    """One change of one task."""

    __slots__ = ("pb",)

    def __init__(self, pb: event_pb2.TaskEvent) -> None:
        self.pb = pb

    def __repr__(self) -> str:
        return f"TaskEvent({self.task_id} {self.sequence} {self.kind.name})"

    @property
    def namespace(self) -> str:
        """Namespace of the task."""
        return self.pb.namespace

    @property
    def task_id(self) -> str:
        """The task that changed."""
        return self.pb.task_id

    @property
    def kind(self) -> TaskEventKind:
        """What happened; UNSPECIFIED for a kind that this version does not know."""
        return TaskEventKind(self.pb.kind)

    @property
    def sequence(self) -> int:
        """The task's sequence after the change."""
        return self.pb.sequence

    @property
    def state(self) -> TaskState:
        """The task's state after the change."""
        return TaskState(self.pb.state)

    @property
    def queue(self) -> str:
        """Queue of the task."""
        return self.pb.queue

    @property
    def task_type(self) -> str:
        """Type of the task."""
        return self.pb.task_type

    @property
    def time(self) -> datetime | None:
        """When it happened, by the store's clock."""
        return time_of(self.pb, "time")

    @property
    def execution(self) -> int:
        """Execution that it happened to; 0 where none is meant."""
        return self.pb.execution

    @property
    def outcome(self) -> ExecutionOutcome:
        """Outcome of that execution, where it ended."""
        return ExecutionOutcome(self.pb.outcome)

    @property
    def attempt(self) -> int:
        """The task's attempt after the change."""
        return self.pb.attempt

    @property
    def cancel_reason(self) -> CancelReason:
        """Why the task is CANCELLED, where it is."""
        return CancelReason(self.pb.cancel_reason)

    @property
    def schedule_time(self) -> datetime | None:
        """When the task is due, where it waits for a time."""
        return time_of(self.pb, "schedule_time")

    @property
    def worker_session_id(self) -> str:
        """Session that took part, where one did."""
        return self.pb.worker_session_id

    @property
    def progress(self) -> Progress | None:
        """Progress, with kind PROGRESSED."""
        return Progress(self.pb.progress) if self.pb.HasField("progress") else None

    @property
    def failure_summary(self) -> str:
        """First line of the failure, where one was recorded."""
        return self.pb.failure_summary
