"""Queues as screens for people: what is wrong stands first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from penstock.cli import show, text
from penstock.cli.screen import fields, table
from penstock.cli.session import Session
from penstock.cli.task_view import section
from penstock.v1.queue_pb2 import Queue, QueueHealth
from penstock.v1.queue_service_pb2 import PeekQueueResponse
from penstock.v1.task_pb2 import Task

_COLUMNS = ("QUEUE", "HEALTH", "READY", "OLDEST", "SCHEDULED", "RUNNING", "DEAD", "WORKERS", "WHY")


def health(queue: Queue) -> str:
    """Health of a queue: `HEALTHY`, `PAUSED`, `UNSERVED`, `STOPPED`."""
    return show.word(QueueHealth, queue.health)


def by_urgency(queues: Iterable[Queue]) -> list[Queue]:
    """Unhealthy queues first, then by what waits in them."""
    return sorted(queues, key=lambda q: (health(q) == "HEALTHY", -q.stats.ready_count, q.queue))


def row(queue: Queue) -> list[str]:
    """A queue as a row of `_COLUMNS`."""
    stats = queue.stats
    return [
        queue.queue,
        health(queue),
        f"{stats.ready_count:,}",
        text.span(show.length(stats, "oldest_ready_age")),
        f"{stats.scheduled_count:,}",
        f"{stats.running_count:,}",
        f"{stats.dead_count:,}",
        f"{stats.worker_count:,}",
        queue.health_reason,
    ]


def print_queues(session: Session, queues: Sequence[Queue]) -> None:
    """One row for each queue."""
    if not queues:
        session.screen.line(
            f"namespace {session.namespace} has no queues yet; the first task makes one"
        )
        return
    right = ("READY", "OLDEST", "SCHEDULED", "RUNNING", "DEAD", "WORKERS")
    session.screen.print(table(_COLUMNS, map(row, by_urgency(queues)), right=right))


def print_queue(session: Session, queue: Queue, peek: PeekQueueResponse) -> None:
    """One queue: health, counts, settings, then the first tasks of each kind."""
    screen = session.screen
    verdict = health(queue)
    style = (
        "green" if verdict == "HEALTHY" else "bold yellow" if verdict == "PAUSED" else "bold red"
    )
    reason = f": {queue.health_reason}" if queue.health_reason else ""
    screen.line(f"{queue.queue} is {verdict}{reason}", style)
    screen.print(fields(_facts(queue)))
    stats = queue.stats
    _tasks(
        session, "dead letters", peek.dead, stats.dead_count, _dead, ("FAILED", "EXECUTIONS", "WHY")
    )
    _tasks(
        session,
        "running",
        peek.running,
        stats.running_count,
        _running,
        ("FOR", "LEASE ENDS", "WORKER", "PROGRESS"),
    )
    _tasks(
        session,
        "ready",
        peek.ready,
        stats.ready_count,
        _waiting,
        ("WAITS", "PRIORITY", "EXECUTIONS", "LAST FAILURE"),
    )
    _tasks(
        session,
        "scheduled",
        peek.scheduled,
        stats.scheduled_count,
        _scheduled,
        ("DUE", "EXECUTIONS", "LAST FAILURE"),
    )


def _facts(queue: Queue) -> Iterator[tuple[str, str]]:
    stats, config = queue.stats, queue.config
    yield "paused", queue.pause_reason if queue.paused else ""
    yield "workers", str(stats.worker_count)
    yield (
        "oldest ready",
        text.span(show.length(stats, "oldest_ready_age")) if stats.ready_count else "",
    )
    yield (
        "ready by type",
        ", ".join(
            f"{kind} {number:,}"
            for kind, number in sorted(stats.ready_by_type.items(), key=lambda i: -i[1])[:8]
        ),
    )
    yield "description", config.description
    yield (
        "lease",
        text.span(show.length(config, "lease_duration"))
        if config.HasField("lease_duration")
        else "",
    )
    yield (
        "retention",
        text.span(show.length(config, "retention")) if config.HasField("retention") else "",
    )
    policy = config.retry_policy
    yield "attempts", str(policy.max_attempts) if policy.HasField("max_attempts") else ""


def _tasks(
    session: Session,
    title: str,
    tasks: Sequence[Task],
    total: int,
    cells: Callable[[Session, Task], list[str]],
    columns: Sequence[str],
) -> None:
    """A headline with the count, and the first tasks of the kind."""
    if not tasks and not total:
        return
    first = f", first {len(tasks)}" if len(tasks) < total else ""
    section(session, f"{title}: {total:,}{first}")
    rows = ([task.task_id, task.spec.task_type, *cells(session, task)] for task in tasks)
    session.screen.print(table(("TASK", "TYPE", *columns), rows, right=("EXECUTIONS", "PRIORITY")))


def _dead(session: Session, task: Task) -> list[str]:
    ended = text.age(show.moment(task, "end_time"), now=session.now())
    return [ended, str(task.execution_count), _why(task)]


def _running(session: Session, task: Task) -> list[str]:
    now, started = session.now(), show.moment(task, "start_time")
    progress = (
        f"{task.progress.fraction:.0%} {task.progress.message}" if task.HasField("progress") else ""
    )
    note = show.state_note(task)
    return [
        text.span(now - started if started else None),
        text.age(show.moment(task, "lease_expire_time"), now=now),
        task.worker_session_id,
        " ".join(part for part in (note, progress) if part),
    ]


def _waiting(session: Session, task: Task) -> list[str]:
    since = show.moment(task, "schedule_time") or show.moment(task, "create_time")
    waits = text.span(session.now() - since if since else None)
    return [waits, str(task.spec.priority), str(task.execution_count), _why(task)]


def _scheduled(session: Session, task: Task) -> list[str]:
    due = text.age(show.moment(task, "schedule_time"), now=session.now())
    return [due, str(task.execution_count), _why(task)]


def _why(task: Task) -> str:
    return text.one_line(show.failure_line(task.failure), limit=120)
