"""Python worker runtime of Penstock.

    from penstock_worker import Context, Worker

    worker = Worker()

    @worker.task("greet")
    async def greet(name: str, context: Context) -> str:
        return f"Hello, {name}!"

Run it with `penstock worker module:worker` or `python -m penstock_worker module:worker`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from penstock_worker.context import Context, current_context
from penstock_worker.errors import (
    ExecutionCancelled,
    Fail,
    NonRetryableError,
    PayloadError,
    ResultError,
    WorkerStartError,
)
from penstock_worker.registry import Retry
from penstock_worker.worker import Worker

if TYPE_CHECKING:
    from penstock_worker.options import WorkerOptions as WorkerOptions
    from penstock_worker.run import run_worker as run_worker

__all__ = [
    "Context",
    "ExecutionCancelled",
    "Fail",
    "NonRetryableError",
    "PayloadError",
    "ResultError",
    "Retry",
    "Worker",
    "WorkerOptions",
    "WorkerStartError",
    "current_context",
    "run_worker",
]

# Loaded on first use: they load gRPC, which the processes that run handlers must not.
_LATER = {
    "WorkerOptions": "penstock_worker.options",
    "run_worker": "penstock_worker.run",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'penstock_worker' has no attribute {name!r}")
