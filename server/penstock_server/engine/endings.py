"""Waits for the ends of tasks, and for their new log lines.

The store tells this server about tasks that it asked for; what is told is only a hint to read
again, many tasks in one call. Once a second everything that waits is read again, in case a hint was
lost.
"""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

from penstock_server.model.errors import ShuttingDown, TaskNotFound
from penstock_server.model.records import TaskRecord
from penstock_server.store.store import Store

from .background import Background

_Name = tuple[str, str]
_T = TypeVar("_T")


class Endings:
    """Everybody in this process who waits for a task."""

    def __init__(self, store: Store, server_id: str, background: Background) -> None:
        self._store = store
        self._server_id = server_id
        self._background = background
        self._awaited: dict[_Name, list[asyncio.Future[TaskRecord]]] = {}
        self._followed: dict[_Name, list[asyncio.Event]] = {}
        self._told: set[_Name] = set()
        self._reading = False
        self._draining = False

    async def wait(
        self, namespace: str, task_id: str, wait: timedelta, *, registered: bool = False
    ) -> TaskRecord:
        """The task once it has ended, or as it is when `wait` is over.

        `registered`: the store was asked to tell this server already, by the submit itself. Raises
        `TaskNotFound`, and `ShuttingDown` when the server drains.
        """
        if self._draining:
            raise ShuttingDown()
        name = (namespace, task_id)
        future: asyncio.Future[TaskRecord] = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(name, []).append(future)
        try:
            if not registered:
                task = await self._store.tasks.get(
                    namespace, task_id, waiting_server=self._server_id
                )
                if task.state.ended or not wait:
                    return task
            try:
                async with asyncio.timeout(wait.total_seconds()):
                    return await future
            except TimeoutError:
                return await self._store.tasks.get(namespace, task_id)
        finally:
            _remove(self._awaited, name, future)

    def follow(self, namespace: str, task_id: str) -> asyncio.Event:
        """An event that is set whenever the task has ended or logged.

        To be handed back to `unfollow`.
        """
        event = asyncio.Event()
        self._followed.setdefault((namespace, task_id), []).append(event)
        return event

    def unfollow(self, namespace: str, task_id: str, event: asyncio.Event) -> None:
        """Stops following."""
        _remove(self._followed, (namespace, task_id), event)

    @property
    def is_awaited(self) -> bool:
        """Whether anybody waits for any task at all."""
        return bool(self._awaited or self._followed)

    def awaited(self, namespace: str, task_ids: Iterable[str]) -> set[str]:
        """Those of the tasks whose end somebody in this process waits for."""
        if not self._awaited:
            return set()
        return {task_id for task_id in task_ids if (namespace, task_id) in self._awaited}

    def settle(self, task: TaskRecord) -> None:
        """Answers those who wait for a task that has ended."""
        for future in self._awaited.pop((task.namespace, task.task_id), ()):
            _settle(future, task.namespace, task.task_id, task)

    def on_task(self, namespace: str, task_id: str) -> None:
        """The store tells that a task has ended or logged."""
        name = (namespace, task_id)
        for event in self._followed.get(name, ()):
            event.set()
        if name in self._awaited:
            self._told.add(name)
            self._read_soon()

    def look_again(self) -> None:
        """Reads everything that is awaited: notes from the store may have been lost."""
        for events in self._followed.values():
            for event in events:
                event.set()
        if self._awaited:
            self._told.update(self._awaited)
            self._read_soon()

    def _read_soon(self) -> None:
        if not self._reading:
            self._reading = True
            self._background.spawn(self._read())

    async def _read(self) -> None:
        try:
            while self._told:
                told, self._told = self._told, set()
                for namespace, task_ids in _by_namespace(told).items():
                    await self._read_some(namespace, task_ids)
        finally:
            self._reading = False

    async def _read_some(self, namespace: str, task_ids: list[str]) -> None:
        tasks = await self._store.tasks.read(namespace, task_ids, waiting_server=self._server_id)
        for task_id, task in zip(task_ids, tasks, strict=True):
            if task is None or task.state.ended:
                for future in self._awaited.get((namespace, task_id), ()):
                    _settle(future, namespace, task_id, task)

    def drain(self) -> None:
        """Ends every wait with `ShuttingDown`, and every later one too."""
        self._draining = True
        for futures in self._awaited.values():
            for future in futures:
                if not future.done():
                    future.set_exception(ShuttingDown())
        self.look_again()


def _settle(
    future: asyncio.Future[TaskRecord], namespace: str, task_id: str, task: TaskRecord | None
) -> None:
    if future.done():
        return
    if task is None:
        future.set_exception(TaskNotFound(namespace=namespace, task_id=task_id))
    else:
        future.set_result(task)


def _by_namespace(names: Iterable[_Name]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for namespace, task_id in names:
        grouped.setdefault(namespace, []).append(task_id)
    return grouped


def _remove(waiting: dict[_Name, list[_T]], name: _Name, item: _T) -> None:
    items = waiting.get(name, [])
    if item in items:
        items.remove(item)
    if not items:
        waiting.pop(name, None)
