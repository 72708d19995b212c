"""Leases, reports, directives and sessions."""

from collections.abc import Sequence
from typing import Final

from penstock.v1 import worker_pb2
from penstock.v1 import worker_service_pb2 as pb
from penstock.v1.execution_pb2 import LogLine
from penstock_server.engine.dispatch import Delivery
from penstock_server.engine.reports import TAKEN, Report, ReportAnswer, Verb
from penstock_server.engine.workers import is_silent
from penstock_server.model.lease_token import LeaseToken, encode_lease_token
from penstock_server.model.lifecycle import Outcome, ReleaseReason
from penstock_server.model.records import Directive, LeaseKind, LeaseRecord, SessionRecord
from penstock_server.service.convert import task as convert_task
from penstock_server.service.convert.times import set_span, set_time
from penstock_server.service.errors import to_item_error
from penstock_server.service.trim import keep_start, trim_failure, trim_log_line, trim_progress
from penstock_server.service.validate.report import is_plain
from penstock_server.store.leases import FailureReport

_SUMMARY_BYTES: Final = 256
_TIMEOUT_KIND: Final = "penstock.Timeout"


def add_leases(
    field: "Sequence[worker_pb2.Lease]", delivery: Delivery, accept_within_ms: int
) -> None:
    """Adds the leases of a delivery to an answer."""
    add = field.add  # type: ignore[attr-defined]  # a repeated field
    kind, shared = None, b""
    for record in delivery.leases:
        if record.kind is not kind:
            kind = record.kind
            shared = _shared(kind, accept_within_ms)
        _fill_lease(add(), record, shared)


def _fill_lease(lease: worker_pb2.Lease, record: LeaseRecord, shared: bytes) -> None:
    task_id = record.task_id
    lease.lease_token = encode_lease_token(task_id, record.kind.fence, record.random)
    lease.task_id = task_id
    lease.MergeFromString(shared)
    lease.spec.MergeFromString(record.spec)
    before = record.previous
    if before is not None and before.outcome not in (Outcome.SUCCEEDED, Outcome.RELEASED):
        lease.previous_failure.CopyFrom(convert_task.failure_of(before))


def _shared(kind: LeaseKind, accept_within_ms: int) -> bytes:
    """What leases of a kind share, serialised: it is spelled once for all of them."""
    lease = worker_pb2.Lease(
        fence=kind.fence,
        execution=kind.execution,
        attempt=kind.attempt,
        crash_count=kind.crashes,
    )
    set_span(lease.term, kind.term_ms)
    set_span(lease.accept_within, min(accept_within_ms, kind.term_ms))
    set_time(lease.create_time, kind.create_ms)
    set_time(lease.schedule_time, kind.due_ms)
    return lease.SerializeToString()


def plain_report(item: pb.ReportItem, token: LeaseToken, most_bytes: int) -> Report | None:
    """The report that an item makes if it is what most are: an accept, or a success of which there
    is no more to tell than a plain result, and no log lines.

    None for all others: whether they are in bounds, and what they say, takes a closer look.
    """
    if item.log_lines:
        return None
    if item.HasField("complete"):
        complete = item.complete
        if is_plain(complete, most_bytes):
            return Report(token, Verb.COMPLETE, complete.SerializeToString())
    elif item.HasField("accept"):
        return Report(token, Verb.RENEW)
    return None


def report(item: pb.ReportItem, token: LeaseToken) -> Report:
    """A validated report. Texts that may be cut are cut here."""
    kind = item.WhichOneof("report")
    lines = [_line(line) for line in item.log_lines] if item.log_lines else ()
    if kind == "complete":
        return Report(token, Verb.COMPLETE, item.complete.SerializeToString(), lines=lines)
    if kind == "accept":
        return Report(token, Verb.RENEW, lines=lines)
    if kind == "heartbeat":
        return Report(token, Verb.RENEW, _progress(item.heartbeat), lines=lines)
    if kind == "fail":
        return _fail(item.fail, token, lines)
    if kind == "release":
        reason = ReleaseReason(item.release.reason)
        return Report(
            token, Verb.RELEASE, item.release.SerializeToString(), reason=reason, lines=lines
        )
    return Report(token, Verb.LOG, lines=lines)


def _line(line: LogLine) -> tuple[int, bytes]:
    number = line.number
    trim_log_line(line)
    line.ClearField("execution")
    line.ClearField("number")
    return number, line.SerializeToString()


def _progress(heartbeat: pb.HeartbeatReport) -> bytes:
    if not heartbeat.HasField("progress"):
        return b""
    trim_progress(heartbeat.progress)
    heartbeat.progress.ClearField("update_time")
    # A report of nothing is still a sign of life of the handler.
    return heartbeat.progress.SerializeToString() or b"\x12\x00"


def _fail(fail: pb.FailReport, token: LeaseToken, lines: Sequence[tuple[int, bytes]]) -> Report:
    failure = fail.failure
    trim_failure(failure)
    outcome = Outcome(fail.outcome or Outcome.FAILED)
    kind = failure.kind or (_TIMEOUT_KIND if outcome is Outcome.TIMED_OUT else "")
    first_line = failure.message.split("\n", 1)[0]
    summary = keep_start(
        f"{kind}: {first_line}" if kind and first_line else kind or first_line, _SUMMARY_BYTES
    )
    retryable = failure.retryable if failure.HasField("retryable") else True
    told = FailureReport(outcome, retryable, kind, fail.SerializeToString(), summary)
    return Report(token, Verb.FAIL, failure=told, lines=lines)


_ONE_TAKEN: Final = pb.ReportExecutionsResponse(results=[pb.ReportResult()]).SerializeToString()


def add_results(response: pb.ReportExecutionsResponse, answers: Sequence[ReportAnswer]) -> None:
    """Adds the answers to reports, in their order."""
    if all(answer is TAKEN for answer in answers):
        # Messages one behind the other are one message with all that is in them.
        response.MergeFromString(_ONE_TAKEN * len(answers))
        return
    for answer in answers:
        _fill_result(response.results.add(), answer)


def _fill_result(result: pb.ReportResult, answer: ReportAnswer) -> None:
    if answer.error is not None:
        result.error.CopyFrom(to_item_error(answer.error))
    if answer.term_ms:
        set_span(result.term, answer.term_ms)
    if answer.cancel_requested:
        result.cancel_requested = True
    if answer.last_line:
        result.last_log_line = answer.last_line


def directive(record: Directive, now_ms: int) -> worker_pb2.Directive:
    """A directive, with the time that is left of a grace."""
    message = worker_pb2.Directive(directive_id=record.directive_id)
    if record.kind == "cancel":
        message.cancel.lease_token = record.token
        set_span(message.cancel.grace, max(0, record.deadline_ms - now_ms))
    else:
        message.drain.reason = record.reason
        message.drain.SetInParent()
    return message


def reconnect() -> worker_pb2.Directive:
    """The wish that a worker goes to another server."""
    message = worker_pb2.Directive(directive_id="reconnect")
    message.reconnect.reason = "this server is shutting down"
    return message


def session_record(
    namespace: str, session: worker_pb2.WorkerSession, queues: Sequence[str], types: Sequence[str]
) -> SessionRecord:
    """What a session says of itself, for the store."""
    return SessionRecord(
        namespace=namespace,
        session_id=session.session_id,
        session=session.SerializeToString(),
        queues=list(queues),
        task_types=list(types),
        create_ms=0,
        seen_ms=0,
        draining=False,
    )


def worker(record: SessionRecord, now_ms: int) -> worker_pb2.Worker:
    """A session as operators see it."""
    message = worker_pb2.Worker(
        namespace=record.namespace,
        queues=record.queues,
        task_types=record.task_types,
        running_count=record.running,
    )
    message.session.MergeFromString(record.session)
    set_time(message.create_time, record.create_ms)
    set_time(message.last_seen_time, record.seen_ms)
    if is_silent(record, now_ms):
        message.health = worker_pb2.WORKER_HEALTH_SILENT
        seconds = (now_ms - record.seen_ms) // 1000
        message.health_reason = f"not heard of for {seconds} s; its leases run out by themselves"
    elif record.draining:
        message.health = worker_pb2.WORKER_HEALTH_DRAINING
        message.health_reason = "was told to drain"
    else:
        message.health = worker_pb2.WORKER_HEALTH_HEALTHY
    return message
