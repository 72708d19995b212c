"""What operators do with tasks: end, retry, update, delete."""

from __future__ import annotations

import pytest

from penstock_server.model.errors import EtagMismatch, TaskNotFound, TaskStateConflict
from penstock_server.model.lifecycle import (
    EventKind,
    Outcome,
    TaskState,
)
from support.states import ENDED, WAITING, make
from support.stores import NAMESPACE, Bench, draft

# ---- an operator's end --------------------------------------------------------------------------


@pytest.mark.parametrize("state", [*WAITING, "running"])
@pytest.mark.parametrize("end", [TaskState.SUCCEEDED, TaskState.FAILED])
async def test_an_operator_ends_a_task_without_a_lease(bench: Bench, state: str, end: TaskState):
    task_id = await make(bench, state)
    started = (await bench.task(task_id)).executions

    await bench.store.tasks.finish(NAMESPACE, task_id, end, b"the operator's word")

    task = await bench.task(task_id)
    assert (task.state, task.executions) == (end, started + 1)
    last = (await bench.executions(task_id))[-1]
    assert (last.number, last.report) == (started + 1, b"the operator's word")
    assert last.outcome is (Outcome.SUCCEEDED if end is TaskState.SUCCEEDED else Outcome.FAILED)
    before = await bench.dump()
    await bench.store.tasks.finish(NAMESPACE, task_id, end, b"the operator's word")
    assert await bench.dump() == before, "a repeated end changes nothing"


async def test_an_operators_end_revokes_the_lease(bench: Bench):
    await bench.add()
    lease = await bench.lease()
    await bench.store.tasks.finish(NAMESPACE, lease.task_id, TaskState.SUCCEEDED, b"")

    assert await bench.accept(lease) is None
    assert not await bench.complete(lease)
    executions = await bench.executions(lease.task_id)
    assert [e.outcome for e in executions] == [Outcome.CANCELLED, Outcome.SUCCEEDED]


@pytest.mark.parametrize("state", ENDED)
async def test_a_task_that_has_ended_cannot_be_ended_otherwise(bench: Bench, state: str):
    task_id = await make(bench, state)
    before = await bench.dump()

    for end in (TaskState.SUCCEEDED, TaskState.FAILED):
        with pytest.raises(TaskStateConflict):
            await bench.store.tasks.finish(NAMESPACE, task_id, end, b"")

    assert await bench.dump() == before


# ---- an operator's retry ------------------------------------------------------------------------


@pytest.mark.parametrize("state", [*ENDED, "scheduled", "retrying"])
async def test_a_task_runs_again_at_once(bench: Bench, state: str):
    task_id = await make(bench, state)
    before = await bench.task(task_id)
    bench.clock.advance(seconds=5)

    await bench.store.tasks.retry(NAMESPACE, task_id, request_id="", draft=None)

    task = await bench.task(task_id)
    assert (task.state, task.due_ms) == (TaskState.READY, bench.clock.ms)
    assert (task.end_ms, task.cancel_reason, task.cancel_requested) == (0, None, False)
    assert (task.attempt, task.executions) == (before.attempt, before.executions)
    lease = await bench.lease()
    assert lease.kind.execution == before.executions + 1
    assert lease.kind.fence > before.fence
    assert await bench.complete(lease)


@pytest.mark.parametrize("state", ["ready", "running"])
async def test_a_task_that_is_on_its_way_cannot_be_retried(bench: Bench, state: str):
    task_id = await make(bench, state)

    with pytest.raises(TaskStateConflict):
        await bench.store.tasks.retry(NAMESPACE, task_id, request_id="", draft=None)


async def test_a_retry_grants_attempts_and_crashes_anew(bench: Bench):
    task_id = await make(bench, "failed")
    await bench.store.tasks.retry(NAMESPACE, task_id, request_id="", draft=None)
    lease = await bench.lease()
    assert lease.kind.attempt == 2
    await bench.fail(lease, Outcome.CRASHED)

    task = await bench.task(task_id)
    assert (task.state, task.attempt, task.crashes) == (TaskState.READY, 1, 1)
    await bench.fail(await bench.lease())
    task = await bench.task(task_id)
    assert (task.state, task.attempt) == (TaskState.FAILED, 2)


async def test_a_retry_under_the_same_request_id_happens_once(bench: Bench):
    task_id = await make(bench, "failed")
    await bench.store.tasks.retry(NAMESPACE, task_id, request_id="r", draft=None)
    await bench.fail(await bench.lease())
    before = await bench.dump()

    await bench.store.tasks.retry(NAMESPACE, task_id, request_id="r", draft=None)

    assert await bench.dump() == before


async def test_a_retry_may_bring_another_spec_and_a_time(bench: Bench):
    task_id = await make(bench, "failed", spec=b"wrong", group="a", timers={"ts": 1, "to": 9_000})
    edited = draft(spec=b"better", priority=9, delay_ms=5_000, policy={"max_attempts": 2})

    await bench.store.tasks.retry(NAMESPACE, task_id, request_id="", draft=edited)

    task = await bench.task(task_id)
    assert (task.state, task.spec) == (TaskState.SCHEDULED, b"better")
    assert task.due_ms == bench.clock.ms + 5_000
    bench.clock.advance(seconds=5)
    await bench.promote()
    lease = await bench.lease()
    assert lease.spec == b"better"
    await bench.fail(lease)
    assert (await bench.task(task_id)).state is TaskState.SCHEDULED, "another attempt is left"


async def test_a_retry_after_the_total_time_does_not_end_at_once(bench: Bench):
    task_id = await bench.add(timers={"tt": 1_000})
    bench.clock.advance(seconds=1)
    await bench.promote()

    await bench.store.tasks.retry(NAMESPACE, task_id, request_id="", draft=None)

    assert await bench.promote() == 0
    assert (await bench.lease()).task_id == task_id


async def test_a_stale_lease_from_before_a_retry_changes_nothing(bench: Bench):
    await bench.add()
    lease = await bench.lease()
    await bench.complete(lease)
    await bench.store.tasks.retry(NAMESPACE, lease.task_id, request_id="", draft=None)

    assert not await bench.complete(lease)
    assert (await bench.task(lease.task_id)).state is TaskState.READY


async def test_a_retried_task_keeps_its_idempotency_key_for_as_long_as_it_lives(bench: Bench):
    task_id = await make(bench, "failed", key="k", window_ms=1_000)
    name = f"{{p{bench.home}}}:idempotency:{NAMESPACE}:q:k"
    assert await bench.redis.pttl(name) > 0

    await bench.store.tasks.retry(NAMESPACE, task_id, request_id="", draft=None)

    assert await bench.redis.pttl(name) == -1


async def test_a_retried_task_leaves_a_key_alone_that_is_anothers_by_now(bench: Bench):
    older = await make(bench, "ready", key="k")
    await bench.add(key="k", conflict=2)
    await bench.complete(await bench.lease())
    name = f"{{p{bench.home}}}:idempotency:{NAMESPACE}:q:k"
    expires = await bench.redis.pexpiretime(name)

    await bench.store.tasks.retry(NAMESPACE, older, request_id="", draft=None)

    assert await bench.redis.pexpiretime(name) == expires > 0


# ---- update and delete --------------------------------------------------------------------------


@pytest.mark.parametrize("state", WAITING)
async def test_a_waiting_task_gets_another_priority_and_keeps_its_time(bench: Bench, state: str):
    task_id = await make(bench, state)
    task = await bench.task(task_id)
    bench.clock.advance(ms=10)

    await bench.store.tasks.update(task, draft(spec=b"other spec", priority=9), due_ms=-1)

    changed = await bench.task(task_id)
    assert (changed.state, changed.due_ms) == (task.state, task.due_ms)
    assert (changed.spec, changed.sequence) == (b"other spec", task.sequence + 1)
    assert changed.update_ms == bench.clock.ms


async def test_a_better_priority_puts_a_task_in_front(bench: Bench):
    first, second = await bench.add(), await bench.add()

    await bench.store.tasks.update(await bench.task(second), draft(priority=6), due_ms=-1)

    assert [lease.task_id for lease in await bench.lease_all(2)] == [second, first]


async def test_a_task_is_put_off_and_brought_forward(bench: Bench):
    task_id = await bench.add()
    later = bench.clock.ms + 9_000
    await bench.store.tasks.update(await bench.task(task_id), draft(), due_ms=later)
    put_off = await bench.task(task_id)
    assert (put_off.state, put_off.due_ms) == (TaskState.SCHEDULED, later)
    assert await bench.lease_all() == []

    await bench.store.tasks.update(put_off, draft(), due_ms=0)

    assert (await bench.lease()).task_id == task_id


async def test_an_update_of_what_has_changed_since_is_refused(bench: Bench):
    task_id = await bench.add()
    task = await bench.task(task_id)
    await bench.store.tasks.update(task, draft(), due_ms=-1)
    before = await bench.dump()

    with pytest.raises(EtagMismatch):
        await bench.store.tasks.update(task, draft(), due_ms=-1)

    assert await bench.dump() == before


@pytest.mark.parametrize("state", ["running", *ENDED])
async def test_a_task_that_does_not_wait_cannot_be_updated(bench: Bench, state: str):
    task_id = await make(bench, state)

    with pytest.raises(TaskStateConflict):
        await bench.store.tasks.update(await bench.task(task_id), draft(), due_ms=-1)


@pytest.mark.parametrize("state", ENDED)
async def test_a_deleted_task_leaves_nothing_behind(bench: Bench, state: str):
    task_id = await make(bench, state, key="k")

    await bench.store.tasks.delete(NAMESPACE, task_id)

    assert not [name for name in await bench.dump() if task_id in name]
    with pytest.raises(TaskNotFound):
        await bench.store.tasks.delete(NAMESPACE, task_id)
    assert await bench.add(key="k") != task_id, "its key is free"
    assert [e.kind for e in await bench.events()][-2:] == [EventKind.DELETED, EventKind.SUBMITTED]


@pytest.mark.parametrize("state", [*WAITING, "running"])
async def test_a_task_that_has_not_ended_cannot_be_deleted(bench: Bench, state: str):
    task_id = await make(bench, state)
    before = await bench.dump()

    with pytest.raises(TaskStateConflict):
        await bench.store.tasks.delete(NAMESPACE, task_id)

    assert await bench.dump() == before


@pytest.mark.parametrize("act", ["cancel", "finish", "retry", "delete"])
async def test_an_unknown_task_is_not_found(bench: Bench, act: str):
    tasks, unknown = bench.store.tasks, "0" * 26
    acts = {
        "cancel": lambda: tasks.cancel(NAMESPACE, unknown),
        "finish": lambda: tasks.finish(NAMESPACE, unknown, TaskState.FAILED, b""),
        "retry": lambda: tasks.retry(NAMESPACE, unknown, request_id="", draft=None),
        "delete": lambda: tasks.delete(NAMESPACE, unknown),
    }

    with pytest.raises(TaskNotFound):
        await acts[act]()
