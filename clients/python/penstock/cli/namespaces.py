"""`penstock namespaces`: list, make, change and remove namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.command import command, confirm, group
from penstock.cli.session import Session
from penstock.cli.spec import pairs

if TYPE_CHECKING:
    from penstock.v1.namespace_pb2 import Namespace

app = group("namespaces", "List, make, change and remove namespaces.")

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the namespace.", show_default=False)
]
Description = Annotated[str | None, typer.Option(help="For people.", metavar="TEXT")]
Label = Annotated[
    list[str] | None,
    typer.Option(help="Label. Repeat it for more.", metavar="KEY=VALUE", show_default=False),
]


@command(app, "list", examples=["penstock namespaces list"])
def list_namespaces(session: Session) -> None:
    """List the namespaces that the caller may see."""
    from penstock.cli import show
    from penstock.cli.pages import all_namespaces
    from penstock.cli.rpc import connected
    from penstock.cli.screen import table

    with connected(session) as server:
        found = all_namespaces(server)
    if session.json:
        session.screen.json([show.as_json(namespace) for namespace in found])
        return
    rows = (
        (
            item.namespace,
            show.clock(show.moment(item, "create_time")),
            item.description,
            show.labels(item.labels.items()),
        )
        for item in found
    )
    session.screen.print(table(("NAMESPACE", "CREATED", "DESCRIPTION", "LABELS"), rows))


@command(app, "create", examples=["penstock namespaces create staging --label stage=test"])
def create(
    session: Session, name: Name, description: Description = None, label: Label = None
) -> None:
    """Make a namespace."""
    from penstock.cli.rpc import connected
    from penstock.v1.namespace_pb2 import Namespace
    from penstock.v1.namespace_service_pb2 import CreateNamespaceRequest

    wanted = Namespace(
        namespace=name, description=description or "", labels=pairs(label, "--label")
    )
    with connected(session) as server:
        made = server.namespaces.CreateNamespace(CreateNamespaceRequest(namespace=wanted)).namespace
    _report(session, made, "is made")


@command(
    app,
    "update",
    examples=["penstock namespaces update staging --description 'before each release'"],
)
def update(
    session: Session, name: Name, description: Description = None, label: Label = None
) -> None:
    """Change a namespace's description or labels. What is not named stays."""
    from penstock.cli.exits import usage
    from penstock.cli.rpc import connected
    from penstock.v1.namespace_pb2 import Namespace
    from penstock.v1.namespace_service_pb2 import UpdateNamespaceRequest

    request = UpdateNamespaceRequest(
        namespace=Namespace(
            namespace=name, description=description or "", labels=pairs(label, "--label")
        )
    )
    if description is not None:
        request.update_mask.paths.append("description")
    if label:
        request.update_mask.paths.append("labels")
    if not request.update_mask.paths:
        raise usage("nothing to change", remedy="give --description or --label")
    with connected(session) as server:
        changed = server.namespaces.UpdateNamespace(request).namespace
    _report(session, changed, "is changed")


@command(app, "delete", examples=["penstock namespaces delete staging --yes"])
def delete(
    session: Session,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a namespace that holds no queue with tasks."""
    from penstock.cli.rpc import connected
    from penstock.v1.namespace_service_pb2 import DeleteNamespaceRequest

    confirm(session, f"Remove namespace {name}?", yes=yes)
    with connected(session) as server:
        server.namespaces.DeleteNamespace(DeleteNamespaceRequest(namespace=name))
    if session.json:
        session.screen.json({"namespace": name, "deleted": True})
    else:
        session.screen.line(f"namespace {name} is removed")


def _report(session: Session, namespace: Namespace, what: str) -> None:
    from penstock.cli import show

    if session.json:
        session.screen.json(show.as_json(namespace))
    else:
        session.screen.line(f"namespace {namespace.namespace} {what}")
