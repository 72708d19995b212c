"""The longest time of a method's calls, at next to no cost per call.

All calls of a method have the same bound, so the oldest is the first to be overdue: one timer looks
at the front of the line now and then. A timer per call, as `asyncio.timeout` has, costs more than
all the rest of the edge.
"""

import asyncio
from datetime import timedelta
from itertools import takewhile
from typing import Any, Final

_LOOKS_PER_BOUND: Final = 8
_LONGEST_INTERVAL: Final = 1.0


class Deadlines:
    """The calls of one method under way. One may overrun by an eighth of its bound, or 1 s."""

    def __init__(self, longest: timedelta) -> None:
        self._longest = longest.total_seconds()
        self._interval = min(self._longest / _LOOKS_PER_BOUND, _LONGEST_INTERVAL)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._since: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._is_armed = False

    def enter(self) -> asyncio.Task[Any]:
        """The running task begins a call; what it gives goes to `leave`."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("calls run in tasks")
        self._since[task] = loop.time()
        if not self._is_armed:
            self._is_armed = True
            loop.call_later(self._interval, self._look)
        return task

    def leave(self, task: asyncio.Task[Any]) -> None:
        """The call has ended."""
        self._since.pop(task, None)
        self._overdue.discard(task)

    def has_ended(self, task: asyncio.Task[Any]) -> bool:
        """True if the call was cancelled for its time and by nobody else; takes that back."""
        return task in self._overdue and task.uncancel() == 0

    def _look(self) -> None:
        assert self._loop is not None
        latest = self._loop.time() - self._longest
        for task in self._begun_before(latest):
            del self._since[task]
            self._overdue.add(task)
            task.cancel()
        self._is_armed = bool(self._since)
        if self._is_armed:
            self._loop.call_later(self._interval, self._look)

    def _begun_before(self, latest: float) -> list[asyncio.Task[Any]]:
        return [task for task, _ in takewhile(lambda call: call[1] <= latest, self._since.items())]
