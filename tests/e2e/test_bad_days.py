"""What becomes of tasks on bad days, as `docs/concepts/bad-days.md` writes it down."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from robustness.parts import TESTS, ServerNode, StoreNode

from penstock import (
    Client,
    ClientOptions,
    ExecutionOutcome,
    RetryPolicy,
    TaskState,
    Timeouts,
)
from penstock.enums import CancelReason, ReleaseReason
from penstock.v1 import queue_pb2
from penstock.v1.queue_service_pb2 import GetQueueRequest
from penstock.v1.queue_service_pb2_grpc import QueueServiceStub
from support.lossy import every_second_answer_lost
from support.running_worker import eventually
from support.worker_process import worker_process

TERM = 5.0
"""Of a lease, seconds: the shortest there is."""
SHORT = ("lease.term=5s", "lease.accept_within=3s", "retention.events_age=1d")
HANDLERS = "support.bad_day_handlers:worker"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Site:
    """A store and a server, each of which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        data = folder / "store"
        data.mkdir()
        self.store = StoreNode(folder, data, "always")
        self.server = ServerNode("server", folder, f"unix://{self.store.socket}", SHORT)

    @property
    def address(self) -> str:
        assert self.server.address is not None
        host, port = self.server.address
        return f"{host}:{port}"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    await made.store.start()
    await made.server.start()
    yield made
    await made.server.end()
    await made.store.end()


@asynccontextmanager
async def client_of(address: str) -> AsyncIterator[Client]:
    async with Client(ClientOptions(address=address, timeout=timedelta(seconds=60))) as client:
        yield client


async def worker_to_its_end(address: str) -> int:
    """Runs a worker in inline mode until it ends, and gives its exit status."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penstock.cli", "worker", HANDLERS, "--inline"),
        cwd=TESTS,
        env={**os.environ, "PENSTOCK_ADDRESS": address},
        stdin=asyncio.subprocess.DEVNULL,
    )
    return await process.wait()


async def the_queue(stub: Any) -> queue_pb2.Queue:
    """The usual queue, as it is now."""
    answer = await stub.GetQueue(GetQueueRequest(queue="default"))
    queue: queue_pb2.Queue = answer.queue
    return queue


async def unserved(stub: Any) -> queue_pb2.Queue:
    """The usual queue, once it is seen to be unserved."""
    while True:
        queue = await the_queue(stub)
        if queue.health == queue_pb2.QUEUE_HEALTH_UNSERVED:
            return queue
        await asyncio.sleep(0.1)


async def test_a_task_that_kills_its_worker_in_its_first_second_becomes_a_dead_letter(
    site: Site,
):
    async with client_of(site.address) as client:
        task_id = (await client.submit("kill.worker", retry=RetryPolicy(max_crashes=2))).task_id
        for _ in range(3):  # somebody's supervisor starts it again and again
            assert await worker_to_its_end(site.address) == -signal.SIGKILL
        task = await client.await_task(task_id)
        executions = [execution async for execution in client.executions(task_id)]

    assert task.state is TaskState.FAILED
    assert (task.crash_count, task.attempt) == (3, 0)
    assert [execution.outcome for execution in executions] == [ExecutionOutcome.LOST] * 3


async def test_a_type_that_nobody_serves_is_seen_on_its_queue_and_expires_if_it_may(
    site: Site, tmp_path: Path
):
    async with (
        client_of(site.address) as client,
        worker_process(site.address, HANDLERS, tmp_path),
        grpc.aio.insecure_channel(site.address) as channel,
    ):
        waits = (await client.submit("nobody.serves.this")).task_id
        patience = Timeouts(schedule_to_start=timedelta(seconds=1))
        hurries = (await client.submit("nobody.serves.this", timeouts=patience)).task_id
        queue = await unserved(QueueServiceStub(channel))
        expired = await client.await_task(hurries)
        waiting = await client.get(waits)

    assert "nobody.serves.this" in queue.health_reason
    assert (expired.state, expired.cancel_reason) == (TaskState.CANCELLED, CancelReason.EXPIRED)
    assert waiting.state is TaskState.READY


async def test_an_answer_of_five_mebibytes_fails_the_task_at_once_and_says_why(
    site: Site, tmp_path: Path
):
    async with client_of(site.address) as client, worker_process(site.address, HANDLERS, tmp_path):
        task_id = (
            await client.submit("answer", 5 << 20, retry=RetryPolicy(max_attempts=5))
        ).task_id
        task = await client.await_task(task_id)
        after = await client.run("answer", 10)

    assert task.state is TaskState.FAILED
    assert task.attempt == 1, "it would be as large the next time"
    assert task.failure is not None
    assert "bytes" in task.failure.message
    assert after == "x" * 10


async def test_a_store_that_is_away_for_longer_than_a_lease_costs_no_crash_and_no_attempt(
    site: Site, tmp_path: Path
):
    async with client_of(site.address) as client, worker_process(site.address, HANDLERS, tmp_path):
        task_id = (await client.submit("once.for.ever", retry=RetryPolicy(max_attempts=1))).task_id
        done_id = (await client.submit("during.the.outage", str(tmp_path / "done"))).task_id
        await eventually((tmp_path / "done").exists)

        await site.store.kill()
        await asyncio.sleep(TERM * 1.5)  # the outage itself
        await site.store.start()

        task, done = await client.await_task(task_id), await client.await_task(done_id)
        executions = [execution async for execution in client.executions(task_id)]

    assert (task.state, task.result) == (TaskState.SUCCEEDED, "the second time")
    assert (task.crash_count, task.attempt) == (0, 0)
    assert [execution.outcome for execution in executions] == [
        ExecutionOutcome.SUCCEEDED,
        ExecutionOutcome.RELEASED,
    ]
    assert executions[1].release_reason is ReleaseReason.OUTAGE
    assert (done.state, done.execution_count) == (TaskState.SUCCEEDED, 1), "its success was kept"


async def test_a_client_that_loses_every_second_answer_makes_each_task_once(site: Site):
    async with (
        every_second_answer_lost(site.address) as address,
        client_of(address) as client,
        grpc.aio.insecure_channel(site.address) as channel,
    ):
        ids = [(await client.submit("later", n)).task_id for n in range(50)]
        queue = await the_queue(QueueServiceStub(channel))

    assert len(set(ids)) == 50
    assert queue.stats.ready_count == 50
