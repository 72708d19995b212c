"""The contract's enums in Python, without their prefixes. A test compares the two."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class OpenEnum(IntEnum):
    """An enum that may grow: a number that this version does not know reads as its member 0."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls(0) if isinstance(value, int) else None


class TaskState(OpenEnum):
    """Where a task is in its life."""

    UNSPECIFIED = 0
    BLOCKED = 1
    SCHEDULED = 2
    READY = 3
    RUNNING = 4
    SUCCEEDED = 5
    FAILED = 6
    CANCELLED = 7

    @property
    def ended(self) -> bool:
        """Whether the task is over: SUCCEEDED, FAILED or CANCELLED."""
        return self >= TaskState.SUCCEEDED


class CancelReason(OpenEnum):
    """Why a task is CANCELLED."""

    UNSPECIFIED = 0
    REQUESTED = 1
    SKIPPED = 2
    PURGED = 3
    REPLACED = 4
    EXPIRED = 5
    OVERLAP = 6
    OPERATOR = 7


class ExecutionOutcome(OpenEnum):
    """How an execution ended; UNSPECIFIED while it runs."""

    UNSPECIFIED = 0
    SUCCEEDED = 1
    FAILED = 2
    TIMED_OUT = 3
    CANCELLED = 4
    CRASHED = 5
    LOST = 6
    RELEASED = 7


class ReleaseReason(OpenEnum):
    """Why a lease was given back."""

    UNSPECIFIED = 0
    SHUTDOWN = 1
    LOST_REPLY = 2
    UNSUPPORTED_TYPE = 3
    NO_RESOURCES = 4
    OUTAGE = 5


class LogStream(OpenEnum):
    """Where a log line came from."""

    UNSPECIFIED = 0
    STDOUT = 1
    STDERR = 2
    LOGGER = 3
    SYSTEM = 4


class TaskEventKind(OpenEnum):
    """What happened to a task."""

    UNSPECIFIED = 0
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
