"""The blocking client over a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import grpc
import pytest

from penstock import BlockingClient, TaskRequest
from penstock.errors import ClientClosed, TaskNotFound
from penstock.v1.task_service_pb2 import WatchTasksResponse
from support.scripted_server import Refusal, take, unavailable

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    return await asyncio.to_thread(function, *arguments)


async def test_threads_share_one_client_and_their_submits_share_calls(server):
    server.unary["SubmitTasks"] = take

    def submit(client: BlockingClient, number: int) -> str:
        return client.submit("t", str(number).encode()).task_id

    def produce() -> list[str]:
        with BlockingClient(server.options()) as client, ThreadPoolExecutor(16) as pool:
            return list(pool.map(partial(submit, client), range(200)))

    assert await in_thread(produce) == [f"id-t-{number}" for number in range(200)]
    assert len(server.requests) <= 200


async def test_it_works_in_a_thread_whose_own_loop_runs(server):
    server.unary["SubmitTasks"] = take

    async def blocks_its_own_loop() -> str:
        with BlockingClient(server.options()) as client:
            return client.submit("t", b"1").task_id

    assert await in_thread(asyncio.run, blocks_its_own_loop()) == "id-t-1"


async def test_many_tasks_are_taken_from_a_generator(server):
    server.unary["SubmitTasks"] = take

    def produce() -> list[str]:
        with BlockingClient(server.options()) as client:
            requests = (TaskRequest("t", str(n).encode()) for n in range(1_200))
            return [result.unwrap() for result in client.submit_many(requests)]

    assert await in_thread(produce) == [f"id-t-{n}" for n in range(1_200)]


async def test_a_watch_is_an_iterator_that_resumes_and_ends_its_call_when_dropped(server):
    async def endless(request):
        start = int(request.cursor or 0)
        for number in range(start + 1, start + 1_000_000):
            answer = WatchTasksResponse(cursor=str(number))
            answer.events.add(task_id="t", sequence=number)
            yield answer
            if number == 3:
                raise unavailable()

    server.streams["WatchTasks"] = endless

    def follow() -> list[int]:
        seen: list[int] = []
        with BlockingClient(server.options()) as client:
            for update in client.watch():
                seen += [event.sequence for event in update.events]
                if len(seen) == 10:
                    return seen
        return seen

    assert await in_thread(follow) == list(range(1, 11))
    await asyncio.wait_for(server.stream_closed.wait(), 5)


async def test_close_ends_the_thread_and_calls_under_way(server):
    async def never(request):
        await asyncio.Event().wait()

    server.unary["GetTask"] = never
    client = BlockingClient(server.options())
    call = asyncio.create_task(in_thread(client.get, "t"))
    await server.called.wait()

    await in_thread(client.close)

    with pytest.raises(ClientClosed):
        await call
    with pytest.raises(ClientClosed):
        client.get("t")
    assert client._thread._thread not in threading.enumerate()
    client.close()


async def test_an_error_comes_through_as_it_is(server):
    async def gone(request):
        raise Refusal(grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND", "no task t", task_id="t")

    server.unary["GetTask"] = gone

    def ask() -> None:
        with BlockingClient(server.options()) as client:
            client.get("t")

    with pytest.raises(TaskNotFound, match="no task t") as raised:
        await in_thread(ask)
    assert raised.value.facts == {"task_id": "t"}


def test_a_blocking_call_in_the_clients_own_thread_is_refused():
    with BlockingClient() as client:

        def requests() -> Iterator[TaskRequest]:
            client.get("t")
            yield TaskRequest("t")

        with pytest.raises(RuntimeError, match="would wait for itself"):
            client.submit_many(requests())
