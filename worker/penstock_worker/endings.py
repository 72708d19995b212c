"""What is reported for an execution that did not end by itself, or not in the way it was meant to.

All answers are ReportItems without their token, as bytes: the form in which runners send theirs.
"""

from __future__ import annotations

import time

from penstock.v1 import execution_pb2, task_pb2
from penstock.v1.worker_service_pb2 import ReportItem
from penstock_worker.held import Held, Stop

SUCCEEDED = execution_pb2.EXECUTION_OUTCOME_SUCCEEDED
FAILED = execution_pb2.EXECUTION_OUTCOME_FAILED
TIMED_OUT = execution_pb2.EXECUTION_OUTCOME_TIMED_OUT
CANCELLED = execution_pb2.EXECUTION_OUTCOME_CANCELLED
CRASHED = execution_pb2.EXECUTION_OUTCOME_CRASHED
LOST = execution_pb2.EXECUTION_OUTCOME_LOST
RELEASED = execution_pb2.EXECUTION_OUTCOME_RELEASED

SHUTDOWN = execution_pb2.RELEASE_REASON_SHUTDOWN
UNSUPPORTED_TYPE = execution_pb2.RELEASE_REASON_UNSUPPORTED_TYPE
NO_RESOURCES = execution_pb2.RELEASE_REASON_NO_RESOURCES
OUTAGE = execution_pb2.RELEASE_REASON_OUTAGE

Ending = tuple[int, bytes]
"""Outcome and item."""


def from_handler(held: Held, outcome: int, item: bytes) -> Ending:
    """Answers what to report when a handler has ended, given why it was told to stop.

    Success wins every race: the work is done.
    """
    if outcome == SUCCEEDED or held.stop is None:
        return outcome, item
    report = ReportItem.FromString(item)
    if held.stop is Stop.CANCEL:
        report.fail.outcome = CANCELLED
        return CANCELLED, report.SerializeToString()
    if held.stop is Stop.TIMEOUT:
        return TIMED_OUT, _timed_out(held, report)
    return without_handler(held, "the worker shut down before the handler had ended")


def _timed_out(held: Held, report: ReportItem) -> bytes:
    cause = task_pb2.Failure()
    cause.CopyFrom(report.fail.failure)
    report.fail.outcome = TIMED_OUT
    report.fail.failure.CopyFrom(_timeout_failure(held))
    report.fail.failure.stack_trace = cause.stack_trace
    cause.stack_trace = ""
    report.fail.failure.cause.CopyFrom(cause)
    return report.SerializeToString()


def _timeout_failure(held: Held) -> task_pb2.Failure:
    return task_pb2.Failure(
        kind="penstock_worker.TimedOut",
        message=f"the {held.timeout_name} timeout of the execution ran out",
    )


def without_handler(held: Held, note: str) -> Ending:
    """Answers what to report when a handler was told to stop and has not ended in time."""
    if held.stop is Stop.TIMEOUT:
        return TIMED_OUT, _fail(held, TIMED_OUT, _timeout_failure(held))
    if held.stop is Stop.CANCEL:
        failure = task_pb2.Failure(kind="penstock_worker.Cancelled", message=note)
        return CANCELLED, _fail(held, CANCELLED, failure)
    if held.stop is Stop.MEMORY:
        failure = task_pb2.Failure(kind="penstock_worker.MemoryLimit", message=held.memory_text)
        return FAILED, _fail(held, FAILED, failure)
    if held.stop is Stop.LOST:
        return released(OUTAGE, "the lease could not be renewed for a whole term")
    return released(SHUTDOWN, note)


def crashed(held: Held, how: str) -> Ending:
    """Answers what to report when the process that ran a handler has died."""
    if held.stop is not None:
        return without_handler(held, f"its process {how}")
    failure = task_pb2.Failure(
        kind="penstock_worker.RunnerDied",
        message=f"the process that ran the handler {how}",
    )
    return CRASHED, _fail(held, CRASHED, failure)


def refused(held: Held, reason: str, message: str) -> Ending:
    """Answers what to report when the server would not take an ending: it is not to be repeated."""
    failure = task_pb2.Failure(
        kind=f"penstock_worker.ReportRefused.{reason}",
        message=f"the server refused what the handler ended with: {message}",
        retryable=False,
    )
    return FAILED, _fail(held, FAILED, failure)


def released(reason: int, message: str) -> Ending:
    """Answers the report that gives a lease back."""
    report = ReportItem()
    report.release.reason = reason  # type: ignore[assignment]
    report.release.message = message[:250]
    return RELEASED, report.SerializeToString()


def _fail(held: Held, outcome: int, failure: task_pb2.Failure) -> bytes:
    report = ReportItem()
    report.fail.outcome = outcome  # type: ignore[assignment]
    report.fail.failure.CopyFrom(failure)
    report.fail.usage.wall_time.FromNanoseconds(int((time.monotonic() - held.start_time) * 1e9))
    return report.SerializeToString()


def kind_of(item: bytes) -> str:
    """Answers the kind of the failure that an item reports; "" if it reports none."""
    return ReportItem.FromString(item).fail.failure.kind
