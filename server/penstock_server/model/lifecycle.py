"""The life of a task: its states, what can happen to it, and where each happening leads.

`MOVES` is the one table. The store's scripts refuse what it does not list (it is handed to them at
load), the docs draw it, and a test holds it complete. Numbers are those of the contract, so nothing
is translated on the way.
"""

from enum import IntEnum, StrEnum
from typing import Final


class TaskState(IntEnum):
    """Where a task is in its life. Numbers as in `penstock.v1.TaskState`."""

    BLOCKED = 1
    SCHEDULED = 2
    READY = 3
    RUNNING = 4
    SUCCEEDED = 5
    FAILED = 6
    CANCELLED = 7

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the task unless an operator retries it."""
        return self >= TaskState.SUCCEEDED


class Outcome(IntEnum):
    """How an execution ended. Numbers as in `penstock.v1.ExecutionOutcome`."""

    SUCCEEDED = 1
    FAILED = 2
    TIMED_OUT = 3
    CANCELLED = 4
    CRASHED = 5
    LOST = 6
    RELEASED = 7


class CancelReason(IntEnum):
    """Why a task is CANCELLED. Numbers as in `penstock.v1.CancelReason`."""

    REQUESTED = 1
    SKIPPED = 2
    PURGED = 3
    REPLACED = 4
    EXPIRED = 5
    OVERLAP = 6
    OPERATOR = 7


class ReleaseReason(IntEnum):
    """Why a lease was given back. Numbers as in `penstock.v1.ReleaseReason`."""

    SHUTDOWN = 1
    LOST_REPLY = 2
    UNSUPPORTED_TYPE = 3
    NO_RESOURCES = 4
    OUTAGE = 5


class EventKind(IntEnum):
    """What an event tells. Numbers as in `penstock.v1.TaskEventKind`."""

    SUBMITTED = 1
    READY = 2
    LEASED = 3
    PROGRESSED = 4
    SUCCEEDED = 5
    RETRY_SCHEDULED = 6
    FAILED = 7
    RELEASED = 8
    CANCEL_REQUESTED = 9
    CANCELLED = 10
    RETRIED = 11
    UPDATED = 12
    DELETED = 13


class Move(StrEnum):
    """What can happen to a task."""

    PROMOTE = "promote"
    """Its time has come, or what it waited for has ended."""
    LEASE = "lease"
    """A worker session takes it."""
    SUCCEED = "succeed"
    """Its handler returned, or an operator ended it as succeeded."""
    BACK_OFF = "back_off"
    """An execution did not succeed, and it waits for its next one."""
    RETURN = "return"
    """A lease was given back or lost, and it is ready again at once."""
    BURY = "bury"
    """It has failed for the last time: a dead letter."""
    CANCEL = "cancel"
    """Somebody or something cancels it."""
    RETRY = "retry"
    """An operator runs it again, at once."""
    RETRY_LATER = "retry_later"
    """An operator runs it again, at a later time."""
    UPDATE = "update"
    """An operator changes what may change while it waits."""
    DELETE = "delete"
    """Its record is removed."""


_S = TaskState

MOVES: Final[dict[Move, dict[TaskState, TaskState | None]]] = {
    Move.PROMOTE: {_S.BLOCKED: _S.READY, _S.SCHEDULED: _S.READY},
    Move.LEASE: {_S.READY: _S.RUNNING},
    Move.SUCCEED: {
        _S.BLOCKED: _S.SUCCEEDED,
        _S.SCHEDULED: _S.SUCCEEDED,
        _S.READY: _S.SUCCEEDED,
        _S.RUNNING: _S.SUCCEEDED,
    },
    Move.BACK_OFF: {_S.RUNNING: _S.SCHEDULED},
    Move.RETURN: {_S.RUNNING: _S.READY},
    Move.BURY: {
        _S.BLOCKED: _S.FAILED,
        _S.SCHEDULED: _S.FAILED,
        _S.READY: _S.FAILED,
        _S.RUNNING: _S.FAILED,
    },
    Move.CANCEL: {
        _S.BLOCKED: _S.CANCELLED,
        _S.SCHEDULED: _S.CANCELLED,
        _S.READY: _S.CANCELLED,
        _S.RUNNING: _S.CANCELLED,
    },
    Move.RETRY: {
        _S.SCHEDULED: _S.READY,
        _S.SUCCEEDED: _S.READY,
        _S.FAILED: _S.READY,
        _S.CANCELLED: _S.READY,
    },
    Move.RETRY_LATER: {
        _S.SCHEDULED: _S.SCHEDULED,
        _S.SUCCEEDED: _S.SCHEDULED,
        _S.FAILED: _S.SCHEDULED,
        _S.CANCELLED: _S.SCHEDULED,
    },
    Move.UPDATE: {_S.SCHEDULED: _S.SCHEDULED, _S.READY: _S.READY},
    Move.DELETE: {_S.SUCCEEDED: None, _S.FAILED: None, _S.CANCELLED: None},
}
"""From each state that allows the move to the state it leads to; None means that the record is
gone.
"""
