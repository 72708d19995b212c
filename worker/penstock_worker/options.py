"""How a worker runs. Everything has a default."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from penstock.options import ClientOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """Settings of a worker process. Raises ValueError for what is out of bounds."""

    client: ClientOptions = field(default_factory=ClientOptions.from_env)
    """Server, namespace and credentials."""
    name: str = ""
    """Name for people. Default: the Worker's, else `<target>@<host>`."""
    queues: tuple[str, ...] = ()
    """Queues to lease from, in turn. Default: the Worker's."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Facts about the worker. At most 32."""
    slots: int = 100
    """Executions at a time, all kinds together. 1 to 1,000."""
    runners: int = 1
    """Processes that share the `async def` and `def` handlers. 1 to 64."""
    isolated_slots: int = field(default_factory=lambda: max(2, os.cpu_count() or 2))
    """Isolated executions, and so processes, at a time, within `slots`."""
    isolated_executions: int = 100
    """An isolated runner is replaced after so many executions."""
    isolated_memory: int | None = None
    """An isolated runner that holds more bytes than this after an execution is replaced."""
    inline: bool = False
    """Run handlers in the supervisor itself: see docs/how-to/handlers.md for what that gives up."""
    drain_grace: timedelta = timedelta(seconds=30)
    """At shutdown, time for running handlers before they are given back."""
    poll_wait: timedelta = timedelta(seconds=20)
    """Longest wait of one poll. 1 s to 60 s."""
    unresponsive_after: timedelta = timedelta(seconds=10)
    """A shared runner whose event loop has not answered for so long is killed."""
    log_lines: int = 10_000
    """Log lines of one execution; what comes after is cut, and a line says so."""
    log_bytes: int = 4 * 1024 * 1024
    """Bytes of log text of one execution."""
    metrics: str = ""
    """`host:port` to serve Prometheus metrics at. Empty: nowhere. Port 0: one that is free."""

    def __post_init__(self) -> None:
        _within("slots", self.slots, 1, 1000)
        _within("runners", self.runners, 1, 64)
        _within("isolated_slots", self.isolated_slots, 1, 1000)
        _within("isolated_executions", self.isolated_executions, 1, 1_000_000_000)
        _within("poll_wait", self.poll_wait.total_seconds(), 1, 60)
        _within("log_lines", self.log_lines, 1, 1_000_000_000)
        _within("log_bytes", self.log_bytes, 1, 1 << 40)
        if self.drain_grace < timedelta():
            raise ValueError("drain_grace is below zero")

    def display_name(self, declared: str, target: str) -> str:
        """Answers the name to show: the option, the Worker's own, or one made up."""
        return self.name or declared or f"{target}@{socket.gethostname()}"


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; it must be {low:g} to {high:g}")
