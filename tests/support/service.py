"""A whole server within the test's own event loop, on a port that the system chooses, and callers
of it with nothing between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import grpc
from google.protobuf.message_factory import GetMessageClass

from penstock.v1.event_pb2 import TaskEventKind
from penstock_server.app import Ready, Stop, serve
from penstock_server.config import load_config
from support.stores import StoreProgram
from support.validators import METHODS, request_type
from support.wire import PATIENCE, Refusal, path_of, refusal_in

TYPE: Final = "work"


class App:
    """One server that serves."""

    def __init__(self, ready: Ready, stop: Stop) -> None:
        self.address = ready.address
        self.stop = stop
        self._channel: Any = grpc.aio.insecure_channel(
            ready.address,
            options=[("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)],
        )

    async def call(self, method: str, **fields: Any) -> Any:
        """The answer to a request. `patience` is its deadline in seconds. Raises
        grpc.aio.AioRpcError.
        """
        patience = fields.pop("patience", PATIENCE)
        answer = GetMessageClass(METHODS[method].output_type)
        call = self._channel.unary_unary(
            path_of(method),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return await call(request_type(method)(**fields), timeout=patience)

    async def refusal(self, method: str, **fields: Any) -> Refusal:
        """Why a request is refused. Fails if it is not."""
        try:
            answer = await self.call(method, **fields)
        except grpc.aio.AioRpcError as error:
            return refusal_in(error)
        raise AssertionError(f"{method} was not refused: {answer}")

    async def until_taken(self, method: str, **fields: Any) -> Any:
        """The answer to a request, which is repeated for as long as it is refused."""
        while True:
            try:
                return await self.call(method, **fields)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.05)

    def stream(self, method: str, *, patience: float = PATIENCE, **fields: Any) -> Stream:
        """The answers of a stream."""
        answer = GetMessageClass(METHODS[method].output_type)
        call = self._channel.unary_stream(
            path_of(method),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return Stream(call(request_type(method)(**fields), timeout=patience))

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close(None)

    # ---- short ways -----------------------------------------------------------------------------

    async def submit(self, queue: str = "q", **fields: Any) -> str:
        """Submits a task and gives its id."""
        spec = {"task_type": TYPE, "queue": queue, **fields}
        task = (await self.call("SubmitTask", spec=spec)).task
        return str(task.task_id)

    async def task(self, task_id: str) -> Any:
        """The task as it is."""
        return (await self.call("GetTask", task_id=task_id)).task


class Stream:
    """A stream under way, closed when the block is left."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._call.cancel()

    async def next(self) -> Any:
        """The next answer; None at the end."""
        return await anext(aiter(self._call), None)

    async def rest(self) -> list[Any]:
        """All answers up to the end."""
        return [answer async for answer in self._call]

    async def refusal(self) -> Refusal:
        """Why the stream ends, whatever comes before."""
        try:
            await self.rest()
        except grpc.aio.AioRpcError as error:
            return refusal_in(error)
        raise AssertionError("the stream ended well")


class Worker:
    """A worker session by hand."""

    def __init__(self, app: App, *, queues: tuple[str, ...] = ("q",)) -> None:
        self.app = app
        self.session_id = uuid4().hex
        self.queues = queues
        self._polls = 0

    def poll(self, slots: int = 1, *, wait: float = 10, **fields: Any) -> asyncio.Task[Any]:
        """Polls; the answer comes with the task."""
        self._polls += 1
        request: dict[str, Any] = {
            "session": {"session_id": self.session_id, "slots": 10},
            "poll_seq": self._polls,
            "queues": self.queues,
            "task_types": [TYPE],
            "max_tasks": slots,
            "wait": {"seconds": int(wait), "nanos": int(wait % 1 * 1e9)},
        }
        return asyncio.create_task(self.app.call("LeaseTasks", **(request | fields)))

    async def lease(self, **fields: Any) -> Any:
        """Leases the next task and accepts it."""
        (lease,) = (await self.poll(**fields)).leases
        await self.report(lease, accept={})
        return lease

    async def report(self, lease: Any, **report: Any) -> Any:
        """Reports on one lease, and gives the answer to it."""
        answer = await self.app.call(
            "ReportExecutions",
            session_id=self.session_id,
            items=[{"lease_token": lease.lease_token, **report}],
        )
        return answer.results[0]


@asynccontextmanager
async def app_on(program: StoreProgram, folder: Path, **settings: str) -> AsyncIterator[App]:
    """A server over a store program. Settings as on the command line, `_` for the first dot."""
    flags = {
        "listen": "127.0.0.1:0",
        "metrics": "off",
        "store.url": program.url,
        "store.partitions": str(program.kind.partitions),
        "drain.grace": "1s",
        **{name.replace("__", "."): value for name, value in settings.items()},
    }
    config = load_config(flags=flags, environ={}, folder=folder)
    stop, ready = Stop(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(config, stop=stop, on_ready=ready.set_result))
    await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    app = App(ready.result(), stop)
    try:
        yield app
    finally:
        await app.close()
        stop.ask()
        stop.ask()
        await serving


def kinds_of(events: list[Any]) -> list[str]:
    """Names of the kinds of some events."""
    return [TaskEventKind.Name(event.kind).removeprefix("TASK_EVENT_KIND_") for event in events]
