"""The reaper: what it takes away, how it judges, and when it holds still."""

from __future__ import annotations

import pytest

from penstock_server.model.lifecycle import CancelReason, Outcome, TaskState
from support.stores import NAMESPACE, QUEUE, Bench, draft


async def accepted(bench: Bench, **fields):
    """A task that runs under an accepted lease, while the reaper runs as it should."""
    await bench.reap()
    await bench.add(**fields)
    lease = await bench.lease()
    await bench.accept(lease)
    return lease


async def last_of(bench: Bench, task_id: str):
    return (await bench.executions(task_id))[-1]


async def test_a_lease_that_ran_out_is_lost_and_counts_as_a_crash(bench: Bench):
    lease = await accepted(bench)

    assert await bench.reap_after(seconds=59) == []
    assert await bench.reap_after(seconds=1) == [Outcome.LOST]

    task = await bench.task(lease.task_id)
    assert (task.state, task.crashes, task.attempt) == (TaskState.READY, 1, 0)
    assert (await last_of(bench, lease.task_id)).note == "the lease ran out"
    assert (await bench.lease()).kind.execution == 2


async def test_a_lease_that_is_renewed_lasts(bench: Bench):
    lease = await accepted(bench)
    for _ in range(5):
        assert await bench.reap_after(seconds=50) == []
        await bench.accept(lease)

    assert (await bench.task(lease.task_id)).state is TaskState.RUNNING


async def test_a_task_that_kills_its_workers_at_once_ends_as_a_dead_letter(bench: Bench):
    await bench.reap()
    task_id = await bench.add(policy={"max_crashes": 2})
    for _ in range(3):
        await bench.lease()
        assert await bench.reap_after(seconds=10) == [Outcome.LOST]

    task = await bench.task(task_id)
    assert (task.state, task.crashes) == (TaskState.FAILED, 3)


@pytest.mark.parametrize("sign", ["poll", "report"])
async def test_a_lease_that_never_arrived_is_given_back_if_its_session_lives(bench: Bench, sign):
    other = await accepted(bench)
    await bench.add()
    lease = await bench.lease()
    bench.clock.advance(seconds=1)
    if sign == "poll":
        await bench.poll(0)
    else:
        await bench.accept(other)

    assert await bench.reap_after(seconds=9) == [Outcome.RELEASED]

    task = await bench.task(lease.task_id)
    assert (task.state, task.crashes, task.releases) == (TaskState.READY, 0, 1)


async def test_a_lease_that_was_accepted_is_lost_even_if_its_session_lives(bench: Bench):
    lease = await accepted(bench)
    assert await bench.reap_after(seconds=30) == []
    await bench.poll(0)

    assert await bench.reap_after(seconds=30) == [Outcome.LOST]
    assert (await bench.task(lease.task_id)).crashes == 1


async def test_an_execution_that_takes_too_long_has_timed_out(bench: Bench):
    lease = await accepted(bench, timers={"to": 90_000}, policy={"max_attempts": 2})
    await bench.reap_after(seconds=50)
    await bench.accept(lease)

    assert await bench.reap_after(seconds=39) == []
    assert await bench.reap_after(seconds=1) == [Outcome.TIMED_OUT]

    task = await bench.task(lease.task_id)
    assert (task.state, task.attempt, task.crashes) == (TaskState.SCHEDULED, 1, 0)
    assert (await last_of(bench, lease.task_id)).note == "timed out: start to close"


async def test_timeouts_are_retried_like_failures_of_their_kind(bench: Bench):
    policy = {"non_retryable_kinds": ("penstock.Timeout",)}
    lease = await accepted(bench, timers={"to": 5_000}, policy=policy)

    await bench.reap_after(seconds=5)

    assert (await bench.task(lease.task_id)).state is TaskState.FAILED


async def test_a_silent_handler_has_timed_out(bench: Bench):
    lease = await accepted(bench, timers={"hb": 20_000})
    for _ in range(3):
        assert await bench.reap_after(seconds=15) == []
        await bench.accept(lease, progress=b"going on")
    assert await bench.reap_after(seconds=15) == []
    await bench.accept(lease)

    assert await bench.reap_after(seconds=5) == [Outcome.TIMED_OUT], "a renewal is no progress"
    assert (await last_of(bench, lease.task_id)).note == "timed out: heartbeat"


async def test_the_silence_of_a_handler_is_counted_from_its_start(bench: Bench):
    await bench.reap()
    await bench.add(timers={"hb": 3_000})
    lease = await bench.lease()
    assert await bench.reap_after(seconds=8) == []
    await bench.accept(lease)

    assert await bench.reap_after(seconds=2) == []
    assert await bench.reap_after(seconds=1) == [Outcome.TIMED_OUT]


@pytest.mark.parametrize("accept", [True, False])
async def test_a_total_time_that_runs_out_cancels_the_task(bench: Bench, accept: bool):
    await bench.reap()
    task_id = await bench.add(timers={"tt": 8_000})
    await bench.reap_after(seconds=2)
    lease = await bench.lease()
    if accept:
        await bench.accept(lease)

    assert await bench.reap_after(seconds=6) == [Outcome.TIMED_OUT]

    task = await bench.task(task_id)
    assert (task.state, task.cancel_reason) == (TaskState.CANCELLED, CancelReason.EXPIRED)


# ---- cancel -------------------------------------------------------------------------------------


async def test_a_cancelled_task_ends_when_its_grace_is_over(bench: Bench):
    lease = await accepted(bench)
    await bench.store.tasks.cancel(NAMESPACE, lease.task_id)
    assert (await bench.accept(lease)).cancel_requested

    assert await bench.reap_after(seconds=9) == []
    assert await bench.reap_after(seconds=1) == [Outcome.CANCELLED]

    task = await bench.task(lease.task_id)
    assert (task.state, task.cancel_reason) == (TaskState.CANCELLED, CancelReason.REQUESTED)
    assert task.cancel_requested
    assert not await bench.complete(lease)


async def test_a_cancelled_task_whose_worker_dies_is_cancelled_and_not_retried(bench: Bench):
    await bench.reap()
    await bench.add()
    lease = await bench.lease()
    await bench.store.tasks.cancel(NAMESPACE, lease.task_id, grace_ms=60_000)

    assert await bench.reap_after(seconds=10) == [Outcome.LOST]

    assert (await bench.task(lease.task_id)).state is TaskState.CANCELLED


# ---- holding still ------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [300, -300], ids=["after a pause", "after a clock that went back"])
async def test_nothing_is_taken_away_for_a_term_when_time_jumped(bench: Bench, jump: int):
    lease = await accepted(bench, timers={"to": 20_000})
    bench.clock.advance(seconds=jump)

    assert await bench.reap() is None
    for _ in range(29):
        bench.clock.advance(seconds=2)
        assert await bench.reap() is None
    assert await bench.complete(lease)


async def test_after_the_term_what_was_not_renewed_is_taken_away(bench: Bench):
    lease = await accepted(bench)
    renewed = await accepted(bench)
    bench.clock.advance(seconds=300)
    assert await bench.reap() is None
    assert await bench.accept(renewed), "it had run out, but nobody took it away"

    for _ in range(29):
        bench.clock.advance(seconds=2)
        assert await bench.reap() is None
    await bench.accept(renewed)
    bench.clock.advance(seconds=2)

    assert await bench.reap() == [Outcome.LOST]
    assert (await bench.task(lease.task_id)).state is TaskState.READY
    assert (await bench.task(renewed.task_id)).state is TaskState.RUNNING


async def test_a_store_that_is_new_needs_no_guard(bench: Bench):
    assert await bench.reap() == []


async def test_many_leases_are_taken_away_in_batches(bench: Bench):
    await bench.reap()
    await bench.submit(*(draft() for _ in range(10)))
    await bench.lease_all(10)
    for _ in range(4):
        bench.clock.advance(seconds=2)
        await bench.reap()
    bench.clock.advance(seconds=2)

    assert [len(await bench.reap(limit=4) or []) for _ in range(4)] == [4, 4, 2, 0]


async def test_a_lease_of_a_queue_behind_others_is_found(bench: Bench):
    await bench.reap()
    names = [QUEUE] + [
        n for n in map(str, range(40)) if bench.store.home(NAMESPACE, n) == bench.home
    ]
    for name in names:
        await bench.add(queue=name)
        await bench.lease(queue=name)

    assert len(await bench.reap_after(seconds=10)) == len(names)
