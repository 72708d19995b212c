"""Watches and log tails: resumed without gap or repeat, ended when there is nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from penstock.v1 import task_pb2
from support.service import App, Stream, Worker, app_on, kinds_of
from support.stores import StoreProgram


@pytest.fixture
async def app(store: StoreProgram, tmp_path: Path) -> AsyncIterator[App]:
    """A server over each kind of store."""
    async with app_on(store, tmp_path) as app:
        yield app


async def events_of(stream: Stream, count: int) -> tuple[list[Any], str]:
    """So many events or some more, and the cursor behind them."""
    events: list[Any] = []
    cursor = ""
    while len(events) < count:
        answer = await stream.next()
        events += answer.events
        cursor = answer.cursor
    return events, cursor


# ---- watches ------------------------------------------------------------------------------------


async def test_a_watch_tells_what_happens_from_now_on(app: App):
    await app.submit()
    async with app.stream("WatchTasks", queues=["q"]) as watch:
        first = await watch.next()
        assert (list(first.events), bool(first.cursor)) == ([], True)
        await app.submit("elsewhere")
        task_id = await app.submit()
        await app.call("CancelTask", task_id=task_id)

        events, _ = await events_of(watch, 2)

    assert [event.task_id for event in events] == [task_id] * 2
    assert kinds_of(events) == ["SUBMITTED", "CANCELLED"]
    assert events[1].cancel_reason == task_pb2.CANCEL_REASON_REQUESTED
    assert events[0].time.ToMilliseconds() > 0


async def test_a_resumed_watch_has_no_gap_and_no_repeat(app: App):
    queues = [f"q{n}" for n in range(8)]
    async with app.stream("WatchTasks") as watch:
        cursor = (await watch.next()).cursor
    submitted: list[str] = []
    seen: list[str] = []

    async def submit() -> None:
        for n in range(40):
            items = [
                {"spec": {"task_type": "work", "queue": queue}} for queue in queues[: n % 8 + 1]
            ]
            results = (await app.call("SubmitTasks", items=items)).results
            submitted.extend(result.task_id for result in results)

    submitting = asyncio.create_task(submit())
    # Again and again for a moment: most of it from the store, some of it live.
    while not (submitting.done() and len(seen) >= len(submitted)):
        async with app.stream("WatchTasks", cursor=cursor) as watch:
            for _ in range(3):
                answer = await watch.next()
                seen += [event.task_id for event in answer.events]
                cursor = answer.cursor
                if submitting.done() and len(seen) >= len(submitted):
                    break
    await submitting

    assert sorted(seen) == sorted(submitted)
    assert len(seen) == len(set(seen))


async def test_many_watchers_each_see_everything(app: App):
    async def watch(count: int) -> list[str]:
        async with app.stream("WatchTasks", queues=["q"]) as stream:
            await stream.next()
            ready.release()
            return [event.task_id for event in (await events_of(stream, count))[0]]

    ready = asyncio.Semaphore(0)
    watchers = [asyncio.create_task(watch(20)) for _ in range(10)]
    for _ in watchers:
        await ready.acquire()

    ids = [await app.submit() for _ in range(20)]

    assert await asyncio.gather(*watchers) == [ids] * 10


async def test_a_watch_by_id_begins_with_the_tasks_and_ends_with_them(app: App):
    ids = [await app.submit(queue) for queue in ("q1", "q2", "q3")]
    async with app.stream("WatchTasks", task_ids=ids) as watch:
        first = await watch.next()
        assert [task.task_id for task in first.tasks] == ids
        for task_id in ids:
            await app.call("CancelTask", task_id=task_id)

        events = [event for answer in await watch.rest() for event in answer.events]

    assert kinds_of(events) == ["CANCELLED"] * 3


async def test_a_watch_by_id_of_ended_tasks_ends_at_once(app: App):
    task_id = await app.submit()
    await app.call("CancelTask", task_id=task_id)

    async with app.stream("WatchTasks", task_ids=[task_id]) as watch:
        (only,) = await watch.rest()

    assert only.tasks[0].state == task_pb2.TASK_STATE_CANCELLED


async def test_a_watch_by_id_resumed_after_the_end_tells_all_that_was_missed(app: App):
    task_id = await app.submit()
    async with app.stream("WatchTasks", task_ids=[task_id]) as watch:
        cursor = (await watch.next()).cursor
    for n in range(150):  # more than one look at the store takes
        await app.call("UpdateTask", task_id=task_id, spec={"priority": n % 9}, update_mask=MASK)
    await app.call("CancelTask", task_id=task_id)

    async with app.stream("WatchTasks", task_ids=[task_id], cursor=cursor) as watch:
        events = [event for answer in await watch.rest() for event in answer.events]

    assert kinds_of(events) == ["UPDATED"] * 150 + ["CANCELLED"]


MASK = {"paths": ["priority"]}


async def test_a_watch_by_id_resumed_over_a_retry_goes_on(app: App):
    task_id = await app.submit()
    async with app.stream("WatchTasks", task_ids=[task_id]) as watch:
        cursor = (await watch.next()).cursor
    await app.call("CancelTask", task_id=task_id)
    await app.call("RetryTask", task_id=task_id)

    async with app.stream("WatchTasks", task_ids=[task_id], cursor=cursor) as watch:
        events, _ = await events_of(watch, 2)
        await app.call("CancelTask", task_id=task_id)
        events += [event for answer in await watch.rest() for event in answer.events]

    assert kinds_of(events) == ["CANCELLED", "RETRIED", "CANCELLED"]


async def test_a_cursor_of_another_store_is_refused(app: App):
    async with app.stream("WatchTasks") as watch:
        cursor = (await watch.next()).cursor

    other = cursor[:-4] + ("AAAA" if cursor[-4:] != "AAAA" else "BBBB")
    for wrong in (other[:-1], "x" + cursor, "nonsense"):
        async with app.stream("WatchTasks", cursor=wrong) as watch:
            refusal = await watch.refusal()
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "CURSOR_INVALID",
        )


async def test_a_cursor_that_is_too_old_is_refused(app: App, store: StoreProgram):
    from redis.asyncio import Redis

    async with app.stream("WatchTasks") as watch:
        cursor = (await watch.next()).cursor
    for _ in range(3):
        await app.submit()
    async with Redis.from_url(store.url) as redis:
        async for key in redis.scan_iter("*:events"):
            await redis.xtrim(key, maxlen=1, approximate=False)

    async with app.stream("WatchTasks", cursor=cursor) as watch:
        refusal = await watch.refusal()

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "CURSOR_EXPIRED",
    )


# ---- logs ---------------------------------------------------------------------------------------


def texts(answers: list[Any]) -> list[str]:
    return [line.text for answer in answers for line in answer.lines]


def lines(*numbers: int) -> list[dict[str, Any]]:
    return [{"number": n, "text": f"line {n}", "stream": "LOG_STREAM_STDOUT"} for n in numbers]


async def test_a_followed_log_comes_line_by_line_and_ends_with_the_task(app: App):
    task_id = await app.submit()
    worker = Worker(app)
    lease = await worker.lease()
    await worker.report(lease, log_lines=lines(1))
    async with app.stream("TailLogs", task_id=task_id, follow=True) as tail:
        found = texts([await tail.next()])
        await worker.report(lease, log_lines=lines(1, 2))
        found += texts([await tail.next()])
        await worker.report(lease, complete={}, log_lines=lines(3))
        found += texts(await tail.rest())

    assert found == ["line 1", "line 2", "line 3"]


async def test_a_log_is_resumed_at_its_cursor(app: App):
    task_id = await app.submit()
    worker = Worker(app)
    lease = await worker.lease()
    await worker.report(lease, log_lines=lines(1, 2))
    async with app.stream("TailLogs", task_id=task_id) as tail:
        (answer,) = await tail.rest()
    await worker.report(lease, log_lines=lines(3), release={"reason": 1})
    await worker.report(await worker.lease(), log_lines=lines(1))

    async with app.stream("TailLogs", task_id=task_id, cursor=answer.cursor) as tail:
        rest = await tail.rest()
    async with app.stream("TailLogs", task_id=task_id, cursor=answer.cursor, execution=2) as tail:
        second = await tail.rest()
    async with app.stream("TailLogs", task_id=task_id, execution=1) as tail:
        first = await tail.rest()

    found = [(line.execution, line.number) for answer in rest for line in answer.lines]
    assert found == [(1, 3), (2, 1)]
    assert [(line.execution, line.number) for a in second for line in a.lines] == [(2, 1)]
    assert texts(first) == ["line 1", "line 2", "line 3"]


async def test_a_long_log_comes_whole(app: App):
    task_id = await app.submit()
    worker = Worker(app)
    lease = await worker.lease()
    for start in (1, 701):
        await worker.report(lease, log_lines=lines(*range(start, start + 700)))

    async with app.stream("TailLogs", task_id=task_id) as tail:
        found = texts(await tail.rest())

    assert found == [f"line {n}" for n in range(1, 1_401)]


async def test_an_unknown_log_is_refused(app: App):
    async with app.stream("TailLogs", task_id="0" * 26) as tail:
        assert (await tail.refusal()).reason == "TASK_NOT_FOUND"
