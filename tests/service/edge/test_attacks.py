"""Callers that take too much or too little: many streams, slow readers, large metadata."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import psutil
import pytest

from penstock import Client, ClientOptions, TaskRequest
from penstock.v1 import task_service_pb2 as pb
from penstock.v1.task_pb2 import TaskSpec
from penstock.v1.task_service_pb2_grpc import TaskServiceStub
from support.server_process import ServerProcess, server_process
from support.wire import refusal_in

pytestmark = pytest.mark.slow

MIB: Final = 1024 * 1024
OPTIONS: Final = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
STREAMS: Final = 8
SLOW: Final = 20
TASKS: Final = 60_000
WITHIN: Final = 45.0


@asynccontextmanager
async def stub_of(server: ServerProcess) -> AsyncIterator[Any]:
    """A connection of its own."""
    async with grpc.aio.insecure_channel(server.address, options=OPTIONS) as channel:
        yield TaskServiceStub(channel)


async def opened(stub: Any) -> Any:
    call = stub.WatchTasks(pb.WatchTasksRequest())
    assert (await call.read()).cursor
    return call


async def test_more_streams_than_one_caller_may_have_are_refused_typed(tmp_path: Path) -> None:
    bound = ("--set", f"limits.streams_per_principal={STREAMS}")
    async with server_process(tmp_path, *bound) as server, stub_of(server) as stub:
        calls = [await opened(stub) for _ in range(STREAMS)]

        refused = await asyncio.gather(*(opened(stub) for _ in range(50)), return_exceptions=True)
        taken = await stub.SubmitTask(pb.SubmitTaskRequest(spec=TaskSpec(task_type="t")))
        for call in calls:
            call.cancel()
        async with asyncio.timeout(WITHIN):
            while isinstance(again := await attempt(stub), grpc.aio.AioRpcError):
                assert refusal_in(again).reason == "OVERLOADED"

    refusals = [refusal_in(error) for error in refused]
    assert {(each.code, each.reason) for each in refusals} == {
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    }
    assert all(each.has_retry_delay for each in refusals), "so clients wait before they try again"
    assert taken.task.task_id


async def attempt(stub: Any) -> Any:
    try:
        return await opened(stub)
    except grpc.aio.AioRpcError as error:
        return error


async def test_readers_that_do_not_read_cost_little_and_lose_nothing(tmp_path: Path) -> None:
    async with (
        server_process(tmp_path) as server,
        Client(ClientOptions(address=server.address)) as client,
        AsyncExitStack() as stack,
    ):
        process = psutil.Process(server.pid)
        slow = [await opened(await stack.enter_async_context(stub_of(server))) for _ in range(SLOW)]
        quick = asyncio.create_task(
            count(await opened(await stack.enter_async_context(stub_of(server))))
        )
        before = process.memory_info().rss

        for _ in range(TASKS // 500):
            await client.submit_many(TaskRequest("t", n) for n in range(500))
        async with asyncio.timeout(WITHIN):
            seen = await quick
        grown = process.memory_info().rss - before
        async with asyncio.timeout(WITHIN):
            late = await count(slow[0])
        for call in slow:
            call.cancel()

    assert seen == late == TASKS
    assert grown < 100 * MIB


async def count(call: Any) -> int:
    """Reads a watch until it has told of every task."""
    number = 0
    while number < TASKS:
        response = await call.read()
        assert response.ByteSize() < 4 * MIB, "more than stock clients take"
        number += len(response.events)
    return number


async def test_a_watch_from_long_ago_comes_in_answers_that_stock_clients_take(
    tmp_path: Path,
) -> None:
    async with (
        server_process(tmp_path) as server,
        Client(ClientOptions(address=server.address)) as client,
        stub_of(server) as stub,
    ):
        call = stub.WatchTasks(pb.WatchTasksRequest(queues=["rare"]))
        cursor = (await call.read()).cursor
        call.cancel()
        for _ in range(TASKS // 500):
            await client.submit_many(TaskRequest("t", n) for n in range(500))
        task = await client.submit("t", queue="rare")

        # Nothing else happens, so nothing but what is there already can lead to it.
        call = stub.WatchTasks(pb.WatchTasksRequest(queues=["rare"], cursor=cursor))
        async with asyncio.timeout(5):
            while not (events := (await call.read()).events):
                pass
        call.cancel()

    assert [event.task_id for event in events] == [task.task_id]


@pytest.mark.parametrize("size", [40_000, 4_000_000])
async def test_metadata_beyond_its_bound_is_refused_and_hurts_nobody_else(
    tmp_path: Path, size: int
) -> None:
    request = pb.SubmitTaskRequest(spec=TaskSpec(task_type="t"))
    async with server_process(tmp_path) as server, stub_of(server) as stub:
        async with stub_of(server) as attacker:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await attacker.SubmitTask(request, metadata=(("x-large", "x" * size),), timeout=20)
        taken = await stub.SubmitTask(request)

    assert refused.value.code() in (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
    )
    assert taken.task.task_id
