"""Threads for `def` handlers."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable


class Threads:
    """Runs calls in threads of its own, each at once as long as fewer than `limit` run.

    Threads are made when needed and kept. They are daemons: one that a handler blocks for ever
    must not keep the process alive.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0
        self._idle = 0

    def submit(self, call: Callable[[], None]) -> None:
        """Runs a call in a thread. The call must not raise."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._count < self._limit:
                self._count += 1
                threading.Thread(
                    target=self._work, name=f"penstock-handler-{self._count}", daemon=True
                ).start()
        self._calls.put(call)

    def close(self) -> None:
        """Lets idle threads end; busy ones end after their call."""
        for _ in range(self._count):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            with self._lock:
                self._idle += 1
