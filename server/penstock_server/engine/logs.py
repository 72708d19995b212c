"""Follows the log lines of tasks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

from penstock_server.model.cursor import decode_logs, encode_logs
from penstock_server.model.errors import CursorExpired, ShuttingDown
from penstock_server.model.lifecycle import TaskState
from penstock_server.model.records import LogRecord, TaskRecord
from penstock_server.store.store import Store

from .endings import Endings

_CHUNK: Final = 500
_LAST: Final = (1 << 31) - 1


class Logs:
    """Gives the lines of a task, and the cursor behind them."""

    def __init__(self, store: Store, server_id: str, endings: Endings) -> None:
        self._store = store
        self._server_id = server_id
        self._endings = endings
        self._draining = False

    async def tail(
        self,
        namespace: str,
        task_id: str,
        *,
        execution: int,
        cursor: str,
        follow: bool,
        beat: float,
    ) -> AsyncGenerator[tuple[list[LogRecord], str], None]:
        """Lines behind the cursor, chunk by chunk; with `follow` until the task, or the execution
        asked for, has ended.

        With `follow` a chunk comes at once and then at least every `beat` seconds, an empty one if
        nothing was logged: whoever follows a silent task has a cursor from the start. Raises
        `TaskNotFound`, `CursorInvalid`, `CursorExpired`, and `ShuttingDown` when the server drains.
        """
        place = (execution, 0)
        if cursor:
            place = max(place, decode_logs(cursor, self._store.meta.history_id, task_id))
        last = execution or _LAST
        loop = asyncio.get_running_loop()
        speak = loop.time()
        news = self._endings.follow(namespace, task_id)
        try:
            while True:
                news.clear()
                task = await self._store.tasks.get(
                    namespace, task_id, waiting_server=self._server_id if follow else ""
                )
                if cursor and task.spec is None:
                    raise CursorExpired()  # only a stub is left of the task: its log has gone
                chunk: list[LogRecord] = []
                while lines := await self._lines(namespace, task_id, place, last):
                    place = (lines[-1].execution, lines[-1].number)
                    yield lines, self._cursor(task_id, place)
                    chunk = lines
                    speak = loop.time() + beat
                if not follow or _is_over(task, execution):
                    if not chunk:
                        yield [], self._cursor(task_id, place)
                    return
                if loop.time() >= speak:
                    yield [], self._cursor(task_id, place)
                    speak = loop.time() + beat
                await self._wait(news, speak - loop.time())
        finally:
            self._endings.unfollow(namespace, task_id, news)

    async def _lines(
        self, namespace: str, task_id: str, place: tuple[int, int], last: int
    ) -> list[LogRecord]:
        return await self._store.logs.after(
            namespace, task_id, place, last_execution=last, limit=_CHUNK
        )

    async def _wait(self, news: asyncio.Event, seconds: float) -> None:
        if self._draining:
            raise ShuttingDown()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await news.wait()
        if self._draining:
            raise ShuttingDown()

    def _cursor(self, task_id: str, place: tuple[int, int]) -> str:
        return encode_logs(self._store.meta.history_id, task_id, *place)

    def drain(self) -> None:
        """Ends every tail with `ShuttingDown`, at its next look."""
        self._draining = True


def _is_over(task: TaskRecord, execution: int) -> bool:
    """Whether no more lines can come."""
    if task.state.ended:
        return True
    if not execution:
        return False
    return task.executions > execution or (
        task.executions == execution and task.state is not TaskState.RUNNING
    )
