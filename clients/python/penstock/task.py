"""A task as the server answers it: a thin read-only view of the contract's message.

A view costs one object; times become `datetime` (UTC), payloads Python values, each when it is
asked for. `pb` is the message itself, for fields that a view does not name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from penstock import payload as payloads
from penstock.enums import CancelReason, TaskState
from penstock.messages import struct_of, time_of
from penstock.v1 import task_pb2


class Failure:
    """What a handler did wrong."""

    __slots__ = ("pb",)

    def __init__(self, pb: task_pb2.Failure) -> None:
        self.pb = pb

    def __repr__(self) -> str:
        return f"Failure({self.kind}: {self.message})"

    @property
    def kind(self) -> str:
        """Class of the failure, e.g. the exception's qualified name."""
        return self.pb.kind

    @property
    def message(self) -> str:
        """What happened, for people."""
        return self.pb.message

    @property
    def stack_trace(self) -> str:
        """Where it happened."""
        return self.pb.stack_trace

    @property
    def retryable(self) -> bool:
        """False if another attempt would be pointless."""
        return self.pb.retryable if self.pb.HasField("retryable") else True

    @property
    def details(self) -> dict[str, Any]:
        """Details for programs."""
        return struct_of(self.pb.details)

    @property
    def cause(self) -> Failure | None:
        """What led to it."""
        return Failure(self.pb.cause) if self.pb.HasField("cause") else None


class Progress:
    """How far a handler is, in its own words."""

    __slots__ = ("pb",)

    def __init__(self, pb: task_pb2.Progress) -> None:
        self.pb = pb

    def __repr__(self) -> str:
        return f"Progress({self.fraction:.0%} {self.message})"

    @property
    def fraction(self) -> float:
        """Share done, 0.0 to 1.0."""
        return self.pb.fraction

    @property
    def message(self) -> str:
        """What is going on."""
        return self.pb.message

    @property
    def details(self) -> dict[str, Any]:
        """Details for programs."""
        return struct_of(self.pb.details)

    @property
    def update_time(self) -> datetime | None:
        """When the worker reported it, by the store's clock."""
        return time_of(self.pb, "update_time")


class Task:
    """One unit of work that somebody asked for, with its state and what came of it."""

    __slots__ = ("pb",)

    def __init__(self, pb: task_pb2.Task) -> None:
        self.pb = pb

    def __repr__(self) -> str:
        return f"Task({self.task_id} {self.task_type} {self.state.name})"

    @property
    def namespace(self) -> str:
        """Namespace the task lives in."""
        return self.pb.namespace

    @property
    def task_id(self) -> str:
        """Identifier made by the server."""
        return self.pb.task_id

    @property
    def spec(self) -> task_pb2.TaskSpec:
        """What was asked for, defaults filled in. Copy it before editing it for a retry."""
        return self.pb.spec

    @property
    def task_type(self) -> str:
        """Name of the handler."""
        return self.pb.spec.task_type

    @property
    def queue(self) -> str:
        """Queue of the task."""
        return self.pb.spec.queue

    @property
    def priority(self) -> int:
        """0 (last) to 9 (first)."""
        return self.pb.spec.priority if self.pb.spec.HasField("priority") else 5

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels, for searching and routing."""
        return self.pb.spec.labels

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, carried along unread."""
        return self.pb.spec.headers

    @property
    def owner(self) -> str:
        """Person or team that answers for the task."""
        return self.pb.spec.owner

    @property
    def display_name(self) -> str:
        """Short name for people; the type if none was given."""
        return self.pb.spec.display_name or self.pb.spec.task_type

    @property
    def payload(self) -> Any:
        """Input of the handler, decoded; None if there is none or the answer came without it."""
        spec = self.pb.spec
        return payloads.decode(spec.payload) if spec.HasField("payload") else None

    @property
    def state(self) -> TaskState:
        """Where the task is in its life."""
        return TaskState(self.pb.state)

    @property
    def ended(self) -> bool:
        """Whether the task is over."""
        return self.state.ended

    @property
    def cancel_reason(self) -> CancelReason:
        """Why the task is CANCELLED; UNSPECIFIED in every other state."""
        return CancelReason(self.pb.cancel_reason)

    @property
    def cancel_requested(self) -> bool:
        """Whether a cancel was asked for, also while the task still runs out its grace."""
        return self.pb.cancel_requested

    @property
    def sequence(self) -> int:
        """Number of changes of this task so far."""
        return self.pb.sequence

    @property
    def attempt(self) -> int:
        """Executions that counted towards the retry policy."""
        return self.pb.attempt

    @property
    def execution_count(self) -> int:
        """Executions started so far, of any outcome."""
        return self.pb.execution_count

    @property
    def crash_count(self) -> int:
        """Executions that ended as CRASHED or LOST."""
        return self.pb.crash_count

    @property
    def release_count(self) -> int:
        """Releases in a row since the last execution that ended otherwise."""
        return self.pb.release_count

    @property
    def progress(self) -> Progress | None:
        """Latest progress that a handler reported."""
        return Progress(self.pb.progress) if self.pb.HasField("progress") else None

    @property
    def result(self) -> Any:
        """What the handler answered, decoded; None if it answered nothing or has not succeeded."""
        return payloads.decode(self.pb.result) if self.pb.HasField("result") else None

    @property
    def failure(self) -> Failure | None:
        """Why the latest execution did not succeed."""
        return Failure(self.pb.failure) if self.pb.HasField("failure") else None

    @property
    def creator(self) -> str:
        """Principal that submitted the task."""
        return self.pb.creator

    @property
    def create_time(self) -> datetime | None:
        """When the server took the task in."""
        return time_of(self.pb, "create_time")

    @property
    def update_time(self) -> datetime | None:
        """When the task last changed."""
        return time_of(self.pb, "update_time")

    @property
    def schedule_time(self) -> datetime | None:
        """When the task is or was due."""
        return time_of(self.pb, "schedule_time")

    @property
    def start_time(self) -> datetime | None:
        """When the latest execution was leased."""
        return time_of(self.pb, "start_time")

    @property
    def end_time(self) -> datetime | None:
        """When the task ended."""
        return time_of(self.pb, "end_time")

    @property
    def delete_time(self) -> datetime | None:
        """When the full record may be deleted."""
        return time_of(self.pb, "delete_time")

    @property
    def worker_session_id(self) -> str:
        """Session that holds the lease; empty unless the task runs."""
        return self.pb.worker_session_id

    @property
    def lease_expire_time(self) -> datetime | None:
        """When the lease runs out unless it is renewed."""
        return time_of(self.pb, "lease_expire_time")

    @property
    def etag(self) -> str:
        """Version of the task, for updates."""
        return self.pb.etag
