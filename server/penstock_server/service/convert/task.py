"""Tasks, executions, log lines and events → messages."""

from collections.abc import Mapping
from typing import Final

from penstock.v1 import execution_pb2, task_pb2
from penstock.v1.event_pb2 import TaskEvent
from penstock.v1.worker_pb2 import WorkerSession
from penstock.v1.worker_service_pb2 import CompleteReport, FailReport, ReleaseReport
from penstock_server.engine.tasks import etag_of
from penstock_server.model.lifecycle import EventKind, Outcome, TaskState
from penstock_server.model.records import EventRecord, ExecutionRecord, LogRecord, TaskRecord
from penstock_server.service.convert.times import set_time

_SERVER_KINDS: Final[Mapping[Outcome, str]] = {
    Outcome.LOST: "penstock.LeaseLost",
    Outcome.TIMED_OUT: "penstock.Timeout",
    Outcome.CRASHED: "penstock.Crashed",
    Outcome.CANCELLED: "penstock.Cancelled",
}
"""Kinds of failures that the server states by itself."""


def task(record: TaskRecord, *, payload: bool = True) -> task_pb2.Task:
    """A task, with its payload or without."""
    message = task_pb2.Task(
        namespace=record.namespace,
        task_id=record.task_id,
        state=int(record.state),  # type: ignore[arg-type]  # same numbers, held by a test
        cancel_reason=int(record.cancel_reason or 0),  # type: ignore[arg-type]
        cancel_requested=record.cancel_requested,
        sequence=record.sequence,
        attempt=record.attempt,
        execution_count=record.executions,
        crash_count=record.crashes,
        release_count=record.releases,
        creator=record.creator,
        worker_session_id=record.session_id,
        etag=etag_of(record),
    )
    if record.spec is not None:
        message.spec.MergeFromString(record.spec)
        _fill_in_defaults(message.spec)
        if not payload:
            message.spec.ClearField("payload")
    _set_times(message, record)
    if record.progress is not None:
        at_ms, progress = record.progress
        message.progress.MergeFromString(progress)
        set_time(message.progress.update_time, at_ms)
    if record.last_execution is not None:
        _set_outcome(message, record, record.last_execution)
    return message


def submitted(namespace: str, spec: task_pb2.TaskSpec, creator: str) -> task_pb2.Task:
    """A task that was taken in just now, without its payload; the caller sets id, state and
    times.
    """
    message = task_pb2.Task(namespace=namespace, sequence=1, creator=creator, etag="1")
    message.spec.CopyFrom(spec)
    message.spec.ClearField("payload")
    _fill_in_defaults(message.spec)
    return message


def _fill_in_defaults(spec: task_pb2.TaskSpec) -> None:
    if not spec.HasField("priority"):
        spec.priority = 5
    if not spec.display_name:
        spec.display_name = spec.task_type


def _set_times(message: task_pb2.Task, record: TaskRecord) -> None:
    set_time(message.create_time, record.create_ms)
    set_time(message.update_time, record.update_ms)
    set_time(message.schedule_time, record.due_ms)
    set_time(message.start_time, record.start_ms)
    set_time(message.end_time, record.end_ms)
    set_time(message.delete_time, record.delete_ms)
    set_time(message.lease_expire_time, record.expire_ms)


def _set_outcome(message: task_pb2.Task, record: TaskRecord, last: ExecutionRecord) -> None:
    if record.state is TaskState.SUCCEEDED and last.outcome is Outcome.SUCCEEDED:
        report = CompleteReport.FromString(last.report)
        if report.HasField("result"):
            message.result.CopyFrom(report.result)
    elif last.outcome not in (Outcome.SUCCEEDED, Outcome.RELEASED):
        message.failure.CopyFrom(failure_of(last))
    elif record.state is TaskState.FAILED:
        message.failure.kind = "penstock.Released"
        message.failure.message = f"given back {record.releases} times in a row"


def failure_of(record: ExecutionRecord) -> task_pb2.Failure:
    """Why an execution did not succeed: as its worker told it, or as the server found."""
    if record.report:
        failure = FailReport.FromString(record.report).failure
        if failure.ByteSize():
            return failure
    outcome = record.outcome or Outcome.LOST
    kind = _SERVER_KINDS.get(outcome, "penstock.Failed")
    return task_pb2.Failure(kind=kind, message=record.note or outcome.name.lower())


def execution(
    record: ExecutionRecord, namespace: str, task_id: str, workers: Mapping[str, bytes]
) -> execution_pb2.Execution:
    """One execution, whole. `workers` are the descriptions of sessions that are known."""
    message = execution_pb2.Execution(
        namespace=namespace,
        task_id=task_id,
        number=record.number,
        outcome=int(record.outcome or 0),  # type: ignore[arg-type]
        attempt=record.attempt,
        fence=record.fence,
        worker_session_id=record.session_id,
        worker_name=WorkerSession.FromString(workers.get(record.session_id, b"")).display_name,
    )
    set_time(message.start_time, record.start_ms)
    set_time(message.end_time, record.end_ms)
    if record.outcome is Outcome.SUCCEEDED:
        report = CompleteReport.FromString(record.report)
        if report.HasField("result"):
            message.result.CopyFrom(report.result)
        if report.HasField("usage"):
            message.usage.CopyFrom(report.usage)
    elif record.outcome is Outcome.RELEASED:
        message.release_reason = (
            ReleaseReport.FromString(record.report).reason
            if record.report
            else execution_pb2.RELEASE_REASON_LOST_REPLY
        )
    elif record.outcome is not None:
        _set_failure(message, record)
    return message


def _set_failure(message: execution_pb2.Execution, record: ExecutionRecord) -> None:
    message.failure.CopyFrom(failure_of(record))
    report = FailReport.FromString(record.report)
    if report.HasField("usage"):
        message.usage.CopyFrom(report.usage)


def log_line(record: LogRecord) -> execution_pb2.LogLine:
    """One log line. An empty one stands where lines were cut."""
    if not record.line:
        return execution_pb2.LogLine(
            execution=record.execution,
            number=record.number,
            stream=execution_pb2.LOG_STREAM_SYSTEM,
            level="WARNING",
            text="the log of this execution reached its bound; later lines were dropped",
        )
    line = execution_pb2.LogLine.FromString(record.line)
    line.execution = record.execution
    line.number = record.number
    return line


def event(record: EventRecord) -> TaskEvent:
    """One event."""
    message = TaskEvent(
        namespace=record.namespace,
        task_id=record.task_id,
        kind=int(record.kind),  # type: ignore[arg-type]
        sequence=record.sequence,
        state=int(record.state),  # type: ignore[arg-type]
        queue=record.queue,
        task_type=record.task_type,
        execution=record.execution,
        outcome=int(record.outcome or 0),  # type: ignore[arg-type]
        attempt=record.attempt,
        cancel_reason=int(record.cancel_reason or 0),  # type: ignore[arg-type]
        worker_session_id=record.session_id,
    )
    set_time(message.time, record.time_ms)
    set_time(message.schedule_time, record.due_ms)
    if record.kind is EventKind.PROGRESSED:
        message.progress.MergeFromString(record.extra)
        set_time(message.progress.update_time, record.time_ms)
    else:
        message.failure_summary = record.extra.decode(errors="replace")
    return message
