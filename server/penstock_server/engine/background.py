"""Owns the coroutines that outlive the call which started them, and the loops that never end by
themselves.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Final

import structlog

from penstock_server.model.errors import PenstockError

log = structlog.get_logger(__name__)

_CANCEL_AGAIN: Final = 0.2


class Background:
    """Coroutines of one engine.

    None of them is forgotten: an unexpected end is logged, and `stop` waits for all.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs something to its end."""
        self._own(work, self._tasks)

    def repeat(self, name: str, work: Callable[[], Awaitable[object]], every: timedelta) -> None:
        """Runs something again and again, with the span between, give or take a tenth, until
        `stop`.
        """
        self._own(self._loop(name, work, every), self._loops)

    def forever(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs something that ends only by `stop`."""
        self._own(work, self._loops)

    def _own(self, work: Coroutine[Any, Any, None], owner: set[asyncio.Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        owner.add(task)
        task.add_done_callback(owner.discard)
        task.add_done_callback(_report)

    async def _loop(
        self, name: str, work: Callable[[], Awaitable[object]], every: timedelta
    ) -> None:
        seconds = every.total_seconds()
        while True:
            try:
                await work()
            except PenstockError as error:
                log.warning("background.interrupted", work=name, reason=error.reason)
            except Exception:
                # One bad turn must not end a duty for good: the store may be fine in the next.
                log.exception("background.failed", work=name)
            # Jitter keeps servers from doing the same thing at the same moment.
            await asyncio.sleep(seconds * random.uniform(0.9, 1.1))

    async def stop(self) -> None:
        """Ends the loops, and waits for the rest."""
        while loops := set(self._loops):
            for loop in loops:
                loop.cancel()
            # Again, as long as it takes: a library below may swallow a cancel.
            await asyncio.wait(loops, timeout=_CANCEL_AGAIN)
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        if isinstance(error, PenstockError):
            log.warning("background.refused", reason=error.reason)
        else:
            log.error("background.failed", exc_info=error)
