"""Follows the log lines of tasks."""

import asyncio
from collections.abc import AsyncIterator
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
    ) -> AsyncIterator[tuple[list[LogRecord], str]]:
        """Lines behind the cursor, chunk by chunk; with `follow` until the task, or the execution
        asked for, has ended.

        An empty chunk comes at least every `beat` seconds. Raises `TaskNotFound`, `CursorInvalid`,
        `CursorExpired`, and `ShuttingDown` when the server drains.
        """
        place = (execution, 0)
        if cursor:
            place = max(place, decode_logs(cursor, self._store.meta.history_id, task_id))
        last = execution or _LAST
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
                if not follow or _is_over(task, execution):
                    if not chunk:
                        yield [], self._cursor(task_id, place)
                    return
                if not await self._wait(news, beat):
                    yield [], self._cursor(task_id, place)
        finally:
            self._endings.unfollow(namespace, task_id, news)

    async def _lines(
        self, namespace: str, task_id: str, place: tuple[int, int], last: int
    ) -> list[LogRecord]:
        return await self._store.logs.after(
            namespace, task_id, place, last_execution=last, limit=_CHUNK
        )

    async def _wait(self, news: asyncio.Event, beat: float) -> bool:
        if self._draining:
            raise ShuttingDown()
        try:
            async with asyncio.timeout(beat):
                await news.wait()
        except TimeoutError:
            return False
        if self._draining:
            raise ShuttingDown()
        return True

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
