"""`penstock types`: give task types defaults and descriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from penstock.cli.command import command, confirm, group, to_span
from penstock.cli.exits import usage
from penstock.cli.session import Session

if TYPE_CHECKING:
    from datetime import timedelta

    from penstock.cli.rpc import Server
    from penstock.v1.task_type_pb2 import TaskType

app = group("types", "Give task types defaults and descriptions.")

TypeName = Annotated[
    str, typer.Argument(metavar="TYPE", help="Name of the task type.", show_default=False)
]
_POLICY: Final = "Defaults for tasks that bring none"
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
def set_type(
    session: Session,
    task_type: TypeName,
    description: Annotated[str | None, typer.Option(help="For people.", metavar="TEXT")] = None,
    priority: Annotated[
        int | None,
        typer.Option(help="0 (last) to 9 (first).", metavar="N", rich_help_panel=_POLICY),
    ] = None,
    lease: Annotated[
        str | None, typer.Option(help="Term of leases, 5s to 1h.", metavar="SPAN")
    ] = None,
    retention: Annotated[
        str | None, typer.Option(help="How long ended tasks stay.", metavar="SPAN")
    ] = None,
    max_attempts: Annotated[
        int | None,
        typer.Option(help="Executions that may fail.", metavar="N", rich_help_panel=_POLICY),
    ] = None,
    max_crashes: Annotated[
        int | None, typer.Option(help="Crashes allowed.", metavar="N", rich_help_panel=_POLICY)
    ] = None,
    execution_timeout: Annotated[
        str | None, typer.Option(help="Longest execution.", metavar="SPAN", rich_help_panel=_POLICY)
    ] = None,
) -> None:
    """Set defaults of a task type, and make its record if there is none. The rest stays."""
    from penstock.cli.queue_config import set_config
    from penstock.cli.rpc import connected
    from penstock.cli.spec import set_number
    from penstock.v1.task_type_service_pb2 import CreateTaskTypeRequest, UpdateTaskTypeRequest

    numbers = {"max_attempts": max_attempts, "max_crashes": max_crashes}
    spans = {
        "lease_duration": _span(lease, "--lease"),
        "retention": _span(retention, "--retention"),
        "timeouts.start_to_close": _span(execution_timeout, "--execution-timeout"),
    }
    if all(v is None for v in (description, priority, *numbers.values(), *spans.values())):
        raise usage("nothing to set", remedy="`penstock types set --help` lists what can be set")
    with connected(session) as server:
        known = _current(server, session.namespace, task_type)
        request = UpdateTaskTypeRequest(namespace=session.namespace, task_type=task_type)
        if known is not None:
            request.config.CopyFrom(known.config)
        set_config(request.config, description, numbers, spans)
        if priority is not None:
            set_number(request.config, "priority", priority, "--priority")
        if known is None:
            made = CreateTaskTypeRequest(
                namespace=session.namespace, task_type=task_type, config=request.config
            )
            found = server.task_types.CreateTaskType(made).task_type
        else:
            request.etag = known.etag
            request.update_mask.paths.append("*")
            found = server.task_types.UpdateTaskType(request).task_type
    _report(session, found, "is set")


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


def _current(server: Server, namespace: str, task_type: str) -> TaskType | None:
    import grpc

    from penstock.v1.task_type_service_pb2 import GetTaskTypeRequest

    request = GetTaskTypeRequest(namespace=namespace, task_type=task_type)
    try:
        return server.task_types.GetTaskType(request).task_type
    except grpc.RpcError as error:
        if cast(Any, error).code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise


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


def _span(text: str | None, option: str) -> timedelta | None:
    return None if text is None else to_span(text, option)


def _report(session: Session, task_type: TaskType, what: str) -> None:
    from penstock.cli import show

    if session.json:
        session.screen.json(show.as_json(task_type))
    else:
        session.screen.line(f"task type {task_type.task_type} {what}")
