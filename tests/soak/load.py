"""Steady mixed traffic, and what is known to leak: calls and streams that are dropped half-way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import grpc

from penstock import Client, ClientOptions, RetryPolicy, TaskFailed, TaskRequest
from penstock.errors import TryLater
from penstock.v1 import task_service_pb2 as tasks
from penstock.v1 import worker_service_pb2 as workers
from penstock.v1.task_service_pb2_grpc import TaskServiceStub
from penstock.v1.worker_service_pb2_grpc import WorkerServiceStub

HANDLERS: Final = "support.worker_handlers:worker"
BATCH: Final = 20
OPTIONS: Final = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
TWICE: Final = RetryPolicy(max_attempts=2, initial_backoff=timedelta(milliseconds=50))

Act = Callable[[], Awaitable[None]]


class Load:
    """Acts that are repeated at a rate each, until the load is cancelled."""

    def __init__(self, client: Client, channel: Any, address: str) -> None:
        self.done: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._client = client
        self._address = address
        self._tasks: Any = TaskServiceStub(channel)
        self._workers: Any = WorkerServiceStub(channel)

    def acts(self) -> dict[Act, float]:
        """What is done, and how often in a second."""
        return {
            self.submit_batch: 4,
            self.run: 10,
            self.run_in_thread: 5,
            self.run_isolated: 2,
            self.read_a_log: 2,
            self.fail_twice: 1,
            self.cancel_a_task: 2,
            self.drop_a_watch: 10,
            self.drop_a_tail: 2,
            self.drop_a_poll: 10,
            self.drop_an_await: 5,
            self.drop_a_connection: 1,
        }

    async def go(self, factor: float) -> None:
        """Goes on until it is cancelled; `factor` multiplies every rate."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            for act, rate in self.acts().items():
                group.create_task(self._repeat(act, 1 / (rate * factor)))

    async def _repeat(self, act: Act, pause: float) -> None:
        name = act.__name__
        async with asyncio.TaskGroup() as under_way:
            while True:
                under_way.create_task(self._once(name, act))
                await asyncio.sleep(pause)

    async def _once(self, name: str, act: Act) -> None:
        try:
            await act()
        except TryLater:  # refused for being too busy: a load that is too high shows in the table
            self.failed[name] += 1
        else:
            self.done[name] += 1

    async def _follow(self) -> None:
        """One watch for the whole time."""
        async for update in self._client.watch(queues=["default"]):
            self.done["events followed"] += len(update.events)

    # ---- work ----

    async def submit_batch(self) -> None:
        results = await self._client.submit_many(TaskRequest("echo", n) for n in range(BATCH))
        self.done["tasks in batches"] += len(results)

    async def run(self) -> None:
        await self._client.run("echo", {"n": 1})

    async def run_in_thread(self) -> None:
        await self._client.run("echo.thread", "x" * 1000)

    async def run_isolated(self) -> None:
        await self._client.run("echo.isolated", "x" * 1000)

    async def read_a_log(self) -> None:
        task = await self._client.run_task("talk")
        async with aclosing(self._client.tail_logs(task.task_id)) as lines:
            assert [line.text async for line in lines]

    async def fail_twice(self) -> None:
        try:
            await self._client.run("fail", "soak", retry=TWICE)
        except TaskFailed:
            return
        raise AssertionError("a task that fails has not failed")

    async def cancel_a_task(self) -> None:
        task_id = (await self._client.submit("sleep", 30)).task_id
        await asyncio.sleep(0.3)
        await self._client.cancel(task_id)
        await self._client.await_task(task_id)

    # ---- what is dropped half-way ----

    async def drop_a_watch(self) -> None:
        call = self._tasks.WatchTasks(tasks.WatchTasksRequest(queues=["default"]))
        try:
            await call.read()
            await self._begun_read(call)
        finally:
            call.cancel()

    @staticmethod
    async def _begun_read(call: Any) -> None:
        """Gives up a read that has begun, as `asyncio.timeout` round a stream does."""
        reading = asyncio.ensure_future(call.read())
        await asyncio.wait([reading], timeout=0.05)
        reading.cancel()
        await asyncio.wait([reading])

    async def drop_a_tail(self) -> None:
        task_id = (await self._client.submit("sleep", 1)).task_id
        call = self._tasks.TailLogs(tasks.TailLogsRequest(task_id=task_id, follow=True))
        try:
            await self._begun_read(call)
        finally:
            call.cancel()

    async def drop_a_poll(self) -> None:
        request = workers.LeaseTasksRequest(
            poll_seq=1, queues=["nobody"], task_types=["nothing"], max_tasks=1
        )
        request.session.session_id = str(uuid4())
        request.session.slots = 1
        request.wait.FromSeconds(20)
        await self._drop(self._workers.LeaseTasks(request, timeout=30))

    async def drop_an_await(self) -> None:
        task_id = (await self._client.submit("sleep", 1)).task_id
        request = tasks.AwaitTaskRequest(task_id=task_id)
        request.wait.FromSeconds(20)
        await self._drop(self._tasks.AwaitTask(request, timeout=30))

    @staticmethod
    async def _drop(call: Any) -> None:
        await asyncio.sleep(0.05)
        call.cancel()
        try:
            await call
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise

    async def drop_a_connection(self) -> None:
        async with grpc.aio.insecure_channel(self._address, options=OPTIONS) as channel:
            stub: Any = TaskServiceStub(channel)
            await stub.WatchTasks(tasks.WatchTasksRequest(queues=["default"])).read()


async def load_on(address: str) -> AsyncIterator[Load]:
    """A load on the server at an address; closes what it uses."""
    async with (
        Client(ClientOptions(address=address)) as client,
        grpc.aio.insecure_channel(address, options=OPTIONS) as channel,
    ):
        yield Load(client, channel, address)
