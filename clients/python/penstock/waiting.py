"""Waits for the end of a task, however long it takes.

One call waits for at most a minute and is then made again, so a wait outlives servers, proxies and
connections; it gives up when no server has answered for the options' `stream_patience`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from penstock.errors import DeadlineExceeded, PenstockError, TaskNotEnded, TryLater
from penstock.task import Task
from penstock.transport import Transport
from penstock.v1 import task_pb2
from penstock.v1.task_service_pb2 import AwaitTaskRequest, RunTaskRequest

LONGEST_WAIT: Final = timedelta(minutes=1)
# What a call may take beyond its wait, for the way there and back.
MARGIN: Final = timedelta(seconds=10)

_Ask = Callable[[timedelta], Awaitable[task_pb2.Task]]


class Waiter:
    """One wait for one task; its time runs from now."""

    def __init__(self, transport: Transport, timeout: timedelta | None) -> None:
        self._transport = transport
        self._timeout = timeout
        self._began = transport.clock()

    async def run(self, request: RunTaskRequest) -> Task:
        """Submits a task and waits for its end."""

        async def ask(wait: timedelta) -> task_pb2.Task:
            request.wait.FromTimedelta(wait)
            method = self._transport.tasks.RunTask
            return (await self._transport.call(method, request, timeout=wait + MARGIN)).task

        # Only until it has answered once: a request id is not remembered for as long as a task may
        # take.
        task = await self._answer(ask, "(not known yet)")
        return task if task.ended else await self.until_ended(task.task_id, task)

    async def until_ended(self, task_id: str, task: Task | None = None) -> Task:
        """Waits for the end of a task. Raises TaskNotEnded when the time is over."""
        request = AwaitTaskRequest(namespace=self._transport.options.namespace, task_id=task_id)

        async def ask(wait: timedelta) -> task_pb2.Task:
            request.wait.FromTimedelta(wait)
            method = self._transport.tasks.AwaitTask
            return (await self._transport.call(method, request, timeout=wait + MARGIN)).task

        while task is None or not task.ended:
            if task is not None and self._left() <= timedelta(0):
                raise TaskNotEnded(task_id, task)
            task = await self._answer(ask, task_id)
        return task

    async def _answer(self, ask: _Ask, task_id: str) -> Task:
        """Asks until a server answers."""
        patience = self._transport.options.stream_patience.total_seconds()
        heard, repeat = self._transport.clock(), 0
        while True:
            try:
                return Task(await ask(max(timedelta(0), min(LONGEST_WAIT, self._left()))))
            except (TryLater, DeadlineExceeded) as error:
                wait = self._transport.backoff.seconds(repeat, error.retry_delay)
                self._check_goes_on(error, task_id, wait)
                if self._transport.clock() + wait > heard + patience:
                    raise
            await self._transport.sleep(wait)
            repeat += 1

    def _check_goes_on(self, error: PenstockError, task_id: str, wait: float) -> None:
        if self._left() <= timedelta(seconds=wait):
            raise TaskNotEnded(task_id) from error

    def _left(self) -> timedelta:
        """Time left; longer than any wait if there is no bound."""
        if self._timeout is None:
            return LONGEST_WAIT * 2
        return self._timeout - timedelta(seconds=self._transport.clock() - self._began)
