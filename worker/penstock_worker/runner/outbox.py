"""Records on their way to the supervisor, many at a time."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from penstock.v1 import task_pb2
from penstock_worker import frames
from penstock_worker.frames import Record

# A handler may report progress in a tight loop; the latest goes on this often, in seconds.
PROGRESS_INTERVAL: Final = 0.02


class Outbox:
    """Gathers records and delivers them together, in order.

    What comes from the loop's thread leaves once per turn of the loop; what comes from another
    thread leaves at once, so that it survives if the process dies in the next moment. With
    `eager` everything leaves at once.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[list[Record]], None],
        *,
        on_loop: bool = False,
        eager: bool = False,
    ) -> None:
        self._loop = loop
        self._deliver = deliver
        self._on_loop = on_loop
        """True if `deliver` may be called from the loop's thread only."""
        self._eager = eager
        self._thread = threading.get_ident()
        # A deque, because it stays the same object: a list that is swapped for an empty one loses
        # what another thread appends to it at that moment.
        self._records: deque[Record] = deque()
        self._scheduled = False
        self._lock = threading.Lock()
        self._progress: dict[int, bytes] = {}
        self._progress_scheduled = False

    def put(self, record: Record) -> None:
        """Takes a record; from any thread."""
        self._records.append(record)
        if threading.get_ident() == self._thread:
            if self._eager:
                self.flush()
            elif not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self.flush)
        elif not self._on_loop:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self.flush)

    def progress(self, execution_id: int, progress: task_pb2.Progress) -> None:
        """Takes the latest progress of an execution; from any thread."""
        self._progress[execution_id] = progress.SerializeToString()
        if not self._progress_scheduled:
            self._progress_scheduled = True
            self._loop.call_soon_threadsafe(
                self._loop.call_later, PROGRESS_INTERVAL, self._send_progress
            )

    def take_progress(self, execution_id: int) -> None:
        """Puts the latest progress of an execution that ends now."""
        latest = self._progress.pop(execution_id, None)
        if latest is not None:
            self._records.append((frames.PROGRESS, execution_id, latest))

    def _send_progress(self) -> None:
        self._progress_scheduled = False
        while self._progress:
            execution_id, latest = self._progress.popitem()
            self.put((frames.PROGRESS, execution_id, latest))

    def flush(self) -> None:
        """Delivers what is there. From any thread, unless delivery is bound to the loop."""
        with self._lock:
            # First of all: a record that comes in between then schedules the next flush.
            self._scheduled = False
            waiting = self._records
            if waiting:
                self._deliver([waiting.popleft() for _ in range(len(waiting))])
