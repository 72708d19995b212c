"""`penstock types`: give task types defaults and descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli.command import command, confirm, group
from penstock.cli.config_options import TypeOptions
from penstock.cli.session import Session

if TYPE_CHECKING:
    from penstock.cli.rpc import Server
    from penstock.v1.task_type_pb2 import TaskType

app = group("types", "Give task types defaults and descriptions.")

TypeName = Annotated[
    str, typer.Argument(metavar="TYPE", help="Name of the task type.", show_default=False)
]
_COLUMNS: Final = ("TYPE", "PRIORITY", "ATTEMPTS", "TIMEOUT", "LEASE", "DESCRIPTION")


@command(app, "list", examples=["penstock types list", "penstock types list --json"])
def list_types(session: Session) -> None:
    """List the task types that have a record. Tasks of other types run without one."""
    from penstock.cli import show
    from penstock.cli.pages import all_task_types
    from penstock.cli.rpc import connected
    from penstock.cli.screen import table

    with connected(session) as server:
        found = all_task_types(server, session.namespace)
    if session.json:
        session.screen.json([show.as_json(item) for item in found])
    elif found:
        session.screen.print(table(_COLUMNS, map(_row, found)))
    else:
        session.screen.line("no task type has a record; tasks need none")


@command(app, "show", examples=["penstock types show images.resize"])
def show_type(session: Session, task_type: TypeName) -> None:
    """Show what is set on a task type."""
    from penstock.cli import show
    from penstock.cli.rpc import connected
    from penstock.cli.screen import table
    from penstock.v1.task_type_service_pb2 import GetTaskTypeRequest

    with connected(session) as server:
        request = GetTaskTypeRequest(namespace=session.namespace, task_type=task_type)
        found = server.task_types.GetTaskType(request).task_type
    if session.json:
        session.screen.json(show.as_json(found))
    else:
        session.screen.print(table(_COLUMNS, [_row(found)]))


@command(
    app,
    "set",
    examples=["penstock types set images.resize --max-attempts 5 --execution-timeout 2m"],
)
def set_type(session: Session, task_type: TypeName, *, options: TypeOptions) -> None:
    """Set defaults of a task type, and make its record if there is none. The rest stays."""
    from penstock.cli.rpc import connected
    from penstock.v1.task_type_pb2 import TaskTypeConfig

    options.check("types set", TaskTypeConfig())
    with connected(session) as server:
        found = _set(server, session.namespace, task_type, options)
    _report(session, found, "is set")


def _set(server: Server, namespace: str, task_type: str, options: TypeOptions) -> TaskType:
    """Changes the record, or makes it."""
    from penstock.cli.rpc import if_found
    from penstock.v1 import task_type_service_pb2 as pb

    about = pb.GetTaskTypeRequest(namespace=namespace, task_type=task_type)
    known = if_found(server.task_types.GetTaskType, about)
    if known is None:
        made = pb.CreateTaskTypeRequest(namespace=namespace, task_type=task_type)
        options.set_on(made.config)
        return server.task_types.CreateTaskType(made).task_type
    old = known.task_type
    # The etag refuses it if somebody else was faster.
    request = pb.UpdateTaskTypeRequest(
        namespace=namespace, task_type=task_type, config=old.config, etag=old.etag
    )
    request.update_mask.paths.append("*")
    options.set_on(request.config)
    return server.task_types.UpdateTaskType(request).task_type


@command(app, "delete", examples=["penstock types delete images.resize --yes"])
def delete(
    session: Session,
    task_type: TypeName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove the record of a task type. Its tasks go on; later ones do without."""
    from penstock.cli.rpc import connected
    from penstock.v1.task_type_service_pb2 import DeleteTaskTypeRequest

    confirm(session, f"Remove what is set on task type {task_type}?", yes=yes)
    with connected(session) as server:
        request = DeleteTaskTypeRequest(namespace=session.namespace, task_type=task_type)
        server.task_types.DeleteTaskType(request)
    if session.json:
        session.screen.json({"taskType": task_type, "deleted": True})
    else:
        session.screen.line(f"nothing is set on task type {task_type} any more")


def _row(task_type: TaskType) -> list[str]:
    from penstock.cli import show, text

    config = task_type.config
    return [
        task_type.task_type,
        str(config.priority) if config.HasField("priority") else "",
        str(config.retry_policy.max_attempts or ""),
        text.span(show.length(config.timeouts, "start_to_close")),
        text.span(show.length(config, "lease_duration")),
        config.description,
    ]


def _report(session: Session, task_type: TaskType, what: str) -> None:
    from penstock.cli import show

    if session.json:
        session.screen.json(show.as_json(task_type))
    else:
        session.screen.line(f"task type {task_type.task_type} {what}")
