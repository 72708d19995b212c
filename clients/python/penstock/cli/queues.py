"""`penstock queues`: look at queues, set them, pause, resume and purge them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.command import command, confirm, group
from penstock.cli.config_options import QueueOptions
from penstock.cli.session import Session

if TYPE_CHECKING:
    from penstock.v1.queue_pb2 import Queue

app = group("queues", "Look at queues, pause, resume, purge and set them.")

QueueName = Annotated[
    str, typer.Argument(metavar="QUEUE", help="Name of the queue.", show_default=False)
]


@command(app, "list", examples=["penstock queues list", "penstock queues list --json"])
def list_queues(session: Session) -> None:
    """List queues with what waits, runs and is dead in them, the unhealthy ones first."""
    from penstock.cli import show
    from penstock.cli.pages import all_queues
    from penstock.cli.queue_view import print_queues
    from penstock.cli.rpc import connected

    with connected(session) as server:
        found = all_queues(server, session.namespace)
    if session.json:
        session.screen.json([show.as_json(queue) for queue in found])
    else:
        print_queues(session, found)


@command(
    app,
    "show",
    examples=["penstock queues show default", "penstock queues show default --limit 50"],
)
def show_queue(
    session: Session,
    queue: QueueName,
    limit: Annotated[
        int, typer.Option(help="Tasks of each kind.", metavar="N", min=1, max=100)
    ] = 10,
) -> None:
    """Show one queue: why it is not healthy, and the first tasks that wait, run or are dead."""
    from penstock.cli import show
    from penstock.cli.queue_view import print_queue
    from penstock.cli.rpc import connected
    from penstock.v1.queue_service_pb2 import GetQueueRequest, PeekQueueRequest

    with connected(session) as server:
        found = server.queues.GetQueue(
            GetQueueRequest(namespace=session.namespace, queue=queue)
        ).queue
        peek = server.queues.PeekQueue(
            PeekQueueRequest(namespace=session.namespace, queue=queue, limit=limit)
        )
    if session.json:
        session.screen.json({"queue": show.as_json(found), "tasks": show.as_json(peek)})
    else:
        print_queue(session, found, peek)


@command(app, "pause", examples=["penstock queues pause default --reason 'database upgrade'"])
def pause(
    session: Session,
    queue: QueueName,
    reason: Annotated[str, typer.Option(help="Why, for people.", metavar="TEXT")] = "",
) -> None:
    """Stop leasing from a queue. What runs goes on, and tasks are still taken in."""
    from penstock.cli.rpc import connected
    from penstock.v1.queue_service_pb2 import PauseQueueRequest

    with connected(session) as server:
        request = PauseQueueRequest(namespace=session.namespace, queue=queue, reason=reason)
        found = server.queues.PauseQueue(request).queue
    _report(session, found, "is paused")


@command(app, "resume", examples=["penstock queues resume default"])
def resume(session: Session, queue: QueueName) -> None:
    """Start leasing from a paused queue again."""
    from penstock.cli.rpc import connected
    from penstock.v1.queue_service_pb2 import ResumeQueueRequest

    with connected(session) as server:
        request = ResumeQueueRequest(namespace=session.namespace, queue=queue)
        found = server.queues.ResumeQueue(request).queue
    _report(session, found, "is open")


@command(app, "purge", examples=["penstock queues purge default --yes"])
def purge(
    session: Session,
    queue: QueueName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Cancel every task that waits in a queue. What runs goes on."""
    from penstock.cli import text
    from penstock.cli.rpc import connected
    from penstock.v1.queue_service_pb2 import GetQueueRequest, PurgeQueueRequest

    with connected(session) as server:
        if not yes:
            request = GetQueueRequest(namespace=session.namespace, queue=queue)
            stats = server.queues.GetQueue(request).queue.stats
            waiting = text.count(stats.ready_count + stats.scheduled_count, "task")
            confirm(session, f"Cancel {waiting} waiting in queue {queue}?", yes=False)
        purged = server.queues.PurgeQueue(
            PurgeQueueRequest(namespace=session.namespace, queue=queue)
        ).task_count
    if session.json:
        session.screen.json({"queue": queue, "taskCount": purged})
    else:
        session.screen.line(f"queue {queue} is purged: {text.count(purged, 'task')} cancelled")


@command(
    app,
    "update",
    examples=["penstock queues update mail --lease 2m --max-attempts 10 --execution-timeout 30s"],
)
def update(session: Session, queue: QueueName, *, options: QueueOptions) -> None:
    """Set what holds for a queue's tasks, and make it if there is none. The rest stays."""
    from penstock.cli.rpc import connected, if_found
    from penstock.v1.queue_pb2 import Queue, QueueConfig
    from penstock.v1.queue_service_pb2 import GetQueueRequest, UpdateQueueRequest

    options.check("queues update", QueueConfig())
    with connected(session) as server:
        about = GetQueueRequest(namespace=session.namespace, queue=queue)
        known = if_found(server.queues.GetQueue, about)
        old = known.queue if known else Queue()  # an update makes the queue
        # The etag refuses it if somebody else was faster.
        request = UpdateQueueRequest(
            namespace=session.namespace, queue=queue, config=old.config, etag=old.etag
        )
        request.update_mask.paths.append("*")
        options.set_on(request.config)
        found = server.queues.UpdateQueue(request).queue
    _report(session, found, "is set")


def _report(session: Session, queue: Queue, what: str) -> None:
    """One line after something was done to a queue."""
    from penstock.cli import show, text

    if session.json:
        session.screen.json(show.as_json(queue))
        return
    stats = queue.stats
    waiting = text.count(stats.ready_count + stats.scheduled_count, "task")
    session.screen.line(
        f"queue {queue.queue} {what}: {waiting} waiting, {stats.running_count:,} running"
    )
