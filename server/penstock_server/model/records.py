"""What goes into the store and what comes out of it, as plain records.

User data travels as opaque bytes: the service room alone knows that a spec is a protobuf message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from .lifecycle import CancelReason, EventKind, Outcome, TaskState


class IdempotencyKey(NamedTuple):
    """Makes a submit happen once per key, in the scope of namespace and queue."""

    key: str
    window_ms: int
    policy: int
    """0 return the existing task, 1 refuse, 2 replace it while it waits."""
    spec_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the store must know about a task to judge its executions. Spans in milliseconds."""

    max_attempts: int = 3
    initial_backoff_ms: int = 1_000
    max_backoff_ms: int = 600_000
    multiplier: float = 2.0
    jitter: float = 0.1
    max_crashes: int = 3
    non_retryable_kinds: tuple[str, ...] = ()
    cancel_grace_ms: int = 10_000
    creator: str = "anonymous"


DEFAULT_POLICY = Policy()


@dataclass(slots=True)
class TaskDraft:
    """A task as the service hands it to the engine: validated, defaults of its queue filled in."""

    queue: str
    task_type: str
    spec: bytes
    priority: int = 5
    group: str = ""
    delay_ms: int = 0
    """Wait from now. Ignored when `due_ms` is set."""
    due_ms: int = 0
    """Time to run, milliseconds since the epoch; 0 means now."""
    policy: Policy = DEFAULT_POLICY
    timers: Mapping[str, int] | None = None
    """Lease term and timeouts in milliseconds, by field name of a task's record; only those that
    are set.
    """
    idempotency: IdempotencyKey | None = None


class Submitted(NamedTuple):
    """What became of a draft that was taken."""

    task_id: str
    existing: bool
    state: TaskState
    now_ms: int


@dataclass(slots=True)
class TaskRecord:
    """A task as the store has it. Times in milliseconds since the epoch, 0 where there is none."""

    namespace: str
    task_id: str
    state: TaskState
    queue: str
    task_type: str
    sequence: int
    create_ms: int
    update_ms: int
    due_ms: int
    start_ms: int = 0
    end_ms: int = 0
    delete_ms: int = 0
    expire_ms: int = 0
    attempt: int = 0
    executions: int = 0
    crashes: int = 0
    releases: int = 0
    cancel_requested: bool = False
    cancel_reason: CancelReason | None = None
    session_id: str = ""
    creator: str = "anonymous"
    spec: bytes | None = None
    """None once only a stub is kept."""
    progress: tuple[int, bytes] | None = None
    """When it was reported, and what."""
    last_execution: "ExecutionRecord | None" = None
    """The latest that has ended."""
    fence: int = 0
    now_ms: int = 0
    """The store's clock when it was read."""


@dataclass(slots=True)
class ExecutionRecord:
    """One ended or running execution. `report` is what the worker sent with its end, or b""."""

    number: int
    outcome: Outcome | None
    start_ms: int
    end_ms: int
    session_id: str
    attempt: int
    fence: int
    report: bytes = b""
    note: str = ""
    """Why, where the server ended it."""


class LeaseKind(NamedTuple):
    """What leases of one call share whose tasks have come the same way. Spans and times in
    milliseconds.
    """

    fence: int
    execution: int
    attempt: int
    crashes: int
    create_ms: int
    due_ms: int
    term_ms: int


class LeaseRecord(NamedTuple):
    """A lease as the store made it."""

    task_id: str
    random: bytes
    spec: bytes
    kind: LeaseKind
    """One for all leases behind each other that have it."""
    previous: ExecutionRecord | None = None


@dataclass(slots=True)
class EventRecord:
    """One change of one task, as the event stream has it."""

    namespace: str
    queue: str
    task_type: str
    time_ms: int
    task_id: str
    kind: EventKind
    sequence: int
    state: TaskState
    execution: int = 0
    outcome: Outcome | None = None
    attempt: int = 0
    cancel_reason: CancelReason | None = None
    due_ms: int = 0
    session_id: str = ""
    extra: bytes = b""
    """Progress as the worker sent it, or the summary of a failure."""


class LogRecord(NamedTuple):
    """One log line as the store has it; `line` is opaque."""

    execution: int
    number: int
    line: bytes


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """A queue with what is in it."""

    namespace: str
    queue: str
    config: bytes
    version: int
    paused: bool
    pause_reason: str
    create_ms: int
    ready: int
    scheduled: int
    running: int
    dead: int
    ready_by_type: Mapping[str, int]
    oldest_ready_ms: int
    """When the first ready task became ready; 0 if none waits."""
    now_ms: int


@dataclass(slots=True)
class SessionRecord:
    """A worker session as the store has it; `session` is opaque."""

    namespace: str
    session_id: str
    session: bytes
    queues: Sequence[str]
    task_types: Sequence[str]
    create_ms: int
    seen_ms: int
    draining: bool
    running: int = 0


@dataclass(slots=True)
class NamespaceRecord:
    """A namespace; `data` is opaque."""

    namespace: str
    data: bytes
    create_ms: int
    update_ms: int
    version: int


@dataclass(frozen=True, slots=True)
class TaskTypeRecord:
    """A task type; `config` is opaque."""

    namespace: str
    task_type: str
    config: bytes
    create_ms: int
    update_ms: int
    version: int


class Directive(NamedTuple):
    """What a worker session is told, kept until it is acknowledged."""

    directive_id: str
    kind: str
    """`cancel` or `drain`."""
    token: str
    """Lease of a cancel."""
    deadline_ms: int
    """When the lease of a cancel is revoked."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """Bounds that the scripts apply. Every one has a default and a setting."""

    accept_within: timedelta = timedelta(seconds=10)
    lease_term: timedelta = timedelta(seconds=60)
    request_window: timedelta = timedelta(minutes=10)
    ended_age: timedelta = timedelta(hours=24)
    ended_count: int = 100_000
    stub_age: timedelta = timedelta(hours=1)
    dead_age: timedelta = timedelta(days=30)
    event_entries: int = 100_000
    event_bytes: int = 256 << 20
    event_window: timedelta = timedelta(minutes=10)
    executions_kept: int = 100
    log_lines: int = 10_000
    log_bytes: int = 4 << 20
    namespaces: int = 1_000
    task_types_per_namespace: int = 1_000
    queues_per_namespace: int = 10_000
    backlog_count: int = 10_000_000
    backlog_bytes: int = 8 << 30
    releases_in_a_row: int = 20
