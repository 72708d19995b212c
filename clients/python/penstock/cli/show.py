"""Turns what the contract answers into rows and words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from penstock.cli import text
from penstock.v1.execution_pb2 import Execution, ExecutionOutcome
from penstock.v1.task_pb2 import CancelReason, Failure, Payload, Task, TaskState


def as_json(message: Message) -> dict[str, Any]:
    """The message in protobuf's JSON form, the same as in grpcurl."""
    return MessageToDict(message)


def moment(message: Message, field: str) -> datetime | None:
    """A Timestamp field, or nothing where it is unset."""
    if not message.HasField(field):
        return None
    value: Timestamp = getattr(message, field)
    return value.ToDatetime(tzinfo=UTC)


def length(message: Message, field: str) -> timedelta | None:
    """A Duration field, or nothing where it is unset."""
    if not message.HasField(field):
        return None
    value: Duration = getattr(message, field)
    return value.ToTimedelta()


def word(kind: Any, number: int) -> str:
    """Name of an enum value without its prefix: `TASK_STATE_READY` is `READY`."""
    try:
        name: str = kind.Name(number)
    except ValueError:  # A newer server has words that this program does not know.
        return f"#{number}"
    prefix = _snake(kind.DESCRIPTOR.name).upper() + "_"
    return name.removeprefix(prefix)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip(
        "_"
    )


def state(task: Task) -> str:
    """State of a task: `READY`, `RUNNING`."""
    return word(TaskState, task.state)


def state_note(task: Task) -> str:
    """What the state leaves out: why it was cancelled, or that a cancel is under way."""
    if task.cancel_reason:
        return word(CancelReason, task.cancel_reason).lower()
    return "cancel requested" if task.cancel_requested else ""


def outcome(execution: Execution) -> str:
    """Outcome of an execution, `RUNNING` while it has none."""
    return word(ExecutionOutcome, execution.outcome) if execution.outcome else "RUNNING"


def failure_line(failure: Failure) -> str:
    """Kind and first line of the message."""
    first = failure.message.split("\n", 1)[0]
    return f"{failure.kind}: {first}" if failure.kind and first else failure.kind or first


def attempts(task: Task) -> str:
    """`2 of 3`: executions that counted, of those the policy allows."""
    policy = task.spec.retry_policy
    allowed = f" of {policy.max_attempts}" if policy.HasField("max_attempts") else ""
    return f"{task.attempt}{allowed}"


def payload_text(payload: Payload) -> str:
    """A payload for reading: JSON in one line, text as it is, anything else by type and size."""
    if payload.WhichOneof("content") == "json":
        return json.dumps(MessageToDict(payload.json), ensure_ascii=False)
    if not payload.data and not payload.content_type:
        return ""
    readable = payload.content_type.startswith(("text/", "application/json"))
    try:
        decoded = payload.data.decode() if readable else None
    except UnicodeDecodeError:
        decoded = None
    if decoded is not None:
        return decoded
    return f"{len(payload.data):,} bytes of {payload.content_type or 'application/octet-stream'}"


def payload_value(payload: Payload) -> Any:
    """A payload's JSON value if it has one, else its text, else nothing."""
    if payload.WhichOneof("content") == "json":
        return MessageToDict(payload.json)
    shown = payload_text(payload)
    try:
        return json.loads(shown) if payload.content_type.startswith("application/json") else shown
    except ValueError:
        return shown


def labels(pairs: Iterable[tuple[str, str]]) -> str:
    """`a=1 b=2`, sorted."""
    return " ".join(f"{key}={value}" for key, value in sorted(pairs))


def clock(value: datetime | None) -> str:
    """A moment in local time, to the second."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z") if value else ""


def when(value: datetime | None, *, now: datetime) -> str:
    """A moment in local time and how long ago that was."""
    return f"{clock(value)} ({text.age(value, now=now)})" if value else ""
