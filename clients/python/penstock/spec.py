"""What a producer asks for: the task to submit, its retry policy and its timeouts.

These classes only hold and translate. Bounds are the server's to check, so that they are in one
place; what it refuses comes back as `FieldInvalid` with the field's path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import IntEnum
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, TypedDict

from penstock import payload as payloads
from penstock.v1 import task_pb2
from penstock.v1.task_service_pb2 import SubmitTasksItem


class ConflictPolicy(IntEnum):
    """What to do when an idempotency key is known."""

    RETURN_EXISTING = 1
    """Answer with the task that has the key."""
    REJECT = 2
    """Refuse with TaskAlreadyExists."""
    REPLACE_WAITING = 3
    """Cancel the task that has the key and take the new one, if the old one waits still."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """What happens when an execution does not succeed. None: the queue's default, or ours."""

    max_attempts: int | None = None
    """Executions that may fail before the task is a dead letter, the first included. 1 to 1,000."""
    initial_backoff: timedelta | None = None
    """Wait after the first failure. 1 ms to 30 days."""
    max_backoff: timedelta | None = None
    """Longest wait. At least `initial_backoff`, at most 365 days."""
    multiplier: float | None = None
    """Each wait is the one before times this. 1.0 to 100.0."""
    jitter: float | None = None
    """Share of each wait that is drawn at random. 0.0 to 1.0."""
    non_retryable_kinds: Sequence[str] = ()
    """Failure kinds that are never retried. At most 32."""
    max_crashes: int | None = None
    """Crashes that the task may cause before it is a dead letter. 0 to 1,000."""

    @cached_property
    def pb(self) -> task_pb2.RetryPolicy:
        """The contract's message; made once, not to be changed."""
        return task_pb2.RetryPolicy(**_given(self))


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Longest times of a task, each 1 ms to 365 days. None: no such limit."""

    schedule_to_start: timedelta | None = None
    """From ready to leased; beyond it the task is cancelled (expired)."""
    start_to_close: timedelta | None = None
    """One execution; beyond it the execution timed out, which counts as a failed attempt."""
    heartbeat: timedelta | None = None
    """Longest silence of the handler between its progress reports."""
    total: timedelta | None = None
    """From submit to the end, retries included; beyond it the task is cancelled (expired)."""

    @cached_property
    def pb(self) -> task_pb2.Timeouts:
        """The contract's message; made once, not to be changed."""
        return task_pb2.Timeouts(**_given(self))


def _given(policy: RetryPolicy | Timeouts) -> dict[str, Any]:
    """The fields that are set; names here and in the contract are the same."""
    return {field.name: getattr(policy, field.name) for field in fields(policy)}


class TaskFields(TypedDict, total=False):
    """The keywords of `submit`, `run` and `run_task`: the fields of TaskRequest."""

    queue: str
    priority: int | None
    delay: timedelta | None
    run_at: datetime | None
    retry: RetryPolicy | None
    timeouts: Timeouts | None
    labels: Mapping[str, str] | None
    headers: Mapping[str, str] | None
    idempotency_key: str
    idempotency_window: timedelta | None
    conflict: ConflictPolicy | None
    fairness_key: str
    owner: str
    display_name: str
    description: str
    retention: timedelta | None
    lease_duration: timedelta | None
    cancel_grace: timedelta | None
    requirements: Mapping[str, str] | None
    trace_context: task_pb2.TraceContext | None


@dataclass(slots=True)
class TaskRequest:
    """One task to submit. Only `task_type` is required.

    Not frozen, because a producer makes millions and freezing triples the cost of making one.
    """

    task_type: str
    """Name of the handler that runs it, e.g. `images.resize`."""
    payload: object = None
    """Input of the handler: bytes, a Payload, a dataclass, or anything that JSON knows."""
    queue: str = ""
    """Queue to wait in. Empty: `default`."""
    priority: int | None = None
    """0 (last) to 9 (first). None: 5."""
    delay: timedelta | None = None
    """Span to wait from submit. Only one of `delay` and `run_at`."""
    run_at: datetime | None = None
    """Earliest time to run; needs a time zone."""
    retry: RetryPolicy | None = None
    """What happens when an execution does not succeed."""
    timeouts: Timeouts | None = None
    """Longest times of the task."""
    labels: Mapping[str, str] | None = None
    """For searching and routing."""
    headers: Mapping[str, str] | None = None
    """For the handler, carried along unread."""
    idempotency_key: str = ""
    """The same key in the same queue gives the same task, for `idempotency_window`."""
    idempotency_window: timedelta | None = None
    """How long the key is remembered. None: 24 h."""
    conflict: ConflictPolicy | None = None
    """What to do when the key is known. None: answer with the task that has it."""
    fairness_key: str = ""
    """Tasks of one queue with different keys take turns."""
    owner: str = ""
    """Person or team that answers for the task."""
    display_name: str = ""
    """Short name for people. Empty: the type."""
    description: str = ""
    """Longer text for people."""
    retention: timedelta | None = None
    """How long the full record stays after the end."""
    lease_duration: timedelta | None = None
    """Term of the lease."""
    cancel_grace: timedelta | None = None
    """Time between a cancel of the running task and the end of its lease."""
    requirements: Mapping[str, str] | None = None
    """Worker labels that the task needs. Kept, not yet enforced."""
    trace_context: task_pb2.TraceContext | None = None
    """Trace that the task belongs to. None: the caller's current one."""


def spec_fields(request: TaskRequest) -> dict[str, Any]:
    """The fields of a TaskSpec. A dict, because the message is fastest made from one, in place."""
    made: dict[str, Any] = {"task_type": request.task_type}
    if request.payload is not None:
        made["payload"] = _payload_fields(request.payload)
    if request.run_at is not None and request.run_at.tzinfo is None:
        raise ValueError("run_at needs a time zone, e.g. datetime.now(timezone.utc)")
    if request.queue:
        made["queue"] = request.queue
    if request.priority is not None:
        made["priority"] = request.priority
    # The producer's hot path: one read and one look at the others, of which most tasks set none.
    others = _read_fields(request)
    if others != _NOT_GIVEN:
        made |= _only_given(others)
    if request.retry is not None:
        made["retry_policy"] = request.retry.pb
    if request.timeouts is not None:
        made["timeouts"] = request.timeouts.pb
    return made


def _only_given(values: tuple[Any, ...]) -> dict[str, Any]:
    pairs = zip(_SPEC_FIELDS, values, strict=True)
    return {name: value for name, value in pairs if value is not None and value != ""}


def item_fields(request: TaskRequest) -> dict[str, Any]:
    """The fields of a SubmitTasksItem."""
    made: dict[str, Any] = {"spec": spec_fields(request)}
    if request.idempotency_key:
        made["idempotency"] = {
            "key": request.idempotency_key,
            "window": request.idempotency_window,
            "conflict_policy": request.conflict,
        }
    return made


def to_spec(request: TaskRequest | task_pb2.TaskSpec) -> task_pb2.TaskSpec:
    """The contract's message for a request; a message passes through."""
    if isinstance(request, task_pb2.TaskSpec):
        return request
    return task_pb2.TaskSpec(**spec_fields(request))


def to_item(request: TaskRequest) -> SubmitTasksItem:
    """One item of a batch."""
    return SubmitTasksItem(**item_fields(request))


def _payload_fields(value: object) -> task_pb2.Payload | dict[str, Any]:
    if isinstance(value, task_pb2.Payload):
        return value
    content_type, data = payloads.encode_content(value)
    return {"content_type": content_type, "data": data}


# Fields of a spec that go over as they are, by their names in the contract.
_RENAMED: Final = {"schedule_time": "run_at"}
_SPEC_FIELDS: Final = (
    "schedule_time",
    "delay",
    "labels",
    "headers",
    "fairness_key",
    "owner",
    "display_name",
    "description",
    "retention",
    "lease_duration",
    "cancel_grace",
    "requirements",
    "trace_context",
)
_read_fields: Final = attrgetter(*(_RENAMED.get(name, name) for name in _SPEC_FIELDS))
_NOT_GIVEN: Final = _read_fields(TaskRequest(""))
