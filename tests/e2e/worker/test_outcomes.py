"""How executions end, for every kind of handler."""

from __future__ import annotations

import os

import pytest

from support.fake_worker_service import FakeWorkerService
from support.running_worker import running_worker


@pytest.mark.parametrize("task_type", ["echo", "echo.thread", "echo.isolated"])
async def test_every_kind_of_handler_answers(service: FakeWorkerService, task_type: str) -> None:
    async with running_worker(service.address):
        task = await service.submit(task_type, {"n": 1})

        await task.ended.wait()

    assert task.outcome == "SUCCEEDED"
    assert task.result == {"n": 1}


async def test_handler_knows_its_execution_and_runs_elsewhere_without_grpc(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address):
        task = await service.submit("facts", {"path": "a.png"}, headers={"h": "1"})

        await task.ended.wait()

    assert task.result == {
        "path": "a.png",
        "width": 640,
        "fence": 7,
        "task_id": task.task_id,
        "attempt": 1,
        "headers": {"h": "1"},
        "pid": task.result["pid"],
        "grpc": False,
    }
    assert task.result["pid"] != os.getpid()


async def test_many_tasks_end_and_never_exceed_the_slots(service: FakeWorkerService) -> None:
    tasks = [await service.submit("echo", n) for n in range(500)]
    crowd = [await service.submit("crowd") for _ in range(500)]

    async with running_worker(service.address, slots=20):
        for task in (*tasks, *crowd):
            await task.ended.wait()

    assert [task.result for task in tasks] == list(range(500))
    # Not the leases that the service counts: an end may be on its way while a slot is filled again.
    assert 1 < max(task.result for task in crowd) <= 20


async def test_exception_becomes_a_failure_with_trace_and_cause(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address):
        task = await service.submit("fail", "it broke")

        await task.ended.wait()

    assert task.outcome == "FAILED"
    assert task.failure.kind == "support.worker_handlers.Broken"
    assert task.failure.message == "it broke"
    assert "in fail" in task.failure.stack_trace
    assert "penstock_worker" not in task.failure.stack_trace.replace("support", "")
    assert task.failure.cause.kind == "KeyError"
    assert not task.failure.HasField("retryable")


@pytest.mark.parametrize(
    ("task_type", "kind"),
    [
        ("fail.final", "penstock_worker.errors.NonRetryableError"),
        ("fail.listed", "KeyError"),
        ("unencodable", "penstock_worker.errors.ResultError"),
    ],
)
async def test_failures_without_hope_say_so(
    service: FakeWorkerService, task_type: str, kind: str
) -> None:
    async with running_worker(service.address):
        task = await service.submit(task_type)

        await task.ended.wait()

    assert task.outcome == "FAILED"
    assert task.failure.kind == kind
    assert task.failure.retryable is False
    assert task.failure.HasField("retryable")


@pytest.mark.parametrize("task_type", ["exit", "exit.thread"])
async def test_sys_exit_in_a_handler_is_a_failure_and_the_runner_lives(
    service: FakeWorkerService, task_type: str
) -> None:
    async with running_worker(service.address):
        task = await service.submit(task_type)
        await task.ended.wait()
        next_task = await service.submit("echo", "still here")
        await next_task.ended.wait()

    assert (task.outcome, task.failure.kind) == ("FAILED", "SystemExit")
    assert next_task.result == "still here"


@pytest.mark.parametrize(
    ("task_type", "payload", "how"),
    [
        ("die", 7, "exit status 7"),
        ("die.thread", None, "signal 9 (SIGKILL)"),
        ("die.isolated", None, "signal 11 (SIGSEGV)"),
    ],
)
async def test_death_of_a_runner_is_a_crash_and_work_goes_on(
    service: FakeWorkerService, task_type: str, payload: object, how: str
) -> None:
    async with running_worker(service.address):
        task = await service.submit(task_type, payload)
        await task.ended.wait()
        next_task = await service.submit("echo", "still here")
        await next_task.ended.wait()

    assert task.outcome == "CRASHED"
    assert how in task.failure.message
    assert next_task.result == "still here"


async def test_isolated_execution_says_what_it_used(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        task = await service.submit("burn.isolated", 50)
        await task.ended.wait()

    assert task.ending is not None
    usage = task.ending.complete.usage
    assert usage.cpu_time.ToNanoseconds() >= 50_000_000
    assert usage.peak_memory_bytes >= 50 * 1024 * 1024
    assert usage.wall_time.ToNanoseconds() >= 50_000_000


async def test_shared_execution_leaves_out_what_it_cannot_measure(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address):
        task = await service.submit("echo", 1)
        await task.ended.wait()

    assert task.ending is not None
    usage = task.ending.complete.usage
    assert usage.HasField("wall_time")
    assert not usage.HasField("cpu_time")
    assert not usage.HasField("peak_memory_bytes")


async def test_payload_that_does_not_fit_is_a_final_failure(service: FakeWorkerService) -> None:
    async with running_worker(service.address):
        task = await service.submit("facts", {"width": "wide"})
        await task.ended.wait()

    assert task.failure.kind == "penstock_worker.errors.PayloadError"
    assert "`path`" in task.failure.message
    assert task.failure.retryable is False


async def test_inline_worker_runs_handlers_in_its_own_process(service: FakeWorkerService) -> None:
    async with running_worker(service.address, inline=True):
        task = await service.submit("facts", {"path": "a"})
        thread = await service.submit("echo.thread", 2)
        isolated = await service.submit("echo.isolated", 3)
        for each in (task, thread, isolated):
            await each.ended.wait()

    assert task.result["pid"] == os.getpid()
    assert (thread.result, isolated.result) == (2, 3)
