"""`penstock submit` and `penstock run`: ask for work, and wait for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.command import command
from penstock.cli.exits import CommandFailed
from penstock.cli.session import Session
from penstock.cli.spec import SpecOptions

if TYPE_CHECKING:
    from penstock.cli.rpc import Server
    from penstock.v1.task_pb2 import Task

TaskType = Annotated[
    str,
    typer.Argument(
        metavar="TYPE", help="Name of the handler, e.g. images.resize.", show_default=False
    ),
]
PayloadSource = Annotated[
    str | None,
    typer.Argument(
        metavar="[JSON|@FILE|-]",
        help="Input of the handler: JSON, @FILE for a file, - for standard input.",
        show_default=False,
    ),
]


def add_to(app: typer.Typer, *, panel: str) -> None:
    """Adds both commands."""
    command(
        app,
        "submit",
        panel=panel,
        examples=[
            'penstock submit shell \'{"command": "echo hello"}\'',
            "penstock submit images.resize @job.json --queue images --priority 8",
            "penstock submit reports.daily --at 2027-01-31T06:00 --idempotency-key 2027-01-31",
        ],
    )(submit)
    command(
        app,
        "run",
        panel=panel,
        examples=[
            'penstock run shell \'{"command": "ls -l"}\'',
            "penstock run shell @job.json --json",
        ],
    )(run)


def submit(
    session: Session, task_type: TaskType, payload: PayloadSource = None, *, options: SpecOptions
) -> None:
    """Submit a task and print its id. When this returns, the task is stored."""
    from penstock.cli import show
    from penstock.cli.rpc import connected

    request = options.request(session.namespace, task_type, payload, now=session.now())
    with connected(session) as server:
        answer = server.tasks.SubmitTask(request)
    if session.json:
        session.screen.json(show.as_json(answer))
        return
    session.screen.line(answer.task.task_id)
    if answer.existing:
        session.screen.note(f"this task existed already and is {show.state(answer.task)}")


def run(
    session: Session, task_type: TaskType, payload: PayloadSource = None, *, options: SpecOptions
) -> None:
    """Submit a task, follow its log, print its result. Ends with status 1 if it does not succeed.

    The log goes to standard error, the result to standard output. Ctrl-C leaves the task running.
    """
    from penstock.cli.follow import follow
    from penstock.cli.rpc import connected

    request = options.request(session.namespace, task_type, payload, now=session.now())
    with connected(session) as server:
        task_id = server.tasks.SubmitTask(request).task.task_id
        try:
            follow(session, server, task_id)
            task = _ended(session, server, task_id)
        except KeyboardInterrupt:
            session.screen.note(
                f"task {task_id} goes on; `penstock tasks cancel {task_id}` ends it"
            )
            raise
    _conclude(session, task)


def _ended(session: Session, server: Server, task_id: str) -> Task:
    """The task once it has ended. Its log has ended already, so this is one call as a rule."""
    from datetime import timedelta

    from penstock.v1.task_service_pb2 import AwaitTaskRequest

    wait = timedelta(seconds=30)
    request = AwaitTaskRequest(namespace=session.namespace, task_id=task_id)
    request.wait.FromTimedelta(wait)
    while True:
        patience = (wait + session.timeout).total_seconds()
        task = server.tasks.AwaitTask(request, timeout=patience).task
        if task.HasField("end_time"):
            return task


def _conclude(session: Session, task: Task) -> None:
    """Prints what became of the task; anything but success ends the command with status 1."""
    from penstock.cli import show
    from penstock.cli.screen import Screen
    from penstock.cli.task_view import print_failure

    if session.json:
        session.screen.json(show.as_json(task))
    elif show.state(task) == "SUCCEEDED":
        result = show.payload_text(task.result)
        if result:
            session.screen.line(result)
        return
    elif task.HasField("failure"):
        print_failure(replace(session, screen=Screen(to_errors=True)), task.failure)
    if show.state(task) != "SUCCEEDED":
        note = show.state_note(task)
        raise CommandFailed(
            f"task {task.task_id} is {show.state(task)}{f' ({note})' if note else ''}",
            remedy=f"`penstock tasks executions {task.task_id}` shows how it went, "
            f"`penstock tasks retry {task.task_id}` runs it again",
        )
