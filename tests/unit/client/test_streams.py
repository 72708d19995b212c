"""Watches and log tails: resumed at their cursor, and always closed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta

import grpc
import pytest

from penstock import Client
from penstock.errors import ClientClosed, CursorExpired, ShuttingDown
from penstock.v1.task_service_pb2 import TailLogsResponse, WatchTasksResponse
from support.scripted_server import Refusal, ScriptedServer, unavailable

EVENTS = 30


def answer_of(cursor: int, events: range) -> WatchTasksResponse:
    answer = WatchTasksResponse(cursor=str(cursor))
    for number in events:
        answer.events.add(task_id="t", sequence=number)
    return answer


async def breaks_after_each_third(request):
    """Begins at the cursor, and breaks again and again."""
    at = int(request.cursor or 0)
    yield WatchTasksResponse(cursor=str(at))
    for cursor in range(at + 1, EVENTS + 1):
        yield answer_of(cursor, range(cursor, cursor + 1))
        if cursor % 3 == 0 and cursor < EVENTS:
            raise unavailable()


async def test_a_watch_goes_on_at_its_cursor_without_gap_or_repeat(client, server):
    server.streams["WatchTasks"] = breaks_after_each_third

    updates = [update async for update in client.watch(queues=["q"])]

    seen = [event.sequence for update in updates for event in update.events]
    assert seen == list(range(1, EVENTS + 1))
    assert len(server.requests) == EVENTS // 3
    assert all(list(request.queues) == ["q"] for request in server.requests)


async def test_the_first_update_says_that_the_watch_has_begun_and_silence_is_left_out(
    client, server
):
    async def answers(request):
        yield WatchTasksResponse(cursor="a")
        yield WatchTasksResponse(cursor="b")
        yield answer_of(3, range(1, 2))

    server.streams["WatchTasks"] = answers

    updates = [update async for update in client.watch()]

    assert [(update.cursor, len(update.events)) for update in updates] == [("a", 0), ("3", 1)]


async def test_a_watch_outlives_the_server_process(server):
    first_gone = asyncio.Event()

    async def until_killed(request):
        yield answer_of(1, range(1, 2))
        await asyncio.Event().wait()

    async def after(request):
        yield answer_of(2, range(int(request.cursor) + 1, 3))

    server.streams["WatchTasks"] = until_killed
    async with Client(server.options()) as client:
        updates = client.watch()
        async with aclosing(updates):
            first = await anext(updates)
            await server.stop()
            first_gone.set()
            async with ScriptedServer(server.address) as again:
                again.streams["WatchTasks"] = after
                second = await anext(updates)

    assert [event.sequence for event in first.events + second.events] == [1, 2]


async def test_an_expired_cursor_is_raised(client, server):
    async def expired(request):
        raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, "CURSOR_EXPIRED")
        yield

    server.streams["WatchTasks"] = expired

    with pytest.raises(CursorExpired):
        await anext(client.watch(cursor="old"))


async def test_a_watch_gives_up_when_nobody_answers_for_long(server):
    async def down(request):
        raise unavailable()
        yield

    server.streams["WatchTasks"] = down
    options = server.options(stream_patience=timedelta(milliseconds=50))

    async with Client(options) as client:
        with pytest.raises(ShuttingDown):
            await anext(client.watch())

    assert len(server.requests) > 1


async def endless(request):
    for number in range(1, 1_000_000):
        yield answer_of(number, range(number, number + 1))
        await asyncio.sleep(0.001)


async def test_leaving_a_watch_ends_the_call(client, server):
    server.streams["WatchTasks"] = endless

    async for update in client.watch():
        if update.events:
            break

    await asyncio.wait_for(server.stream_closed.wait(), 5)
    assert server.open_streams == 0


async def test_a_cancelled_watcher_is_cancelled_and_ends_the_call(client, server):
    server.streams["WatchTasks"] = endless

    async def follow() -> None:
        async for _ in client.watch():
            pass

    watcher = asyncio.create_task(follow())
    await server.called.wait()
    watcher.cancel()

    with pytest.raises(asyncio.CancelledError):
        await watcher
    await asyncio.wait_for(server.stream_closed.wait(), 5)


async def test_closing_the_client_ends_a_watch_with_client_closed(server):
    async def silent(request):
        yield WatchTasksResponse(cursor="a")
        await asyncio.Event().wait()

    server.streams["WatchTasks"] = silent
    client = Client(server.options())
    updates = client.watch()
    await anext(updates)
    waiting = asyncio.create_task(anext(updates))
    await asyncio.sleep(0)

    await client.close()

    with pytest.raises(ClientClosed):
        await waiting


async def test_log_lines_come_in_order_across_a_break(client, server):
    async def lines(request):
        start = int(request.cursor or 0)
        for number in range(start + 1, 11):
            answer = TailLogsResponse(cursor=str(number))
            answer.lines.add(execution=1, number=number, text=f"line {number}")
            yield answer
            if number == 5:
                raise unavailable()

    server.streams["TailLogs"] = lines

    texts = [line.text async for line in client.tail_logs("t", follow=True)]

    assert texts == [f"line {number}" for number in range(1, 11)]
    assert [request.cursor for request in server.requests] == ["", "5"]
    assert all(request.follow for request in server.requests)
