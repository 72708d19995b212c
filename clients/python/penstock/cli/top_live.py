"""Gathers what `penstock top` shows, and draws it."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, cast

import grpc
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from penstock.cli import pages, queue_view, show, workers
from penstock.cli.failures import from_error
from penstock.cli.rpc import Server
from penstock.cli.screen import styled, table
from penstock.cli.session import Session
from penstock.cli.watch import event_line
from penstock.error_mapping import from_rpc_error
from penstock.v1.event_pb2 import TaskEvent, TaskEventKind
from penstock.v1.queue_pb2 import Queue
from penstock.v1.task_service_pb2 import WatchTasksRequest
from penstock.v1.worker_pb2 import Worker, WorkerHealth

#: Rates are averages over this many seconds.
_RATE_SECONDS: Final = 10.0
_FAILURES: Final = 8
_BAD: Final = frozenset(
    {TaskEventKind.TASK_EVENT_KIND_FAILED, TaskEventKind.TASK_EVENT_KIND_RETRY_SCHEDULED}
)
_ENDED: Final = frozenset(
    {
        TaskEventKind.TASK_EVENT_KIND_SUCCEEDED,
        TaskEventKind.TASK_EVENT_KIND_FAILED,
        TaskEventKind.TASK_EVENT_KIND_CANCELLED,
    }
)
_IN: Final = frozenset({TaskEventKind.TASK_EVENT_KIND_SUBMITTED})


@dataclass(frozen=True)
class Snapshot:
    """What the server answered at one moment, or why it did not."""

    queues: Sequence[Queue] = ()
    workers: Sequence[Worker] = ()
    trouble: str = ""


@dataclass
class Activity:
    """What a watch saw in the last seconds, gathered by a thread of its own."""

    failures: deque[TaskEvent] = field(default_factory=lambda: deque(maxlen=_FAILURES))
    _seen: deque[tuple[float, str, str]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _began: float = field(default_factory=time.monotonic)

    def add(self, events: Iterable[TaskEvent]) -> None:
        """Counts events; called by the watching thread."""
        now = time.monotonic()
        with self._lock:
            for event in events:
                if event.kind in _BAD:
                    self.failures.appendleft(event)
                kind = "in" if event.kind in _IN else "out" if event.kind in _ENDED else ""
                if kind:
                    self._seen.append((now, event.queue, kind))

    def rates(self) -> tuple[Counter[str], Counter[str], float]:
        """Tasks taken in and ended by queue, and over how many seconds."""
        now = time.monotonic()
        with self._lock:
            while self._seen and self._seen[0][0] < now - _RATE_SECONDS:
                self._seen.popleft()
            came = Counter(queue for _, queue, kind in self._seen if kind == "in")
            went = Counter(queue for _, queue, kind in self._seen if kind == "out")
        return came, went, max(min(_RATE_SECONDS, now - self._began), 1.0)

    def latest_failures(self) -> list[TaskEvent]:
        """The latest failures, newest first."""
        with self._lock:
            return list(self.failures)


def run_once(session: Session, server: Server) -> None:
    """Looks once: the tables, or one JSON document."""
    queues = pages.all_queues(server, session.namespace)
    found = pages.all_workers(server, session.namespace)
    if session.json:
        session.screen.json(
            {
                "queues": [show.as_json(q) for q in queues],
                "workers": [show.as_json(w) for w in found],
            }
        )
    else:
        session.screen.print(_screen(session, Snapshot(queues, found), None))


def run_live(session: Session, server: Server, every: timedelta) -> None:
    """Draws the screen anew each interval, until Ctrl-C. A server that goes away is waited for."""
    activity, ending = Activity(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(session, server, activity, ending), daemon=True)
    watcher.start()
    try:
        with Live(
            console=session.screen.console, screen=True, auto_refresh=False, transient=True
        ) as live:
            found = Snapshot()
            while True:
                found = _look(session, server, found)
                live.update(_screen(session, found, activity), refresh=True)
                time.sleep(every.total_seconds())
    finally:
        ending.set()


def _look(session: Session, server: Server, before: Snapshot) -> Snapshot:
    """What the server answers now; if it does not, what it said before, and why not."""
    try:
        return Snapshot(
            pages.all_queues(server, session.namespace),
            pages.all_workers(server, session.namespace),
        )
    except grpc.RpcError as error:
        known = from_error(from_rpc_error(cast(Any, error), session.address))
        return replace(before, trouble=known.what)


def _watch(session: Session, server: Server, activity: Activity, ending: threading.Event) -> None:
    """Feeds the activity; after a break it begins again from now, because a rate needs no past."""
    while not ending.is_set():
        call = server.tasks.WatchTasks(WatchTasksRequest(namespace=session.namespace))
        try:
            for answer in call:
                activity.add(answer.events)
        except grpc.RpcError:
            ending.wait(1.0)
        finally:
            cast(Any, call).cancel()


def _screen(session: Session, found: Snapshot, activity: Activity | None) -> Group:
    parts: list[Any] = [_headline(session, found)]
    if found.trouble:
        parts.append(styled(found.trouble, "bold red"))
    parts += [
        Text(),
        _queue_table(found.queues, activity),
        Text(),
        _worker_table(session, found.workers),
    ]
    failures = activity.latest_failures() if activity else []
    if failures:
        parts += [Text(), styled("recent failures", "bold"), *map(event_line, failures)]
    return Group(*parts)


def _headline(session: Session, found: Snapshot) -> Text:
    stats = [queue.stats for queue in found.queues]
    ready, running = sum(s.ready_count for s in stats), sum(s.running_count for s in stats)
    well = [w for w in found.workers if w.health == WorkerHealth.WORKER_HEALTH_HEALTHY]
    dead, slots = sum(s.dead_count for s in stats), sum(w.session.slots for w in well)
    line = styled("penstock ", "bold") + styled(f"{session.address} {session.namespace}  ", "dim")
    line += styled(f"{ready:,} ready  {running:,} running of {slots:,} slots  ")
    line += styled(f"{dead:,} dead", "bold red" if dead else "")
    line += styled(f"  {session.now().astimezone():%H:%M:%S}", "dim")
    return line


def _queue_table(queues: Sequence[Queue], activity: Activity | None) -> Table | Text:
    if not queues:
        return styled("no queues yet; the first task makes one", "dim")
    came, went, seconds = activity.rates() if activity else (Counter[str](), Counter[str](), 1.0)
    columns = (
        "QUEUE",
        "HEALTH",
        "READY",
        "OLDEST",
        "IN/S",
        "OUT/S",
        "RUNNING",
        "SCHEDULED",
        "DEAD",
        "WORKERS",
        "WHY",
    )
    rows = []
    for queue in queue_view.by_urgency(queues):
        name, health, ready, oldest, scheduled, running, dead, workers_, why = queue_view.row(queue)
        rates = [
            f"{counted[queue.queue] / seconds:,.1f}" if activity else "-"
            for counted in (came, went)
        ]
        rows.append([name, health, ready, oldest, *rates, running, scheduled, dead, workers_, why])
    return table(columns, rows, right=columns[2:10])


def _worker_table(session: Session, found: Sequence[Worker]) -> Table | Text:
    if not found:
        return styled("no worker is connected", "bold yellow")
    columns = ("WORKER", "HEALTH", "RUNNING", "SLOTS", "SEEN", "UP", "QUEUES")
    rows = (workers.row(session, worker)[:7] for worker in found)
    return table(columns, rows, right=("RUNNING", "SLOTS"))
