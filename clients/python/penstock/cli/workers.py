"""`penstock workers`: see who works, and send somebody home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from penstock.cli.command import command, group
from penstock.cli.session import Session

if TYPE_CHECKING:
    from penstock.v1.worker_pb2 import Worker

app = group("workers", "See the workers and drain them.")

_COLUMNS: Final = (
    "WORKER",
    "HEALTH",
    "RUNNING",
    "SLOTS",
    "SEEN",
    "UP",
    "QUEUES",
    "TYPES",
    "SESSION",
    "WHY",
)


@command(app, "list", examples=["penstock workers list", "penstock workers list --queue mail"])
def list_workers(
    session: Session,
    queue: Annotated[str, typer.Option(help="Only those that serve it.", metavar="NAME")] = "",
) -> None:
    """List the worker sessions that live, and why one cannot be given work."""
    from penstock.cli import show
    from penstock.cli.pages import all_workers
    from penstock.cli.rpc import connected
    from penstock.cli.screen import table

    with connected(session) as server:
        found = all_workers(server, session.namespace, queue)
    if session.json:
        session.screen.json([show.as_json(worker) for worker in found])
    elif found:
        rows = (row(session, worker) for worker in found)
        session.screen.print(table(_COLUMNS, rows, right=("RUNNING", "SLOTS")))
    else:
        session.screen.line("no worker is connected; `penstock worker module:worker` starts one")


@command(app, "drain", examples=["penstock workers drain SESSION --reason 'host goes down'"])
def drain(
    session: Session,
    session_id: Annotated[
        str, typer.Argument(metavar="SESSION", help="Id of the worker session.", show_default=False)
    ],
    reason: Annotated[str, typer.Option(help="Why, for people.", metavar="TEXT")] = "",
) -> None:
    """Tell a worker to take nothing more, and to finish or give back what it runs."""
    from penstock.cli import show, text
    from penstock.cli.rpc import connected
    from penstock.v1.worker_service_pb2 import DrainWorkerRequest

    with connected(session) as server:
        request = DrainWorkerRequest(
            namespace=session.namespace, session_id=session_id, reason=reason
        )
        worker = server.workers.DrainWorker(request).worker
    if session.json:
        session.screen.json(show.as_json(worker))
    else:
        running = text.count(worker.running_count, "task")
        session.screen.line(f"worker {worker.session.display_name} drains, {running} running")


def row(session: Session, worker: Worker) -> list[str]:
    """A worker as a row of the list."""
    from penstock.cli import show, text
    from penstock.v1.worker_pb2 import WorkerHealth

    now, created = session.now(), show.moment(worker, "create_time")
    return [
        worker.session.display_name or worker.session.session_id,
        show.word(WorkerHealth, worker.health),
        f"{worker.running_count:,}",
        f"{worker.session.slots:,}",
        text.age(show.moment(worker, "last_seen_time"), now=now),
        text.span(now - created if created else None),
        ", ".join(worker.queues),
        _some(list(worker.task_types)),
        worker.session.session_id,
        worker.health_reason,
    ]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
