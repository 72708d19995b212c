"""A task and its executions as screens for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from penstock.cli import show, text
from penstock.cli.screen import fields, styled, table
from penstock.cli.session import Session
from penstock.v1.execution_pb2 import Execution, ReleaseReason
from penstock.v1.task_pb2 import Failure, Task


def print_task(session: Session, task: Task) -> None:
    """Everything about one task, what matters most first."""
    screen = session.screen
    screen.print(fields(_facts(session, task)))
    if task.HasField("failure"):
        print_failure(session, task.failure)
    for title, payload in (("result", task.result), ("payload", task.spec.payload)):
        shown = show.payload_text(payload)
        if shown:
            screen.line()
            screen.line(title, "bold")
            print_block(session, shown)


def print_failure(session: Session, failure: Failure) -> None:
    """Kind, message, stack trace, and what led to it."""
    screen = session.screen
    screen.line()
    screen.line(show.failure_line(failure), "bold red")
    rest = failure.message.split("\n", 1)[1:]
    print_block(session, "".join(rest))
    print_block(session, failure.stack_trace.rstrip())
    if failure.HasField("cause"):
        screen.line("caused by", "dim")
        print_failure(session, failure.cause)


def print_block(session: Session, block: str) -> None:
    """A text of several lines, indented."""
    for line in text.lines(block) if block else ():
        session.screen.line(f"  {line}")


def print_executions(session: Session, executions: Iterable[Execution]) -> None:
    """One row for each execution, and under it why it did not succeed."""
    rows = [_execution_row(session, execution) for execution in executions]
    if not rows:
        session.screen.line("this task has not run yet")
        return
    columns = (
        "EXECUTION",
        "OUTCOME",
        "ATTEMPT",
        "WORKER",
        "STARTED",
        "TOOK",
        "CPU",
        "MEMORY",
        "WHY",
    )
    session.screen.print(table(columns, rows, right=("EXECUTION", "ATTEMPT")))


def _facts(session: Session, task: Task) -> Iterator[tuple[str, str]]:
    now, spec = session.now(), task.spec
    note = show.state_note(task)
    yield "task", task.task_id
    yield "state", show.state(task)
    yield "", note and f"({note})"
    yield "type", spec.task_type
    yield "queue", f"{spec.queue}, priority {spec.priority}"
    yield "name", spec.display_name if spec.display_name != spec.task_type else ""
    yield "description", spec.description
    yield "attempts", f"{show.attempts(task)}, {text.count(task.execution_count, 'execution')}"
    yield "crashes", str(task.crash_count) if task.crash_count else ""
    yield "progress", _progress(task)
    yield "created", show.when(show.moment(task, "create_time"), now=now)
    yield "due", _due(session, task)
    yield "started", show.when(show.moment(task, "start_time"), now=now)
    yield "ended", show.when(show.moment(task, "end_time"), now=now)
    yield "lease until", show.when(show.moment(task, "lease_expire_time"), now=now)
    yield "worker", task.worker_session_id
    yield "kept until", show.clock(show.moment(task, "delete_time"))
    yield "creator", task.creator
    yield "owner", spec.owner
    yield "labels", show.labels(spec.labels.items())
    yield "headers", show.labels(spec.headers.items())
    yield "trace", spec.trace_context.traceparent


def _due(session: Session, task: Task) -> str:
    """When a waiting task is due; of no interest for one that runs or has ended."""
    if show.state(task) not in ("SCHEDULED", "READY"):
        return ""
    return show.when(show.moment(task, "schedule_time"), now=session.now())


def _progress(task: Task) -> str:
    if not task.HasField("progress"):
        return ""
    return f"{task.progress.fraction:.0%} {task.progress.message}".rstrip()


def _execution_row(session: Session, execution: Execution) -> list[str]:
    started, ended = show.moment(execution, "start_time"), show.moment(execution, "end_time")
    usage = execution.usage
    took = (ended or session.now()) - started if started else None
    return [
        str(execution.number),
        show.outcome(execution),
        str(execution.attempt),
        execution.worker_name or execution.worker_session_id,
        show.clock(started),
        text.span(took),
        text.span(show.length(usage, "cpu_time")),
        f"{usage.peak_memory_bytes / 2**20:,.0f} MiB"
        if usage.HasField("peak_memory_bytes")
        else "-",
        _why(execution),
    ]


def _why(execution: Execution) -> str:
    if execution.release_reason:
        return show.word(ReleaseReason, execution.release_reason).lower()
    return text.one_line(show.failure_line(execution.failure), limit=120)


def section(session: Session, title: str) -> None:
    """A headline between two tables."""
    session.screen.line()
    session.screen.print(styled(title, "bold"))
