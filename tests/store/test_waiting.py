"""Tasks that wait: promotion, expiry and cancel."""

from __future__ import annotations

import pytest

from penstock_server.model.errors import TaskStateConflict
from penstock_server.model.lifecycle import (
    CancelReason,
    EventKind,
    Outcome,
    ReleaseReason,
    TaskState,
)
from support.states import WAITING, make
from support.stores import NAMESPACE, Bench, draft

# ---- promotion and expiry -----------------------------------------------------------------------


async def test_due_tasks_become_ready_in_batches(bench: Bench):
    await bench.submit(*(draft(delay_ms=1_000 + n) for n in range(10)))
    bench.clock.advance(ms=1_008)

    assert [await bench.promote(limit=4) for _ in range(4)] == [4, 4, 1, 0]

    assert len(await bench.lease_all(99)) == 9
    assert [e.kind for e in (await bench.events()) if e.kind is EventKind.READY] == [2] * 9


async def test_a_task_that_nobody_takes_in_time_expires(bench: Bench):
    task_id = await bench.add(timers={"ts": 5_000})
    bench.clock.advance(ms=4_999)
    assert await bench.promote() == 0
    bench.clock.advance(ms=1)

    assert await bench.promote() == 1

    task = await bench.task(task_id)
    assert (task.state, task.cancel_reason) == (TaskState.CANCELLED, CancelReason.EXPIRED)
    assert await bench.lease_all() == []


async def test_a_task_that_was_taken_in_time_does_not_expire(bench: Bench):
    await bench.add(timers={"ts": 5_000})
    lease = await bench.lease()
    bench.clock.advance(seconds=6)

    assert await bench.promote() == 0
    assert await bench.complete(lease)


async def test_the_wait_for_a_worker_begins_when_a_task_is_ready(bench: Bench):
    task_id = await bench.add(delay_ms=10_000, timers={"ts": 5_000})
    bench.clock.advance(seconds=10)
    await bench.promote()
    bench.clock.advance(seconds=4)
    assert await bench.promote() == 0
    bench.clock.advance(seconds=1)
    assert await bench.promote() == 1

    assert (await bench.task(task_id)).state is TaskState.CANCELLED


@pytest.mark.parametrize("state", WAITING)
async def test_a_total_time_ends_every_wait(bench: Bench, state: str):
    task_id = await make(bench, state, timers={"tt": 30_000})
    if state == "retrying":
        await bench.promote()
    bench.clock.advance(seconds=30)

    while await bench.promote():
        pass

    task = await bench.task(task_id)
    assert (task.state, task.cancel_reason) == (TaskState.CANCELLED, CancelReason.EXPIRED)


# ---- cancel -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", WAITING)
async def test_a_task_that_waits_is_cancelled_at_once(bench: Bench, state: str):
    task_id = await make(bench, state)

    await bench.store.tasks.cancel(NAMESPACE, task_id)

    task = await bench.task(task_id)
    assert (task.state, task.cancel_reason) == (TaskState.CANCELLED, CancelReason.REQUESTED)
    assert task.cancel_requested
    assert await bench.lease_all() == []
    before = await bench.dump()
    await bench.store.tasks.cancel(NAMESPACE, task_id)
    assert await bench.dump() == before, "a repeated cancel changes nothing"


async def test_a_task_that_runs_is_asked_to_end(bench: Bench):
    task_id = await bench.add(policy={"cancel_grace_ms": 3_000})
    lease = await bench.lease()

    await bench.store.tasks.cancel(NAMESPACE, task_id)

    task = await bench.task(task_id)
    assert (task.state, task.cancel_requested) == (TaskState.RUNNING, True)
    assert task.expire_ms == task.update_ms + 3_000 == bench.clock.ms + 3_000
    (directive,) = (await bench.poll(0)).directives
    assert (directive.kind, directive.deadline_ms) == ("cancel", bench.clock.ms + 3_000)
    assert (await bench.accept(lease)).cancel_requested
    assert (await bench.task(task_id)).expire_ms == bench.clock.ms + 3_000


async def test_a_later_cancel_can_only_shorten_the_grace(bench: Bench):
    task_id = await make(bench, "running")
    await bench.store.tasks.cancel(NAMESPACE, task_id, grace_ms=5_000)
    await bench.store.tasks.cancel(NAMESPACE, task_id, grace_ms=9_000)
    assert (await bench.task(task_id)).expire_ms == bench.clock.ms + 5_000

    await bench.store.tasks.cancel(NAMESPACE, task_id, grace_ms=1_000)

    assert (await bench.task(task_id)).expire_ms == bench.clock.ms + 1_000
    asked = [e for e in await bench.events() if e.kind is EventKind.CANCEL_REQUESTED]
    assert len(asked) == 1


async def test_success_wins_the_race_against_a_cancel(bench: Bench):
    task_id = await bench.add()
    lease = await bench.lease()
    await bench.store.tasks.cancel(NAMESPACE, task_id)

    assert await bench.complete(lease)

    task = await bench.task(task_id)
    assert task.state is TaskState.SUCCEEDED
    assert (await bench.poll(0)).directives == [], "there is nothing left to tell"


@pytest.mark.parametrize("ending", ["fail", "crash", "cancelled", "release"])
async def test_every_other_ending_of_a_cancelled_task_cancels_it(bench: Bench, ending: str):
    task_id = await bench.add()
    lease = await bench.lease()
    await bench.store.tasks.cancel(NAMESPACE, task_id)

    if ending == "release":
        await bench.release(lease, ReleaseReason.SHUTDOWN)
    else:
        outcomes = {"fail": Outcome.FAILED, "crash": Outcome.CRASHED}
        await bench.fail(lease, outcomes.get(ending, Outcome.CANCELLED))

    task = await bench.task(task_id)
    assert (task.state, task.cancel_reason) == (TaskState.CANCELLED, CancelReason.REQUESTED)
    assert (task.attempt, task.crashes) == (0, 0)


@pytest.mark.parametrize("state", ["succeeded", "failed"])
async def test_a_task_that_has_ended_cannot_be_cancelled(bench: Bench, state: str):
    task_id = await make(bench, state)

    with pytest.raises(TaskStateConflict) as refused:
        await bench.store.tasks.cancel(NAMESPACE, task_id)

    assert refused.value.facts["state"] == state.upper()
