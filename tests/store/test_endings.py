"""Complete, fail, release: what a report does, and that a stale one does nothing."""

from __future__ import annotations

from typing import Any

import pytest

from penstock_server.model.lifecycle import EventKind, Outcome, ReleaseReason, TaskState
from penstock_server.model.records import LeaseRecord, StoreLimits
from penstock_server.store.leases import FailureReport
from support.stores import NAMESPACE, Bench, draft, token_of

REPORTS = ["complete", "fail", "crash", "release", "accept", "progress", "log"]


async def tell(bench: Bench, report: str, lease: LeaseRecord) -> object:
    """Reports something; anything false means that the lease is lost."""
    if report == "complete":
        return await bench.complete(lease)
    if report == "fail":
        return await bench.fail(lease)
    if report == "crash":
        return await bench.fail(lease, Outcome.CRASHED)
    if report == "release":
        return await bench.release(lease, ReleaseReason.SHUTDOWN)
    if report == "log":
        return await bench.log(lease, (1, b"a line"))
    return await bench.accept(lease, progress=b"half" if report == "progress" else b"")


# ---- success ------------------------------------------------------------------------------------


async def test_a_completed_task_has_succeeded(bench: Bench):
    await bench.add()
    lease = await bench.lease()
    bench.clock.advance(seconds=2)

    assert await bench.complete(lease, b"the result")

    task = await bench.task(lease.task_id)
    assert (task.state, task.attempt, task.end_ms) == (TaskState.SUCCEEDED, 0, bench.clock.ms)
    assert task.delete_ms == bench.clock.ms + 86_400_000
    assert task.session_id == ""
    (execution,) = await bench.executions(lease.task_id)
    assert execution == task.last_execution
    assert (execution.outcome, execution.report) == (Outcome.SUCCEEDED, b"the result")
    assert (execution.number, execution.attempt, execution.fence) == (1, 1, lease.kind.fence)
    assert execution.end_ms - execution.start_ms == 2_000
    assert execution.session_id == "s1"


async def test_an_unaccepted_lease_can_be_completed(bench: Bench):
    await bench.add()
    lease = await bench.lease()
    bench.clock.advance(seconds=30)

    assert await bench.complete(lease), "nobody else has the task"


async def test_an_ended_task_leaves_nothing_to_lease(bench: Bench):
    await bench.add()
    await bench.complete(await bench.lease())

    assert await bench.lease_all() == []
    assert await bench.reap_after(minutes=3) == []


# ---- stale leases -------------------------------------------------------------------------------


@pytest.mark.parametrize("report", REPORTS)
async def test_an_expired_lease_cannot_change_the_task(bench: Bench, report: str):
    await bench.add()
    stale = await bench.lease()
    await bench.reap_after(seconds=11)
    before = await bench.dump(without=["poll"])

    assert not await tell(bench, report, stale)

    assert await bench.dump(without=["poll"]) == before


@pytest.mark.parametrize("report", REPORTS)
async def test_an_earlier_lease_cannot_change_the_task_while_a_later_one_runs(
    bench: Bench, report: str
):
    await bench.add()
    earlier = await bench.lease()
    await bench.reap_after(seconds=11)
    later = await bench.lease(session="s2")
    before = await bench.dump(without=["poll"])

    assert not await tell(bench, report, earlier)

    assert await bench.dump(without=["poll"]) == before
    assert await bench.complete(later)


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("wrong", ["random", "fence", "task"])
async def test_a_guessed_lease_cannot_change_anything(bench: Bench, report: str, wrong: str):
    await bench.submit(draft(), draft())
    lease, other = await bench.lease_all(2)
    changes: dict[str, dict[str, Any]] = {
        "random": {"random": bytes(16)},
        "fence": {"kind": lease.kind._replace(fence=lease.kind.fence + 1)},
        "task": {"task_id": other.task_id},
    }
    before = await bench.dump(without=["poll"])

    assert not await tell(bench, report, lease._replace(**changes[wrong]))

    assert await bench.dump(without=["poll"]) == before


@pytest.mark.parametrize("report", REPORTS)
async def test_a_lease_of_a_task_that_is_gone_changes_nothing(bench: Bench, report: str):
    await bench.add()
    lease = await bench.lease()
    await bench.complete(lease)
    await bench.store.tasks.delete(NAMESPACE, lease.task_id)
    before = await bench.dump(without=["poll"])

    assert not await tell(bench, report, lease)

    assert await bench.dump(without=["poll"]) == before


async def test_a_lost_lease_in_a_batch_leaves_the_others_alone(bench: Bench):
    await bench.submit(*(draft() for _ in range(3)))
    leases = await bench.lease_all(3)
    wrong = leases[1]._replace(random=bytes(16))

    taken = await bench.store.leases.complete(
        [(NAMESPACE, token_of(lease), b"") for lease in (leases[0], wrong, leases[2])]
    )

    assert taken == [True, False, True]


@pytest.mark.parametrize("ending", ["complete", "fail", "crash", "release"])
async def test_a_repeated_ending_is_fine_and_changes_nothing(bench: Bench, ending: str):
    await bench.add()
    lease = await bench.lease()
    assert await tell(bench, ending, lease)
    before = await bench.dump()

    assert await tell(bench, ending, lease)

    assert await bench.dump() == before


@pytest.mark.parametrize("first", ["complete", "fail", "crash", "release"])
@pytest.mark.parametrize("second", ["complete", "fail", "crash", "release", "accept", "progress"])
async def test_another_ending_under_the_same_lease_is_refused(
    bench: Bench, first: str, second: str
):
    if first == second:
        return
    await bench.add()
    lease = await bench.lease()
    assert await tell(bench, first, lease)
    before = await bench.dump(without=["poll"])

    assert not await tell(bench, second, lease)

    assert await bench.dump(without=["poll"]) == before


async def test_one_ending_twice_in_one_call_counts_once(bench: Bench):
    await bench.add()
    token = token_of(await bench.lease())
    told = FailureReport(Outcome.FAILED, True, "Boom", b"", "")

    taken = await bench.store.leases.fail([(NAMESPACE, token, told), (NAMESPACE, token, told)])

    assert taken == [True, True]
    assert (await bench.task(token.task_id)).attempt == 1


# ---- retries ------------------------------------------------------------------------------------


async def fail_until_dead(bench: Bench, outcome: Outcome = Outcome.FAILED) -> list[int]:
    """Fails a task again and again; gives the waits in between."""
    waits: list[int] = []
    while True:
        lease = await bench.lease()
        await bench.fail(lease, outcome)
        task = await bench.task(lease.task_id)
        if task.state.ended:
            return waits
        waits.append(task.due_ms - bench.clock.ms if task.state is TaskState.SCHEDULED else 0)
        bench.clock.advance(ms=waits[-1])
        await bench.promote()


async def test_waits_grow_to_their_bound_and_attempts_end(bench: Bench):
    policy = {"max_attempts": 6, "initial_backoff_ms": 100, "max_backoff_ms": 500}
    task_id = await bench.add(policy={**policy, "multiplier": 2.0})

    assert await fail_until_dead(bench) == [100, 200, 400, 500, 500]

    task = await bench.task(task_id)
    assert (task.state, task.attempt, task.executions) == (TaskState.FAILED, 6, 6)
    assert task.delete_ms == bench.clock.ms + 30 * 86_400_000


async def test_a_policy_that_nobody_gave_is_the_default_one(bench: Bench):
    await bench.add()

    assert await fail_until_dead(bench) == [1_000, 2_000]


async def test_waits_of_a_huge_policy_stay_finite(bench: Bench):
    policy = {"max_attempts": 400, "initial_backoff_ms": 1_000, "max_backoff_ms": 5_000}
    await bench.add(policy={**policy, "multiplier": 100.0})

    waits = await fail_until_dead(bench)

    assert waits == [1_000] + [5_000] * 398


@pytest.mark.parametrize(("share", "wait"), [(0.0, 750), (0.5, 1_000), (1.0, 1_250)])
async def test_jitter_moves_a_wait_by_its_share(bench: Bench, share: float, wait: int):
    bench.store.leases._random_share = lambda: share
    await bench.add(policy={"jitter": 0.25})

    await bench.fail(await bench.lease())

    (event,) = [e for e in await bench.events() if e.kind is EventKind.RETRY_SCHEDULED]
    assert event.due_ms == bench.clock.ms + wait
    assert event.extra == b"Boom: it went wrong"


@pytest.mark.parametrize("told", ["kind", "retryable"])
async def test_what_another_attempt_cannot_mend_is_dead_at_once(bench: Bench, told: str):
    await bench.add(policy={"non_retryable_kinds": ("Bad", "Worse")})
    lease = await bench.lease()

    if told == "kind":
        await bench.fail(lease, kind="Worse")
    else:
        await bench.fail(lease, retryable=False)

    assert (await bench.task(lease.task_id)).state is TaskState.FAILED


async def test_crashes_have_a_budget_of_their_own_and_no_wait(bench: Bench):
    task_id = await bench.add(policy={"max_crashes": 2, "max_attempts": 1})

    assert await fail_until_dead(bench, Outcome.CRASHED) == [0, 0]

    task = await bench.task(task_id)
    assert (task.state, task.crashes, task.attempt) == (TaskState.FAILED, 3, 0)


async def test_a_crash_keeps_the_place_of_the_task(bench: Bench):
    first = await bench.add()
    bench.clock.advance(seconds=1)
    await bench.add()

    await bench.fail(await bench.lease(), Outcome.CRASHED)

    assert (await bench.lease()).task_id == first


async def test_a_timeout_told_by_the_worker_counts_as_an_attempt(bench: Bench):
    task_id = await bench.add(policy={"max_attempts": 1})

    await bench.fail(await bench.lease(), Outcome.TIMED_OUT)

    task = await bench.task(task_id)
    assert (task.state, task.attempt, task.crashes) == (TaskState.FAILED, 1, 0)


async def test_a_worker_cannot_cancel_what_nobody_asked_to_end(bench: Bench):
    await bench.add()
    lease = await bench.lease()

    await bench.fail(lease, Outcome.CANCELLED)

    task = await bench.task(lease.task_id)
    assert (task.state, task.attempt) == (TaskState.SCHEDULED, 1)
    assert await bench.fail(lease, Outcome.CANCELLED), "told again"


@pytest.mark.parametrize("limits", [StoreLimits(executions_kept=3)], ids=["few executions"])
async def test_only_the_latest_executions_are_kept(bench: Bench):
    await bench.add(policy={"max_attempts": 9, "initial_backoff_ms": 0})
    for _ in range(5):
        lease = await bench.lease()
        await bench.fail(lease)

    kept = await bench.executions(lease.task_id)

    assert [execution.number for execution in kept] == [3, 4, 5]


# ---- releases -----------------------------------------------------------------------------------


async def release_until_dead(bench: Bench, reason: ReleaseReason) -> list[int]:
    waits: list[int] = []
    while leases := await bench.lease_all():
        await bench.release(leases[0], reason)
        task = await bench.task(leases[0].task_id)
        waits.append(task.due_ms - bench.clock.ms if task.state is TaskState.SCHEDULED else 0)
        bench.clock.advance(ms=waits[-1])
        await bench.promote()
    return waits


async def test_a_release_counts_as_nothing_and_keeps_the_place(bench: Bench):
    first = await bench.add()
    bench.clock.advance(seconds=1)
    await bench.add()

    await bench.release(await bench.lease(), ReleaseReason.SHUTDOWN)

    task = await bench.task(first)
    assert (task.state, task.attempt, task.crashes, task.releases) == (TaskState.READY, 0, 0, 1)
    assert (await bench.lease()).task_id == first


@pytest.mark.parametrize(
    ("reason", "waits"),
    [
        (ReleaseReason.UNSUPPORTED_TYPE, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000]),
        (ReleaseReason.SHUTDOWN, [0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000]),
    ],
)
async def test_releases_in_a_row_wait_longer_and_end_as_a_dead_letter(
    bench: Bench, reason: ReleaseReason, waits: list[int]
):
    task_id = await bench.add()

    found = await release_until_dead(bench, reason)

    assert found == waits + [60_000] * (20 - len(waits)) + [0]
    task = await bench.task(task_id)
    assert (task.state, task.releases, task.executions) == (TaskState.FAILED, 21, 21)


@pytest.mark.parametrize("ending", ["complete", "fail"])
async def test_any_other_ending_begins_the_row_anew(bench: Bench, ending: str):
    task_id = await bench.add(policy={"max_attempts": 1})
    await bench.release(await bench.lease(), ReleaseReason.SHUTDOWN)
    await tell(bench, ending, await bench.lease())

    assert (await bench.task(task_id)).releases == 0
