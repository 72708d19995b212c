"""`penstock logs`: read and follow the log of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.command import command
from penstock.cli.session import Session

if TYPE_CHECKING:
    from penstock.v1.execution_pb2 import LogLine


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Adds the command."""
    examples = [
        "penstock logs TASK",
        "penstock logs -f TASK",
        "penstock logs TASK --execution 2 --json",
    ]
    command(app, "logs", panel=panel, examples=examples)(logs)


def logs(
    session: Session,
    task_id: Annotated[
        str, typer.Argument(metavar="TASK", help="Id of the task.", show_default=False)
    ],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the task has ended.")
    ] = False,
    execution: Annotated[
        int, typer.Option(help="Only this one, from 1.", min=0, metavar="N", show_default="all")
    ] = 0,
    times: Annotated[
        bool, typer.Option("--times", "-t", help="Show when each line was written.")
    ] = False,
    cursor: Annotated[str, typer.Option(help="Go on from here.", metavar="CURSOR")] = "",
) -> None:
    """Print what a task wrote: its output, its errors and its log lines, of all executions."""
    from penstock.cli.rpc import connected
    from penstock.cli.streams import resumed, with_cursors
    from penstock.v1.task_service_pb2 import TailLogsRequest, TailLogsResponse

    request = TailLogsRequest(
        namespace=session.namespace, task_id=task_id, execution=execution, follow=follow
    )
    with connected(session) as server:

        def start(at: str) -> Any:
            request.cursor = at
            return server.tasks.TailLogs(request)

        answer: TailLogsResponse
        for answer in resumed(session, start, cursor):
            for line, behind in with_cursors(answer.lines, answer.cursor):
                _print(session, line, behind, times=times)


def _print(session: Session, line: LogLine, behind: dict[str, str], *, times: bool) -> None:
    from penstock.cli import show
    from penstock.cli.log_view import log_line

    if session.json:
        session.screen.json_line({**show.as_json(line), **behind})
    else:
        shown = log_line(line, times=times, execution=times)
        session.screen.console.print(shown, soft_wrap=True)
