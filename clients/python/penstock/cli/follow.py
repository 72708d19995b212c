"""Follows one task: its log lines as they come and, on a terminal, its progress under them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import grpc
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from penstock.cli.log_view import log_line
from penstock.cli.rpc import Server
from penstock.cli.screen import styled
from penstock.cli.session import Session
from penstock.cli.streams import resumed
from penstock.cli.text import one_line
from penstock.v1.task_service_pb2 import (
    TailLogsRequest,
    TailLogsResponse,
    WatchTasksRequest,
    WatchTasksResponse,
)


def follow(session: Session, server: Server, task_id: str) -> None:
    """Prints the task's log to standard error until the task has ended."""
    request = TailLogsRequest(namespace=session.namespace, task_id=task_id, follow=True)

    def start(cursor: str) -> Any:
        request.cursor = cursor
        return server.tasks.TailLogs(request)

    with _progress(session, server, task_id):
        answers: Iterator[TailLogsResponse] = resumed(session, start, "", patient=True)
        for answer in answers:
            for line in answer.lines:
                session.screen.errors.print(log_line(line), soft_wrap=True)


@contextmanager
def _progress(session: Session, server: Server, task_id: str) -> Iterator[None]:
    """A bar that shows the handler's progress, where there is a terminal to show it on."""
    console = session.screen.errors
    if session.json or not console.is_terminal:
        yield
        return
    columns = (
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    call: Any = server.tasks.WatchTasks(
        WatchTasksRequest(namespace=session.namespace, task_ids=[task_id])
    )
    with Progress(*columns, console=console, transient=True) as bar:
        row = bar.add_task("", total=1.0)
        watcher = threading.Thread(target=_watch, args=(call, bar, row), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            call.cancel()
            watcher.join(timeout=1.0)


def _watch(call: Any, bar: Progress, row: Any) -> None:
    """Moves the bar.

    It is an ornament: when the stream breaks, the log and the result still come.
    """
    try:
        for answer in call:
            for event in cast(WatchTasksResponse, answer).events:
                if event.HasField("progress"):
                    described = one_line(event.progress.message, limit=60)
                    bar.update(row, completed=event.progress.fraction, description=described)
    except grpc.RpcError:
        bar.update(row, description=str(styled("progress is not available")))
