"""How executions are stopped: cancels, timeouts, lost leases; for every kind of handler."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from penstock.v1 import execution_pb2
from support.fake_worker_service import FakeTask, FakeWorkerService
from support.running_worker import eventually, is_alive, running_worker


async def text_of(path: Path) -> str:
    """Waits until a handler has written the file."""
    await eventually(path.exists)
    return await asyncio.to_thread(path.read_text)


async def gone(*pids: int) -> None:
    """Waits until the processes are gone."""
    await eventually(lambda: not any(is_alive(pid) for pid in pids))


async def started(task: FakeTask) -> None:
    """Waits until the task was accepted, which is when its handler runs."""
    await task.until(lambda task: "accept" in task.kinds())


@pytest.mark.parametrize("task_type", ["sleep", "wait.thread"])
async def test_cancel_reaches_a_handler_that_cooperates(
    service: FakeWorkerService, task_type: str
) -> None:
    async with running_worker(service.address):
        task = await service.submit(task_type, 30)
        await started(task)

        await service.cancel(task)
        await task.ended.wait()

    assert task.outcome == "CANCELLED"


async def test_directive_is_acknowledged_and_then_not_repeated(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address):
        task = await service.submit("sleep", 30)
        await started(task)

        directive_id = await service.cancel(task)
        await service.until(lambda: not service.directives)

    acknowledged = [i for poll in service.polls for i in poll.acknowledged_directive_ids]
    assert directive_id in acknowledged


async def test_answer_to_a_report_can_cancel(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        task = await service.submit("sleep", 30)
        service.cancel_in_reports.add("token-of-" + task.task_id)

        await task.ended.wait()

    assert task.outcome == "CANCELLED"


async def test_cancel_of_a_full_worker_arrives_by_its_poll(service: FakeWorkerService) -> None:
    async with running_worker(service.address, slots=1):
        task = await service.submit("sleep", 30)
        await started(task)
        await service.until(lambda: service.polls[-1].max_tasks == 0)

        await service.cancel(task)
        await task.ended.wait()

    assert task.outcome == "CANCELLED"


async def test_success_wins_over_a_cancel(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        task = await service.submit("stubborn")
        await started(task)

        await service.cancel(task)
        await task.ended.wait()

    assert (task.outcome, task.result) == ("SUCCEEDED", "finished anyway")


async def test_cancel_kills_plain_isolated_code_and_all_that_it_started(
    service: FakeWorkerService, tmp_path: Path
) -> None:
    async with running_worker(service.address):
        task = await service.submit("deaf.isolated", str(tmp_path / "pids"))
        pids = [int(pid) for pid in (await text_of(tmp_path / "pids")).split()]

        await service.cancel(task)
        await task.ended.wait()
        await gone(*pids)

    assert task.outcome == "CANCELLED"
    assert "SIGTERM" in task.failure.message


async def test_isolated_code_that_ignores_sigterm_is_killed(
    service: FakeWorkerService, tmp_path: Path
) -> None:
    async with running_worker(service.address):
        task = await service.submit("deafer.isolated", str(tmp_path / "pid"))
        pid = int(await text_of(tmp_path / "pid"))

        await service.cancel(task, grace=20)
        await gone(pid)
        await task.ended.wait()

    assert task.outcome == "CANCELLED"
    assert "SIGKILL" in task.failure.message


async def test_deaf_thread_is_reported_at_the_end_of_its_grace_and_keeps_its_slot(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address, slots=1) as process:
        task = await service.submit("deaf.thread", 1.5)
        await started(task)

        await service.cancel(task, grace=0.2)
        await task.ended.wait()
        running = process.supervisor.capacity.running
        next_task = await service.submit("echo", 1)
        await next_task.ended.wait()

    assert task.outcome == "CANCELLED"
    assert running == 1
    assert service.most_leased == 1


@pytest.mark.parametrize("task_type", ["limited", "limited.isolated"])
async def test_timeout_of_the_decorator_ends_the_execution(
    service: FakeWorkerService, task_type: str
) -> None:
    async with running_worker(service.address):
        task = await service.submit(task_type)
        await task.ended.wait()

    assert task.outcome == "TIMED_OUT"
    assert "start_to_close" in task.failure.message


async def test_timeout_of_the_task_goes_before_that_of_the_decorator(
    service: FakeWorkerService,
) -> None:
    timeouts = {"start_to_close": {"seconds": 60}}
    async with running_worker(service.address):
        task = await service.submit("limited", timeouts=timeouts)
        bounded = await service.submit("sleep", 30, timeouts={"start_to_close": {"nanos": 10**8}})
        await bounded.ended.wait()

        assert bounded.outcome == "TIMED_OUT"
        assert "sleep" in bounded.failure.stack_trace
        assert not task.ended.is_set()


async def test_silent_handler_times_out(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        task = await service.submit("silent")
        await task.ended.wait()

    assert task.outcome == "TIMED_OUT"
    assert "heartbeat" in task.failure.message


async def test_progress_keeps_a_handler_alive_and_is_sent_often_enough_for_that(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address):
        task = await service.submit("beating")
        await task.ended.wait()

    assert task.outcome == "SUCCEEDED"
    assert task.kinds().count("heartbeat") >= 4


async def test_lost_lease_stops_the_handler_and_drops_the_work(
    service: FakeWorkerService,
) -> None:
    service.term = 1.0  # renewed every third of a second
    async with running_worker(service.address) as process:
        task = await service.submit("sleep", 30)
        await started(task)

        service.lost.add(task.token)
        await eventually(lambda: not process.supervisor.table)

        assert process.supervisor.capacity.running == 0
    assert task.ending is None


@pytest.mark.parametrize("task_type", ["sleep", "deaf.isolated"])
async def test_lease_that_ran_out_in_an_outage_is_given_back_once_the_handler_has_stopped(
    service: FakeWorkerService, task_type: str, tmp_path: Path
) -> None:
    service.term = 0.5
    payload = 30 if task_type == "sleep" else str(tmp_path / "pids")
    async with running_worker(service.address) as process:
        task = await service.submit(task_type, payload)
        await started(task)

        service.unavailable = True
        await eventually(lambda: process.supervisor.capacity.running == 0)
        assert task.ending is None
        service.unavailable = False
        await task.ended.wait()

    assert task.ending is not None
    assert task.ending.release.reason == execution_pb2.RELEASE_REASON_OUTAGE


async def test_success_in_an_outage_longer_than_the_lease_still_counts(
    service: FakeWorkerService,
) -> None:
    service.term = 0.5
    async with running_worker(service.address) as process:
        task = await service.submit("sleep", 0.3)
        await started(task)

        service.unavailable = True
        await eventually(lambda: process.supervisor.capacity.running == 0)
        over = time.monotonic() + 3 * service.term
        await eventually(lambda: time.monotonic() > over)
        service.unavailable = False
        await task.ended.wait()

    assert task.outcome == "SUCCEEDED"


async def test_shared_runner_that_stops_answering_is_killed(service: FakeWorkerService) -> None:
    async with running_worker(service.address, unresponsive_after=timedelta(seconds=1)):
        task = await service.submit("block.loop", 60)
        await task.ended.wait()
        next_task = await service.submit("echo", 1)
        await next_task.ended.wait()

    assert task.outcome == "CRASHED"
    assert next_task.outcome == "SUCCEEDED"


async def test_isolated_runner_is_kept_warm_and_then_replaced(
    service: FakeWorkerService,
) -> None:
    pids = []
    async with running_worker(service.address, isolated_executions=2):
        for _ in range(4):
            task = await service.submit("pid.isolated")
            await task.ended.wait()
            pids.append(task.result["pid"])

    assert task.result["pid"] == task.result["group"]
    assert os.getpid() not in pids
    assert max(pids.count(pid) for pid in pids) == 2
