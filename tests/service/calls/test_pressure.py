"""A store that is too full: leasing stops with a visible reason, and goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from penstock.v1 import queue_pb2
from support.service import App, Worker
from support.stores import StoreProgram


@pytest.fixture
async def redis(plain_program: StoreProgram) -> AsyncIterator[Any]:
    client = Redis.from_url(plain_program.url)
    yield client
    await client.config_set("maxmemory", 0)
    await client.aclose()


async def fill(redis: Any, percent: int) -> None:
    """Makes the store as full as that, by its bound."""
    used = (await redis.info("memory"))["used_memory"]
    await redis.config_set("maxmemory", used * 100 // percent)


async def queue_once(app: App, health: int) -> Any:
    """The usual queue, once its health is that."""
    while True:
        queue = (await app.call("GetQueue", queue="q")).queue
        if queue.health == health:
            return queue
        await asyncio.sleep(0.05)


async def test_leasing_stops_when_the_store_is_too_full_and_reports_are_taken(app: App, redis: Any):
    worker = Worker(app)
    running = await app.submit()
    (lease,) = (await worker.poll()).leases
    await app.submit()

    await fill(redis, 150)
    queue = await queue_once(app, queue_pb2.QUEUE_HEALTH_STOPPED)
    leased = (await worker.poll(wait=1)).leases
    reported = await worker.report(lease, complete={})
    task = (await app.call("GetTask", task_id=running)).task

    assert "maxmemory" in queue.health_reason
    assert not leased
    assert not reported.HasField("error")
    assert task.HasField("end_time")


async def test_leasing_goes_on_by_itself_for_a_poll_that_waits(app: App, redis: Any):
    worker = Worker(app)
    await app.submit()
    await fill(redis, 150)
    await queue_once(app, queue_pb2.QUEUE_HEALTH_STOPPED)
    waiting = worker.poll(wait=20)

    await redis.config_set("maxmemory", 0)

    assert len((await waiting).leases) == 1
    await queue_once(app, queue_pb2.QUEUE_HEALTH_HEALTHY)


async def test_a_store_that_is_just_full_refuses_tasks_and_hands_them_out(app: App, redis: Any):
    worker = Worker(app)
    await app.submit()
    await fill(redis, 102)

    refusal = await app.refusal("SubmitTask", spec={"task_type": "work", "queue": "q"})

    assert refusal.reason == "STORE_FULL"
    assert len((await worker.poll(wait=5)).leases) == 1


async def test_a_session_is_told_what_it_must_do_while_leasing_is_stopped(app: App, redis: Any):
    worker = Worker(app)
    task_id = await app.submit()
    (lease,) = (await worker.poll()).leases
    await worker.report(lease, accept={})
    await fill(redis, 150)
    waiting = worker.poll(wait=20)

    await app.call("CancelTask", task_id=task_id)

    (directive,) = (await waiting).directives
    assert directive.WhichOneof("directive") == "cancel"
