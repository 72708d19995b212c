"""The worker against a real server and store."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from penstock import (
    Client,
    ClientOptions,
    ExecutionOutcome,
    RetryPolicy,
    TaskFailed,
    TaskRequest,
    TaskState,
)
from support.running_worker import HANDLERS, eventually, is_alive, running_worker
from support.server_process import server_process

PATH = str(Path(__file__).parents[2])
AT_ONCE = RetryPolicy(initial_backoff=timedelta(milliseconds=1))

pytestmark = pytest.mark.slow


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with (
        server_process(tmp_path) as server,
        Client(ClientOptions(address=server.address)) as client,
    ):
        yield client


async def running(client: Client, task_id: str) -> None:
    """Waits until the task is RUNNING."""
    async for update in client.watch(task_ids=[task_id]):
        if any(task.state is TaskState.RUNNING for task in update.tasks):
            return
        if any(event.state is TaskState.RUNNING for event in update.events):
            return


async def progressed(client: Client, task_id: str) -> None:
    """Waits until the task's handler has reported progress: its lease is accepted by then."""
    while (await client.get(task_id)).progress is None:  # noqa: ASYNC110 - what is waited for
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("task_type", ["echo", "echo.thread", "echo.isolated"])
async def test_round_trip_of_every_kind(client: Client, task_type: str) -> None:
    async with running_worker(client.options.address):
        assert await client.run(task_type, {"n": [1, None, "ä"]}) == {"n": [1, None, "ä"]}


async def test_thousand_tasks_all_end_well(client: Client) -> None:
    async with running_worker(client.options.address):
        results = await client.submit_many(TaskRequest("echo", n) for n in range(1000))
        answers = [await client.await_result(result.task_id) for result in results]

    assert answers == list(range(1000))


async def test_logs_and_progress_reach_the_client(client: Client) -> None:
    async with running_worker(client.options.address):
        task = await client.run_task("talk")
        stepped = await client.run_task("progress", 10)
        lines = [line.text async for line in client.tail_logs(task.task_id)]

    assert lines == ["to stdout", "to stderr", "to the logger", "to the context", "no line end"]
    assert stepped.progress is not None
    assert stepped.progress.fraction == 1.0


async def test_failing_task_is_retried_and_ends_as_a_dead_letter(client: Client) -> None:
    async with running_worker(client.options.address):
        with pytest.raises(TaskFailed, match=r"worker_handlers\.Broken: why"):
            await client.run("fail", "why", retry=AT_ONCE)


async def test_failure_without_hope_is_not_retried(client: Client) -> None:
    async with running_worker(client.options.address):
        with pytest.raises(TaskFailed) as caught:
            await client.run("fail.final", retry=AT_ONCE)

    assert caught.value.task.attempt == 1


async def test_task_that_kills_its_process_ends_as_a_dead_letter(client: Client) -> None:
    policy = RetryPolicy(initial_backoff=timedelta(milliseconds=1), max_crashes=1)
    async with running_worker(client.options.address):
        with pytest.raises(TaskFailed) as caught:
            await client.run("die.isolated", retry=policy)
        outcomes = [e.outcome async for e in client.executions(caught.value.task.task_id)]

    assert outcomes == [ExecutionOutcome.CRASHED, ExecutionOutcome.CRASHED]


@pytest.mark.parametrize("task_type", ["sleep", "wait.thread", "deaf.isolated"])
async def test_cancel_of_a_running_task_reaches_its_handler(
    client: Client, tmp_path: Path, task_type: str
) -> None:
    payload = str(tmp_path / "pids") if task_type == "deaf.isolated" else 60
    async with running_worker(client.options.address) as process:
        task_id = (await client.submit(task_type, payload)).task_id
        await running(client, task_id)

        await client.cancel(task_id)
        task = await client.await_task(task_id)
        await eventually(lambda: process.supervisor.capacity.running == 0)

    assert task.state is TaskState.CANCELLED


async def test_work_of_a_killed_worker_is_done_by_another(client: Client) -> None:
    arguments = ("-m", "penstock_worker", HANDLERS, "--address", client.options.address)
    doomed = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=os.environ | {"PYTHONPATH": PATH}
    )
    task_id = (await client.submit("work", 1.0, lease_duration=timedelta(seconds=5))).task_id
    await progressed(client, task_id)

    doomed.kill()
    await doomed.wait()
    async with running_worker(client.options.address):
        result = await client.await_result(task_id)
    executions = [execution async for execution in client.executions(task_id)]

    assert result == "worked"
    assert [e.outcome for e in executions] == [ExecutionOutcome.SUCCEEDED, ExecutionOutcome.LOST]
    assert executions[0].fence > executions[1].fence


async def test_drained_worker_gives_its_work_to_the_next(client: Client) -> None:
    async with running_worker(client.options.address):
        task_id = (await client.submit("wait.cancelled")).task_id
        await running(client, task_id)
    async with running_worker(client.options.address):
        await running(client, task_id)
        executions = [execution async for execution in client.executions(task_id)]

        assert executions[-1].outcome is ExecutionOutcome.RELEASED
        assert executions[0].attempt == 1


async def test_worker_goes_on_after_the_server_was_restarted(tmp_path: Path) -> None:
    async with server_process(tmp_path) as server:
        address = server.address
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "penstock_worker", HANDLERS, "--address", address),
            env=os.environ | {"PYTHONPATH": PATH},
        )
        async with Client(ClientOptions(address=address)) as client:
            before = await client.run("echo", 1)
    async with (
        server_process(tmp_path, "--listen", address),
        Client(ClientOptions(address=address)) as client,
    ):
        after = await client.run("echo", 2)
    worker.kill()
    await worker.wait()

    assert (before, after) == (1, 2)
    assert not is_alive(worker.pid)
