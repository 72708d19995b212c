"""What can be wrong with a request, as typed facts.

Every error names its reason (a value of `ErrorReason` in proto/penstock/v1/error.proto, without the
prefix) and carries every fact of its text, so that a program never has to read the text. The
service room maps reasons to gRPC codes in one table; nothing here knows gRPC.

    PenstockError
    ├── the request is wrong
    │     FieldInvalid · TooLarge · PageTokenInvalid · CursorInvalid
    ├── what it names is not there
    │     TaskNotFound · ExecutionNotFound · QueueNotFound · NamespaceNotFound · WorkerNotFound
    │     TaskTypeNotFound
    ├── what it makes is there already
    │     TaskAlreadyExists · IdempotencyKeyReused · NamespaceAlreadyExists · TaskTypeAlreadyExists
    ├── the state does not allow it
    │     TaskStateConflict · LeaseLost · CursorExpired · EtagMismatch · CrossPartition
    │     BatchAborted · NamespaceNotEmpty · LimitReached
    ├── the caller may not
    │     Unauthenticated · PermissionDenied
    └── not now: repeat later
          BacklogFull · Overloaded · StoreFull · StoreUnavailable · ShuttingDown
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field: its path in the request, and what is allowed."""

    field: str
    description: str


class PenstockError(Exception):
    """A refusal. `reason` is for programs, `facts` holds every value of the text, the text is
    for people.
    """

    reason: ClassVar[str]
    retry_delay: timedelta | None = None
    violations: Sequence[Violation] = ()

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = {name: str(value) for name, value in facts.items()}


class FieldInvalid(PenstockError):
    """One or more fields are out of bounds."""

    reason = "FIELD_INVALID"

    def __init__(self, violations: Sequence[Violation]) -> None:
        listed = "; ".join(f"{v.field}: {v.description}" for v in violations[:8])
        more = f" (and {len(violations) - 8} more)" if len(violations) > 8 else ""
        super().__init__(f"{listed}{more}", field_count=len(violations))
        self.violations = tuple(violations)


class TooLarge(PenstockError):
    """A payload, result or request is larger than allowed."""

    reason = "TOO_LARGE"

    def __init__(self, *, field: str, size: int, limit: int) -> None:
        super().__init__(
            f"{field} has {size} bytes, at most {limit} are allowed; store large data elsewhere "
            "and send a reference",
            field=field,
            size=size,
            limit=limit,
        )
        self.violations = (Violation(field, f"{size} bytes, at most {limit} are allowed"),)


class PageTokenInvalid(PenstockError):
    """The page token is damaged, or was made for other arguments."""

    reason = "PAGE_TOKEN_INVALID"

    def __init__(self) -> None:
        super().__init__(
            "the page token is damaged or was made for other arguments; begin again without it"
        )
        self.violations = (Violation("page_token", "not a token of this list"),)


class CursorInvalid(PenstockError):
    """The cursor is damaged, or was made by another store or for something else."""

    reason = "CURSOR_INVALID"

    def __init__(self) -> None:
        super().__init__(
            "the cursor is damaged or was made by another store; begin again without it"
        )
        self.violations = (Violation("cursor", "not a cursor of this stream"),)


class CursorExpired(PenstockError):
    """What the cursor points at is no longer kept."""

    reason = "CURSOR_EXPIRED"

    def __init__(self) -> None:
        super().__init__(
            "the cursor is older than what is kept; read the state anew and go on from there"
        )


class TaskNotFound(PenstockError):
    """No such task in this namespace, or no longer."""

    reason = "TASK_NOT_FOUND"

    def __init__(self, *, namespace: str, task_id: str) -> None:
        super().__init__(
            f"no task {task_id} in namespace {namespace}; ended tasks are kept for a limited time",
            namespace=namespace,
            task_id=task_id,
        )


class ExecutionNotFound(PenstockError):
    """The task has no such execution, or no longer."""

    reason = "EXECUTION_NOT_FOUND"

    def __init__(self, *, task_id: str, number: int) -> None:
        super().__init__(
            f"task {task_id} has no execution {number}", task_id=task_id, number=number
        )


class QueueNotFound(PenstockError):
    """No such queue in this namespace."""

    reason = "QUEUE_NOT_FOUND"

    def __init__(self, *, namespace: str, queue: str) -> None:
        super().__init__(
            f"no queue {queue} in namespace {namespace}; a queue exists from its first task on",
            namespace=namespace,
            queue=queue,
        )


class NamespaceNotFound(PenstockError):
    """No such namespace."""

    reason = "NAMESPACE_NOT_FOUND"

    def __init__(self, *, namespace: str) -> None:
        super().__init__(
            f"no namespace {namespace}; make it with CreateNamespace", namespace=namespace
        )


class TaskTypeNotFound(PenstockError):
    """No record of this task type in this namespace."""

    reason = "TASK_TYPE_NOT_FOUND"

    def __init__(self, *, namespace: str, task_type: str) -> None:
        super().__init__(
            f"no record of task type {task_type} in namespace {namespace}; make it with"
            " CreateTaskType",
            namespace=namespace,
            task_type=task_type,
        )


class TaskTypeAlreadyExists(PenstockError):
    """The task type has a record."""

    reason = "TASK_TYPE_ALREADY_EXISTS"

    def __init__(self, *, task_type: str) -> None:
        super().__init__(f"task type {task_type} has a record already", task_type=task_type)


class WorkerNotFound(PenstockError):
    """No such worker session in this namespace, or no longer."""

    reason = "WORKER_NOT_FOUND"

    def __init__(self, *, namespace: str, session_id: str) -> None:
        super().__init__(
            f"no worker session {session_id} in namespace {namespace}",
            namespace=namespace,
            session_id=session_id,
        )


class NamespaceAlreadyExists(PenstockError):
    """The namespace exists."""

    reason = "NAMESPACE_ALREADY_EXISTS"

    def __init__(self, *, namespace: str) -> None:
        super().__init__(f"namespace {namespace} exists already", namespace=namespace)


class NamespaceNotEmpty(PenstockError):
    """The namespace still holds tasks, or is `default`."""

    reason = "NAMESPACE_NOT_EMPTY"

    def __init__(self, *, namespace: str) -> None:
        super().__init__(
            f"namespace {namespace} still holds tasks or cannot be removed; purge its queues first",
            namespace=namespace,
        )


class TaskAlreadyExists(PenstockError):
    """A task with this idempotency key exists, and the caller asked for a refusal."""

    reason = "TASK_ALREADY_EXISTS"

    def __init__(self, *, task_id: str) -> None:
        super().__init__(f"the idempotency key belongs to task {task_id} already", task_id=task_id)


class IdempotencyKeyReused(PenstockError):
    """The idempotency key belongs to a task with another spec."""

    reason = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, *, task_id: str) -> None:
        super().__init__(
            f"the idempotency key belongs to task {task_id}, which has another spec; use a new "
            "key for a new task",
            task_id=task_id,
        )


class TaskStateConflict(PenstockError):
    """The task's state does not allow this."""

    reason = "TASK_STATE_CONFLICT"

    def __init__(self, *, task_id: str, state: str, wanted: str) -> None:
        super().__init__(
            f"task {task_id} is {state} and cannot be {wanted}",
            task_id=task_id,
            state=state,
            wanted=wanted,
        )


class LeaseLost(PenstockError):
    """The lease is over, or belongs to somebody else."""

    reason = "LEASE_LOST"

    def __init__(self, *, task_id: str) -> None:
        super().__init__(
            f"the lease of task {task_id} is over; drop the work, somebody else may do it",
            task_id=task_id,
        )


class EtagMismatch(PenstockError):
    """The resource changed since the etag was read."""

    reason = "ETAG_MISMATCH"

    def __init__(self, *, etag: str) -> None:
        super().__init__("it has changed since the etag was read; read it again", etag=etag)


class CrossPartition(PenstockError):
    """Tasks of an all-or-none batch have queues in different partitions."""

    reason = "CROSS_PARTITION"

    def __init__(self, *, partitions: int) -> None:
        super().__init__(
            f"the queues of this all-or-none batch lie in {partitions} partitions; use queues "
            "of one partition, or no all_or_none",
            partitions=partitions,
        )


class BatchAborted(PenstockError):
    """Another item of the all-or-none batch was refused."""

    reason = "BATCH_ABORTED"

    def __init__(self) -> None:
        super().__init__("another item of the all-or-none batch was refused, so nothing was stored")


class LimitReached(PenstockError):
    """As many exist as the server allows."""

    reason = "LIMIT_REACHED"

    def __init__(self, *, what: str, limit: int) -> None:
        super().__init__(
            f"there are {limit} {what} already, which is the server's bound", what=what, limit=limit
        )


class Unauthenticated(PenstockError):
    """No credentials, or unknown, expired or revoked ones."""

    reason = "UNAUTHENTICATED"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why}; send an API key as metadata `authorization: Bearer <key>`", why=why
        )


class PermissionDenied(PenstockError):
    """The principal's role or namespaces do not allow this."""

    reason = "PERMISSION_DENIED"

    def __init__(self, *, principal: str, role: str, method: str, namespace: str) -> None:
        super().__init__(
            f"{principal} with role {role} may not call {method} in namespace {namespace}",
            principal=principal,
            role=role,
            method=method,
            namespace=namespace,
        )


class _TryLater(PenstockError):
    """Not now: the same call may be repeated after `retry_delay`."""

    retry_delay = timedelta(seconds=1)


class BacklogFull(_TryLater):
    """The namespace's backlog is at its bound."""

    reason = "BACKLOG_FULL"

    def __init__(self, *, namespace: str, limit: int) -> None:
        super().__init__(
            f"namespace {namespace} has a backlog of {limit}, which is its bound; submit more "
            "slowly or add workers",
            namespace=namespace,
            limit=limit,
        )


class Overloaded(_TryLater):
    """The server has too much under way."""

    reason = "OVERLOADED"

    def __init__(self, *, what: str, limit: int) -> None:
        super().__init__(
            f"the server has {limit} {what} under way, which is its bound", what=what, limit=limit
        )


class StoreFull(_TryLater):
    """The store has no memory left for new tasks."""

    reason = "STORE_FULL"

    def __init__(self) -> None:
        super().__init__(
            "the store has no memory left for new tasks; leases and reports go on, so it drains"
        )


class StoreUnavailable(_TryLater):
    """The store is out of reach; whether the call took effect is not known."""

    reason = "STORE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("the store is out of reach; repeat the call with the same request_id")


class ShuttingDown(_TryLater):
    """This server is shutting down."""

    reason = "SHUTTING_DOWN"

    def __init__(self) -> None:
        super().__init__("this server is shutting down; another one answers")
