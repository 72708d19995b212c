"""Runs a handler without a server and without processes, for unit tests of handlers.

outcome = await run_handler(worker, "images.resize", {"path": "a.png"})
assert outcome.result == {"width": 640}
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from penstock.v1 import execution_pb2, task_pb2, worker_pb2, worker_service_pb2
from penstock_worker import codec, frames
from penstock_worker.frames import Record
from penstock_worker.runner.capture import Capture
from penstock_worker.runner.executor import Executor
from penstock_worker.runner.outbox import Outbox
from penstock_worker.worker import Worker

_OUTCOME_PREFIX = len("EXECUTION_OUTCOME_")


@dataclass(slots=True)
class HandlerOutcome:
    """What came of a handler."""

    outcome: str = ""
    """SUCCEEDED, FAILED or CANCELLED."""
    result: Any = None
    """Decoded result; None if there was none."""
    failure: task_pb2.Failure | None = None
    """Why it did not succeed."""
    logs: list[str] = field(default_factory=list)
    """Texts of the log lines, in order."""
    progress: list[task_pb2.Progress] = field(default_factory=list)
    """Progress as it would have been sent: the latest where several came at once."""


async def run_handler(
    worker: Worker,
    task_type: str,
    payload: Any = None,
    *,
    attempt: int = 1,
    fence: int = 1,
    headers: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    previous_failure: task_pb2.Failure | None = None,
    timeout: timedelta | None = None,
    cancel_after: timedelta | None = None,
) -> HandlerOutcome:
    """Runs the handler of a type once, here, and answers what came of it.

    The payload is encoded as a client would, or taken as it is if it is a `Payload`. Isolated
    handlers run in a thread. `cancel_after` cancels the execution after that time.
    """
    lease = worker_pb2.Lease(task_id="test", execution=1, attempt=attempt, fence=fence)
    lease.spec.task_type, lease.spec.queue = task_type, "default"
    lease.spec.headers.update(headers or {})
    lease.spec.labels.update(labels or {})
    encoded = codec.write_result(payload)
    if encoded is not None:
        lease.spec.payload.CopyFrom(encoded)
    if previous_failure is not None:
        lease.previous_failure.CopyFrom(previous_failure)
    deadline = None if timeout is None else time.monotonic() + timeout.total_seconds()
    return await _run(worker, lease, deadline, cancel_after)


async def _run(
    worker: Worker,
    lease: worker_pb2.Lease,
    deadline: float | None,
    cancel_after: timedelta | None,
) -> HandlerOutcome:
    outcome, ended = HandlerOutcome(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def deliver(records: list[Record]) -> None:
        for record in records:
            _note(outcome, record)
        if outcome.outcome:
            ended.set()

    executor = Executor(worker.registry, Outbox(loop, deliver, on_loop=True), threads=1)
    capture = Capture(executor, streams=True)
    capture.install()
    try:
        executor.start(1, lease, deadline, "")
        if cancel_after is not None:
            loop.call_later(cancel_after.total_seconds(), executor.cancel, 1, "cancel")
        await ended.wait()
    finally:
        capture.remove()
        await executor.cancel_all("shutdown")
        executor.close()
    return outcome


def _note(outcome: HandlerOutcome, record: Record) -> None:
    kind = record[0]
    if kind == frames.LINE:
        outcome.logs.append(record[6])
    elif kind == frames.PROGRESS:
        outcome.progress.append(task_pb2.Progress.FromString(record[2]))
    elif kind == frames.END:
        item = worker_service_pb2.ReportItem.FromString(record[3])
        name = execution_pb2.ExecutionOutcome.Name(record[2])
        outcome.outcome = name[_OUTCOME_PREFIX:]
        if item.HasField("fail"):
            outcome.failure = item.fail.failure
        elif item.complete.HasField("result"):
            outcome.result = codec.read_any(item.complete.result)
