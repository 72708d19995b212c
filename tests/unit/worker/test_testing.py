"""`penstock_worker.testing` runs handlers as a worker does."""

from __future__ import annotations

from datetime import timedelta

from penstock.v1 import task_pb2
from penstock_worker import Context, Worker
from penstock_worker.testing import run_handler

worker = Worker()


@worker.task("double")
async def double(n: int, context: Context) -> int:
    context.progress(0.5, "half way")
    print("doubling", n)
    return 2 * n


@worker.task("facts")
def facts(context: Context) -> list[object]:
    before = context.previous_failure.kind if context.previous_failure else ""
    return [context.attempt, context.fence, dict(context.headers), before]


@worker.task("patient")
async def patient(context: Context) -> None:
    await context.wait_cancelled()
    context.check_cancelled()


async def test_result_logs_and_progress_come_back() -> None:
    outcome = await run_handler(worker, "double", 21)

    assert (outcome.outcome, outcome.result) == ("SUCCEEDED", 42)
    assert outcome.logs == ["doubling 21"]
    assert [progress.fraction for progress in outcome.progress] == [0.5]


async def test_failure_comes_back() -> None:
    outcome = await run_handler(worker, "double", "x")

    assert outcome.outcome == "FAILED"
    assert outcome.failure is not None
    assert outcome.failure.kind == "penstock_worker.errors.PayloadError"


async def test_facts_of_the_execution_can_be_chosen() -> None:
    outcome = await run_handler(
        worker,
        "facts",
        attempt=3,
        fence=9,
        headers={"h": "1"},
        previous_failure=task_pb2.Failure(kind="K"),
    )

    assert outcome.result == [3, 9, {"h": "1"}, "K"]


async def test_cancel_can_be_tried() -> None:
    outcome = await run_handler(worker, "patient", cancel_after=timedelta(milliseconds=1))

    assert outcome.outcome == "CANCELLED"


async def test_unknown_type_is_a_failure() -> None:
    outcome = await run_handler(worker, "nothing")

    assert outcome.failure is not None
    assert outcome.failure.kind == "penstock_worker.NoHandler"


async def test_cancel_before_the_first_step_still_ends_the_execution() -> None:
    for task_type in ("double", "facts"):
        outcome = await run_handler(worker, task_type, 1, cancel_after=timedelta(0))

        assert outcome.outcome in ("CANCELLED", "SUCCEEDED")
