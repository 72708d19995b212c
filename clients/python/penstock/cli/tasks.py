"""`penstock tasks`: look at one task and act on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli.command import command, confirm, group, to_span
from penstock.cli.exits import usage
from penstock.cli.session import Session

if TYPE_CHECKING:
    from penstock.v1.task_pb2 import Task, TaskSpec

app = group("tasks", "Look at tasks, cancel, retry, end and delete them.")

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="Id of the task.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_SOURCE: Final = "JSON|@FILE|-"


@command(app, "get", examples=["penstock tasks get 06f1c2v0g5x9k3m7q2r8t4w6y0"])
def get(session: Session, task_id: TaskId) -> None:
    """Show one task: state, times, attempts, result, and why it failed."""
    from penstock.cli import show
    from penstock.cli.rpc import connected
    from penstock.cli.task_view import print_task
    from penstock.v1.task_service_pb2 import GetTaskRequest

    with connected(session) as server:
        request = GetTaskRequest(namespace=session.namespace, task_id=task_id)
        task = server.tasks.GetTask(request).task
    if session.json:
        session.screen.json(show.as_json(task))
    else:
        print_task(session, task)


@command(app, "executions", examples=["penstock tasks executions 06f1c2v0g5x9k3m7q2r8t4w6y0"])
def executions(
    session: Session,
    task_id: TaskId,
    limit: Annotated[int, typer.Option(help="At most so many.", metavar="N", min=1, max=100)] = 20,
) -> None:
    """List the executions of a task, newest first: who ran it, how it ended, what it used."""
    from penstock.cli import show
    from penstock.cli.rpc import connected
    from penstock.cli.task_view import print_executions
    from penstock.v1.task_service_pb2 import ListExecutionsRequest

    with connected(session) as server:
        request = ListExecutionsRequest(
            namespace=session.namespace, task_id=task_id, page_size=limit
        )
        found = server.tasks.ListExecutions(request).executions
    if session.json:
        session.screen.json([show.as_json(execution) for execution in found])
    else:
        print_executions(session, found)


@command(
    app,
    "cancel",
    examples=[
        "penstock tasks cancel TASK",
        "penstock tasks cancel TASK --grace 30s --reason 'wrong input'",
    ],
)
def cancel(
    session: Session,
    task_id: TaskId,
    grace: Annotated[
        str | None,
        typer.Option(help="Time that a running task is given.", metavar="SPAN", show_default="10s"),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for people.", metavar="TEXT")] = "",
) -> None:
    """Cancel a task. One that runs is told so, and is ended after its grace."""
    from penstock.cli.rpc import connected
    from penstock.v1.task_service_pb2 import CancelTaskRequest

    request = CancelTaskRequest(namespace=session.namespace, task_id=task_id, reason=reason)
    if grace is not None:
        request.grace.FromTimedelta(to_span(grace, "--grace"))
    with connected(session) as server:
        task = server.tasks.CancelTask(request).task
    report(session, task)


@command(
    app,
    "retry",
    examples=[
        "penstock tasks retry TASK",
        'penstock tasks retry TASK --payload \'{"path": "fixed.txt"}\'',
        "penstock tasks retry TASK --edit",
    ],
)
def retry(
    session: Session,
    task_id: TaskId,
    payload: Annotated[
        str | None, typer.Option(help="Run it with this payload instead.", metavar=_SOURCE)
    ] = None,
    spec: Annotated[
        str | None, typer.Option(help="Run it with this whole spec, as JSON.", metavar=_SOURCE)
    ] = None,
    edit: Annotated[bool, typer.Option("--edit", help="Edit the spec in $EDITOR first.")] = False,
) -> None:
    """Run an ended task again under the same id: a dead letter, a cancelled or a succeeded one.

    Attempts and crashes are granted anew. A task that waits for its next attempt runs at once.
    """
    import uuid

    from penstock.cli.rpc import connected
    from penstock.v1.task_service_pb2 import GetTaskRequest, RetryTaskRequest

    if sum((payload is not None, spec is not None, edit)) > 1:
        raise usage("--payload, --spec and --edit exclude each other", remedy="give one of them")
    request = RetryTaskRequest(
        namespace=session.namespace, task_id=task_id, request_id=str(uuid.uuid4())
    )
    with connected(session) as server:
        if payload is not None or edit:
            old = server.tasks.GetTask(
                GetTaskRequest(namespace=session.namespace, task_id=task_id)
            ).task.spec
            request.spec.CopyFrom(_changed(old, payload))
        elif spec is not None:
            request.spec.CopyFrom(_parsed(spec))
        task = server.tasks.RetryTask(request).task
    report(session, task)


@command(
    app,
    "end",
    examples=[
        "penstock tasks end TASK --result '{\"ok\": true}'",
        "penstock tasks end TASK --failed 'the customer withdrew'",
    ],
)
def end(
    session: Session,
    task_id: TaskId,
    result: Annotated[
        str | None, typer.Option(help="End it as SUCCEEDED with this result.", metavar=_SOURCE)
    ] = None,
    failed: Annotated[
        str | None, typer.Option(help="End it as FAILED for this reason.", metavar="TEXT")
    ] = None,
) -> None:
    """End a task without a worker, as an operator. A lease that is held is revoked."""
    from penstock.cli.rpc import connected
    from penstock.cli.spec import read_payload
    from penstock.v1.task_pb2 import Failure
    from penstock.v1.task_service_pb2 import EndTaskRequest

    if (result is None) == (failed is None):
        raise usage("say how it ends", remedy="give --result JSON or --failed TEXT")
    request = EndTaskRequest(namespace=session.namespace, task_id=task_id)
    if result is not None:
        request.result.CopyFrom(read_payload(result, "application/json"))
    else:
        request.failure.CopyFrom(Failure(kind="ended-by-operator", message=failed or ""))
    with connected(session) as server:
        task = server.tasks.EndTask(request).task
    report(session, task)


@command(app, "delete", examples=["penstock tasks delete TASK --yes"])
def delete(session: Session, task_id: TaskId, yes: Yes = False) -> None:
    """Delete the record of an ended task, its executions and its logs."""
    from penstock.cli.rpc import connected
    from penstock.v1.task_service_pb2 import DeleteTaskRequest

    confirm(session, f"Delete task {task_id} with its executions and logs?", yes=yes)
    with connected(session) as server:
        server.tasks.DeleteTask(DeleteTaskRequest(namespace=session.namespace, task_id=task_id))
    if session.json:
        session.screen.json({"taskId": task_id, "deleted": True})
    else:
        session.screen.line(f"task {task_id} is deleted")


def report(session: Session, task: Task) -> None:
    """One line with a task's state after something was done to it."""
    from penstock.cli import show

    if session.json:
        session.screen.json(show.as_json(task))
        return
    note = show.state_note(task)
    session.screen.line(
        f"task {task.task_id} is {show.state(task)}" + (f" ({note})" if note else "")
    )


def _changed(old: TaskSpec, payload: str | None) -> TaskSpec:
    """The old spec with another payload, or as edited by hand."""
    from penstock.cli.spec import read_payload
    from penstock.cli.spec_file import edited

    # A time that has passed means at once, but the edited spec should not show an old date.
    old.ClearField("schedule_time")
    if payload is None:
        return edited(old)
    old.payload.CopyFrom(read_payload(payload, "application/json"))
    return old


def _parsed(source: str) -> TaskSpec:
    from penstock.cli.spec import read_source
    from penstock.cli.spec_file import from_json

    return from_json(read_source(source).decode(errors="replace"))
