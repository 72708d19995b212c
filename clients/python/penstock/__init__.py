"""Penstock's Python client.

Names load when they are first used, so that `import penstock.v1.task_pb2` costs no gRPC: a worker's
handler processes must never load it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from penstock.blocking import BlockingClient
    from penstock.client import Client
    from penstock.enums import (
        CancelReason,
        ExecutionOutcome,
        LogStream,
        ReleaseReason,
        TaskEventKind,
        TaskState,
    )
    from penstock.errors import PenstockError, TaskCancelled, TaskFailed, TaskNotEnded
    from penstock.event import TaskEvent, WatchUpdate
    from penstock.execution import Execution, LogLine, Usage
    from penstock.options import BackoffOptions, ClientOptions
    from penstock.spec import ConflictPolicy, RetryPolicy, TaskRequest, Timeouts
    from penstock.submit import SubmitResult
    from penstock.task import Failure, Progress, Task
    from penstock.v1.task_pb2 import Payload

# Where each name lives.
_HOMES: Final = {
    "BackoffOptions": "penstock.options",
    "BlockingClient": "penstock.blocking",
    "CancelReason": "penstock.enums",
    "Client": "penstock.client",
    "ClientOptions": "penstock.options",
    "ConflictPolicy": "penstock.spec",
    "Execution": "penstock.execution",
    "ExecutionOutcome": "penstock.enums",
    "Failure": "penstock.task",
    "LogLine": "penstock.execution",
    "LogStream": "penstock.enums",
    "Payload": "penstock.v1.task_pb2",
    "PenstockError": "penstock.errors",
    "Progress": "penstock.task",
    "ReleaseReason": "penstock.enums",
    "RetryPolicy": "penstock.spec",
    "SubmitResult": "penstock.submit",
    "Task": "penstock.task",
    "TaskCancelled": "penstock.errors",
    "TaskEvent": "penstock.event",
    "TaskEventKind": "penstock.enums",
    "TaskFailed": "penstock.errors",
    "TaskNotEnded": "penstock.errors",
    "TaskRequest": "penstock.spec",
    "TaskState": "penstock.enums",
    "Timeouts": "penstock.spec",
    "Usage": "penstock.execution",
    "WatchUpdate": "penstock.event",
}

__all__ = [
    "BackoffOptions",
    "BlockingClient",
    "CancelReason",
    "Client",
    "ClientOptions",
    "ConflictPolicy",
    "Execution",
    "ExecutionOutcome",
    "Failure",
    "LogLine",
    "LogStream",
    "Payload",
    "PenstockError",
    "Progress",
    "ReleaseReason",
    "RetryPolicy",
    "SubmitResult",
    "Task",
    "TaskCancelled",
    "TaskEvent",
    "TaskEventKind",
    "TaskFailed",
    "TaskNotEnded",
    "TaskRequest",
    "TaskState",
    "Timeouts",
    "Usage",
    "WatchUpdate",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
