"""`penstock watch`: see what happens to tasks, as it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from penstock.cli.command import command
from penstock.cli.session import Session

if TYPE_CHECKING:
    from rich.text import Text

    from penstock.v1.event_pb2 import TaskEvent
    from penstock.v1.task_pb2 import Task

_STYLES: Final = {
    "SUCCEEDED": "green",
    "FAILED": "bold red",
    "RETRY_SCHEDULED": "red",
    "CANCELLED": "yellow",
    "CANCEL_REQUESTED": "yellow",
    "RELEASED": "yellow",
    "LEASED": "cyan",
    "PROGRESSED": "cyan",
    "RETRIED": "magenta",
}


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Adds the command."""
    examples = [
        "penstock watch",
        "penstock watch --queue mail --type mail.send",
        "penstock watch TASK TASK",
        "penstock watch --json | jq .kind",
    ]
    command(app, "watch", panel=panel, examples=examples)(watch)


def watch(
    session: Session,
    task_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TASK]...", help="Only these; ends when all have ended.", show_default=False
        ),
    ] = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this queue. Repeat it for more.", metavar="NAME", show_default=False
        ),
    ] = None,
    type_: Annotated[
        list[str] | None,
        typer.Option(
            "--type", help="Only this type. Repeat it for more.", metavar="TYPE", show_default=False
        ),
    ] = None,
    cursor: Annotated[str, typer.Option(help="Go on from here.", metavar="CURSOR")] = "",
) -> None:
    """Print one line for each change of a task, until Ctrl-C.

    With --json the last line of what came together carries a cursor to go on from, without gap or
    repeat.
    """
    from penstock.cli.rpc import connected
    from penstock.cli.streams import resumed, with_cursors
    from penstock.v1.task_service_pb2 import WatchTasksRequest, WatchTasksResponse

    request = WatchTasksRequest(
        namespace=session.namespace, queues=queue, task_types=type_, task_ids=task_ids
    )
    if not (session.json or task_ids):
        session.screen.note(f"watching namespace {session.namespace}; Ctrl-C ends")
    with connected(session) as server:

        def start(at: str) -> Any:
            request.cursor = at
            return server.tasks.WatchTasks(request)

        answer: WatchTasksResponse
        for answer in resumed(session, start, cursor):
            for task in answer.tasks:
                _print_task(session, task)
            for event, behind in with_cursors(answer.events, answer.cursor):
                _print_event(session, event, behind)


def _print_task(session: Session, task: Task) -> None:
    """A task as it was when the watch began."""
    from penstock.cli import show
    from penstock.cli.tasks import report

    if session.json:
        session.screen.json_line({"task": show.as_json(task)})
    else:
        report(session, task)


def _print_event(session: Session, event: TaskEvent, behind: dict[str, str]) -> None:
    from penstock.cli import show

    if session.json:
        session.screen.json_line({**show.as_json(event), **behind})
    else:
        session.screen.console.print(event_line(event), soft_wrap=True)


def event_line(event: TaskEvent) -> Text:
    """`12:00:01 SUCCEEDED 06f1… default shell  execution 1`, and why where something went wrong."""
    from rich.text import Text

    from penstock.cli import show
    from penstock.cli.text import one_line
    from penstock.v1.event_pb2 import TaskEventKind

    kind = show.word(TaskEventKind, event.kind)
    time = show.moment(event, "time")
    line = Text(f"{time.astimezone():%H:%M:%S} " if time else "", style="dim")
    line.append(f"{kind:<16} ", style=_STYLES.get(kind, "bold"))
    line.append(one_line(f"{event.task_id} "), style="default")
    line.append(one_line(f"{event.queue} {event.task_type}"), style="blue")
    line.append(one_line(_details(event)), style="default")
    return line


def _details(event: TaskEvent) -> str:
    from penstock.cli import show
    from penstock.v1.execution_pb2 import ExecutionOutcome
    from penstock.v1.task_pb2 import CancelReason

    parts = [f"execution {event.execution}" if event.execution else ""]
    if event.outcome and show.word(ExecutionOutcome, event.outcome) not in ("SUCCEEDED",):
        parts.append(show.word(ExecutionOutcome, event.outcome))
    if event.cancel_reason:
        parts.append(show.word(CancelReason, event.cancel_reason).lower())
    if event.HasField("progress"):
        parts.append(f"{event.progress.fraction:.0%} {event.progress.message}".rstrip())
    parts.append(event.failure_summary)
    return "".join(f"  {part}" for part in parts if part)
