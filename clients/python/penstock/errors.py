"""What can go wrong, as typed facts: one exception class for every `ErrorReason` of the contract.

A program reads `reason` and `facts`, never the text; the text is for people and says what to do
next. Nothing here imports gRPC, so that a handler's process may use these classes too.

    PenstockError
    ├── InvalidRequest    FieldInvalid · TooLarge · PageTokenInvalid · CursorInvalid
    ├── NotFound          TaskNotFound · ExecutionNotFound · QueueNotFound · NamespaceNotFound
    │                     WorkerNotFound · TaskTypeNotFound
    ├── AlreadyExists     TaskAlreadyExists · NamespaceAlreadyExists · TaskTypeAlreadyExists
    ├── Conflict          TaskStateConflict · LeaseLost · IdempotencyKeyReused · CursorExpired
    │                     EtagMismatch · CrossPartition · BatchAborted · NamespaceNotEmpty
    │                     LimitReached
    ├── AccessDenied      Unauthenticated · PermissionDenied
    ├── TryLater          BacklogFull · Overloaded · StoreFull · StoreUnavailable · ShuttingDown
    │                     ServerUnavailable (no server was reached)
    ├── DeadlineExceeded · Unimplemented · Internal · UnexpectedAnswer
    ├── ClientClosed      the client was closed during the call, or before it
    ├── TaskNotEnded      a wait was over before the task
    └── TaskNotSucceeded  TaskFailed · TaskCancelled (what became of a task, not of a call)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from penstock.task import Failure, Task


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field: its path in the request, and what is allowed."""

    field: str
    description: str


class PenstockError(Exception):
    """Anything that this client raises.

    `reason` is the contract's `ErrorReason` without its prefix, or empty where the server did not
    answer. `code` is the canonical gRPC code as a number. `facts` holds every value of the text.
    `retry_delay` says how long to wait before trying again, where that helps.
    """

    reason: str = ""
    default_code: ClassVar[int] = 2

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        facts: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_delay: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = self.default_code if code is None else code
        self.facts: Mapping[str, str] = facts or {}
        self.violations = tuple(violations)
        self.retry_delay = retry_delay


# ---- the request is wrong -------------------------------------------------------------------


class InvalidRequest(PenstockError):
    """The request itself is wrong; repeating it cannot help."""

    default_code = 3


class FieldInvalid(InvalidRequest):
    """One or more fields are out of bounds; `violations` names each."""

    reason = "FIELD_INVALID"


class TooLarge(InvalidRequest):
    """A payload, result or request is larger than allowed."""

    reason = "TOO_LARGE"


class PageTokenInvalid(InvalidRequest):
    """The page token is damaged, or was made for other arguments."""

    reason = "PAGE_TOKEN_INVALID"


class CursorInvalid(InvalidRequest):
    """The cursor is damaged, or was made by another store."""

    reason = "CURSOR_INVALID"


# ---- what it names is not there, or is there already ----------------------------------------


class NotFound(PenstockError):
    """What the request names does not exist, or no longer."""

    default_code = 5


class TaskNotFound(NotFound):
    """No such task in this namespace, or no longer."""

    reason = "TASK_NOT_FOUND"


class ExecutionNotFound(NotFound):
    """The task has no such execution, or no longer."""

    reason = "EXECUTION_NOT_FOUND"


class QueueNotFound(NotFound):
    """No such queue in this namespace."""

    reason = "QUEUE_NOT_FOUND"


class NamespaceNotFound(NotFound):
    """No such namespace."""

    reason = "NAMESPACE_NOT_FOUND"


class WorkerNotFound(NotFound):
    """No such worker session, or no longer."""

    reason = "WORKER_NOT_FOUND"


class TaskTypeNotFound(NotFound):
    """No record of this task type in this namespace."""

    reason = "TASK_TYPE_NOT_FOUND"


class AlreadyExists(PenstockError):
    """What the request would make exists."""

    default_code = 6


class NamespaceAlreadyExists(AlreadyExists):
    """The namespace exists."""

    reason = "NAMESPACE_ALREADY_EXISTS"


class TaskTypeAlreadyExists(AlreadyExists):
    """The task type has a record."""

    reason = "TASK_TYPE_ALREADY_EXISTS"


class TaskAlreadyExists(AlreadyExists):
    """A task with this idempotency key exists, and the caller asked for a refusal."""

    reason = "TASK_ALREADY_EXISTS"


# ---- the state does not allow it ------------------------------------------------------------


class Conflict(PenstockError):
    """The present state does not allow the request."""

    default_code = 9


class CursorExpired(Conflict):
    """What the cursor points at is no longer kept: read the state anew and watch from there."""

    reason = "CURSOR_EXPIRED"


class NamespaceNotEmpty(Conflict):
    """The namespace still holds tasks, or is `default`."""

    reason = "NAMESPACE_NOT_EMPTY"


class IdempotencyKeyReused(Conflict):
    """The idempotency key belongs to a task with another spec."""

    reason = "IDEMPOTENCY_KEY_REUSED"


class TaskStateConflict(Conflict):
    """The task's state does not allow this."""

    reason = "TASK_STATE_CONFLICT"


class LeaseLost(Conflict):
    """The lease is over, or belongs to somebody else: drop the work."""

    reason = "LEASE_LOST"


class EtagMismatch(Conflict):
    """The resource changed since the etag was read."""

    reason = "ETAG_MISMATCH"
    default_code = 10


class CrossPartition(Conflict):
    """Tasks of an all-or-none batch have queues in different partitions."""

    reason = "CROSS_PARTITION"


class BatchAborted(Conflict):
    """Another item of the all-or-none batch was refused."""

    reason = "BATCH_ABORTED"


class LimitReached(Conflict):
    """As many exist as the server allows."""

    reason = "LIMIT_REACHED"


# ---- the caller may not ---------------------------------------------------------------------


class AccessDenied(PenstockError):
    """The caller may not do this."""

    default_code = 7


class Unauthenticated(AccessDenied):
    """No credentials, or unknown, expired or revoked ones."""

    reason = "UNAUTHENTICATED"
    default_code = 16


class PermissionDenied(AccessDenied):
    """The principal's role or namespaces do not allow this."""

    reason = "PERMISSION_DENIED"


# ---- not now --------------------------------------------------------------------------------


class TryLater(PenstockError):
    """Not now. The client has already tried again until the call's time was over."""

    default_code = 14


class BacklogFull(TryLater):
    """The namespace's backlog is at its bound."""

    reason = "BACKLOG_FULL"
    default_code = 8


class Overloaded(TryLater):
    """The server has too much under way."""

    reason = "OVERLOADED"
    default_code = 8


class StoreFull(TryLater):
    """The store has no memory left for new tasks."""

    reason = "STORE_FULL"
    default_code = 8


class StoreUnavailable(TryLater):
    """The store is out of reach; whether the call took effect is not known."""

    reason = "STORE_UNAVAILABLE"


class ShuttingDown(TryLater):
    """The server is shutting down, and no other one answered."""

    reason = "SHUTTING_DOWN"


class ServerUnavailable(TryLater):
    """No server was reached; whether the call took effect is not known."""


# ---- the rest -------------------------------------------------------------------------------


class DeadlineExceeded(PenstockError, TimeoutError):
    """The call's time was over; whether it took effect is not known."""

    reason = "DEADLINE_EXCEEDED"
    default_code = 4


class Unimplemented(PenstockError):
    """The server does not offer this method."""

    reason = "UNIMPLEMENTED"
    default_code = 12


class Internal(PenstockError):
    """A fault of the server; its log has the details under the fact `error_id`."""

    reason = "INTERNAL"
    default_code = 13


class UnexpectedAnswer(PenstockError):
    """Something that is not a Penstock server answered, or an answer breaks the contract."""


class ClientClosed(PenstockError):
    """The client was closed before the call or during it."""

    default_code = 1


# ---- what became of a task ------------------------------------------------------------------


class TaskNotEnded(PenstockError, TimeoutError):
    """The wait was over before the task. The task goes on; `task_id` waits for it again."""

    default_code = 4

    def __init__(self, task_id: str, task: Task | None = None) -> None:
        super().__init__(
            f"task {task_id} has not ended within the timeout; it goes on, await it again",
            facts={"task_id": task_id},
        )
        self.task_id = task_id
        self.task = task


class TaskNotSucceeded(PenstockError):
    """A task ended without success. `task` is the ended task, `failure` its failure, if any."""

    def __init__(self, message: str, task: Task) -> None:
        super().__init__(message, facts={"task_id": task.task_id, "state": task.state.name})
        self.task = task

    @property
    def failure(self) -> Failure | None:
        """Why the latest execution did not succeed, as the worker reported it."""
        return self.task.failure


class TaskFailed(TaskNotSucceeded):
    """The task failed for the last time and is kept as a dead letter."""

    default_code = 10

    def __init__(self, task: Task) -> None:
        why = f"{task.failure.kind}: {task.failure.message}" if task.failure else "no failure kept"
        super().__init__(f"task {task.task_id} ({task.task_type}) failed: {why}", task)


class TaskCancelled(TaskNotSucceeded):
    """The task was cancelled; `task.cancel_reason` says why."""

    default_code = 1

    def __init__(self, task: Task) -> None:
        why = task.cancel_reason.name.lower()
        super().__init__(f"task {task.task_id} ({task.task_type}) was cancelled: {why}", task)
