"""What runs executions, as the supervisor sees it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod

import psutil

from penstock.v1 import worker_pb2
from penstock_worker import frames
from penstock_worker.child import Child
from penstock_worker.frames import Record
from penstock_worker.held import Held
from penstock_worker.lines import LineState
from penstock_worker.registry import HandlerInfo


class Hello:
    """What a worker's module declares."""

    def __init__(self, record: Record) -> None:
        _, self.name, queues, handlers = record
        self.queues: tuple[str, ...] = tuple(queues)
        self.handlers = {row[0]: HandlerInfo(*row) for row in handlers}


class Runner(ABC):
    """Runs executions."""

    def __init__(self, *, isolated: bool) -> None:
        self.is_isolated = isolated
        """True if it runs one at a time, in a process that may be killed for it."""
        self.executions: dict[int, Held] = {}
        self.is_ready = False
        self.pong_time = 0.0

    @abstractmethod
    def start(
        self, held: Held, lease: worker_pb2.Lease, deadline: float | None, traceparent: str
    ) -> None:
        """Starts an execution."""

    @abstractmethod
    def cancel(self, held: Held, reason: str) -> None:
        """Tells an execution to stop."""

    @abstractmethod
    def kill(self, number: int) -> None:
        """Sends a signal to whatever runs the execution."""

    def finished(self, held: Held) -> None:
        """Forgets an execution that has ended."""
        self.executions.pop(held.id, None)


class ChildRunner(Runner):
    """A process and the executions that it runs."""

    def __init__(self, child: Child) -> None:
        super().__init__(isolated=child.is_isolated)
        self.child = child
        self.start_time = time.monotonic()
        self.served = 0
        self.ping_time = 0.0
        self.line_state: LineState | None = None
        self.is_leaving = False
        self._process: psutil.Process | None = None

    def start(
        self, held: Held, lease: worker_pb2.Lease, deadline: float | None, traceparent: str
    ) -> None:
        """Sends an execution to the child."""
        self.executions[held.id] = held
        self.served += 1
        self.child.send((frames.START, held.id, lease.SerializeToString(), deadline, traceparent))

    def cancel(self, held: Held, reason: str) -> None:
        """Tells an execution to stop."""
        self.child.send((frames.CANCEL, held.id, reason))

    def kill(self, number: int) -> None:
        """Sends a signal to the child and its group."""
        self.child.kill(number)

    def resident_bytes(self) -> int:
        """Answers how much memory the process holds; 0 if it is gone."""
        try:
            if self._process is None:
                self._process = psutil.Process(self.child.pid)
            return int(self._process.memory_info().rss)
        except psutil.Error:  # it dies at this moment; its death is handled elsewhere
            return 0
