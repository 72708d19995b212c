"""Tasks that were taken in, leased and ended together share most fields: what becomes of one is
its own affair all the same.
"""

from __future__ import annotations

import dataclasses

from penstock_server.model.lifecycle import Outcome, TaskState
from penstock_server.model.records import LeaseRecord, Submitted, TaskDraft
from support.stores import NAMESPACE, QUEUE, TYPE, Bench, draft, token_of


async def leased(bench: Bench, *drafts: TaskDraft) -> list[LeaseRecord]:
    """Leases of tasks that came in one call."""
    await bench.submit(*drafts)
    return await bench.lease_all(len(drafts))


async def test_leases_of_tasks_that_share_their_fields_differ_in_what_is_their_own(bench: Bench):
    leases = await leased(bench, *[draft()] * 20)

    assert len({lease.task_id for lease in leases}) == 20
    assert len({lease.random for lease in leases}) == 20
    assert {lease.kind for lease in leases} == {leases[0].kind}


async def test_leases_keep_apart_what_differs_between_tasks_of_one_call(bench: Bench):
    first = await bench.add(spec=b"first")
    bench.clock.advance(ms=5)
    await bench.submit(draft(spec=b"second"), draft(spec=b"third", timers={"L": 5_000}))

    leases = await bench.lease_all(3)

    assert [lease.spec for lease in leases] == [b"first", b"second", b"third"]
    assert leases[0].task_id == first
    assert [lease.kind.create_ms - leases[0].kind.create_ms for lease in leases] == [0, 5, 5]
    assert [lease.kind.term_ms for lease in leases] == [60_000, 60_000, 5_000]


async def test_tasks_that_end_together_keep_each_its_own_result(bench: Bench):
    leases = await leased(bench, *[draft()] * 5)
    rows = [(NAMESPACE, token_of(lease), f"of {lease.task_id}".encode()) for lease in leases]

    assert await bench.store.leases.complete([*rows[:4], rows[0]]) == [True] * 5

    for lease in leases[:4]:
        (execution,) = await bench.executions(lease.task_id)
        assert execution.report == f"of {lease.task_id}".encode()
    assert (await bench.task(leases[4].task_id)).state is TaskState.RUNNING


async def test_one_of_many_that_share_their_fields_is_changed_alone(bench: Bench):
    asked, logged, failed, plain, left = await leased(bench, *[draft()] * 5)
    before = await bench.task(left.task_id)
    await bench.store.tasks.cancel(NAMESPACE, asked.task_id, grace_ms=10_000)
    await bench.log(logged, (1, b"a line"))
    await bench.accept(logged, progress=b"half")
    await bench.fail(failed)

    rows = [(NAMESPACE, token_of(lease), b"done") for lease in (asked, logged, plain)]
    assert await bench.store.leases.complete(rows) == [True] * 3

    sequences = [(await bench.task(lease.task_id)).sequence for lease in (asked, logged, plain)]
    assert sequences == [4, 4, 3], "a cancel was asked for, progress was told, neither"
    assert (await bench.task(failed.task_id)).state is TaskState.SCHEDULED
    assert await bench.task(left.task_id) == before


async def test_what_is_rare_in_one_of_many_is_looked_after_when_they_end(bench: Bench):
    kept = draft(timers={"rt": 1_000})
    plain, keyed, short = await leased(bench, draft(), draft(key="once"), kept)
    long = (await leased(bench, draft()))[0]

    rows = [(NAMESPACE, token_of(lease), b"done") for lease in (plain, keyed, short)]
    rows.append((NAMESPACE, token_of(long), b"r" * 1_000))
    assert await bench.store.leases.complete([*rows, rows[0], rows[3]]) == [True] * 6

    ends = [await bench.task(lease.task_id) for lease in (plain, keyed, short, long)]
    assert {task.state for task in ends} == {TaskState.SUCCEEDED}
    assert [task.sequence for task in ends] == [3, 3, 3, 3]
    assert ends[2].delete_ms - ends[2].end_ms == 1_000
    assert (await bench.executions(long.task_id))[-1].report == b"r" * 1_000
    (again,) = await bench.submit(draft(key="once"))
    assert isinstance(again, Submitted)
    assert (again.existing, again.task_id) == (True, keyed.task_id)


async def test_tasks_of_two_namespaces_end_each_in_its_own(bench: Bench):
    drafts = [draft(), draft()]
    await bench.submit(*drafts)
    await bench.submit(*drafts, namespace="other")
    leases = await bench.lease_all(2), await bench.lease_all(2, namespace="other")
    rows = [
        (namespace, token_of(lease), b"done")
        for namespace, its in zip((NAMESPACE, "other"), leases, strict=True)
        for lease in its
    ]

    assert await bench.store.leases.complete(rows) == [True] * 4

    for namespace, its in zip((NAMESPACE, "other"), leases, strict=True):
        for lease in its:
            assert (await bench.task(lease.task_id, namespace)).state is TaskState.SUCCEEDED


async def test_a_task_that_stands_in_two_places_is_leased_once(bench: Bench):
    first, second = await bench.add(), await bench.add()
    group = f"{{p{bench.home}}}:groups:{NAMESPACE}:{QUEUE}:0:{TYPE}"
    ready = f"{{p{bench.home}}}:ready:{NAMESPACE}:{QUEUE}:0:{TYPE}:strayed"
    await bench.redis.zadd(ready, {first: 1})
    await bench.redis.zadd(group, {"strayed": 0})

    leases = await bench.lease_all(3)

    assert sorted(lease.task_id for lease in leases) == sorted([first, second])


async def test_a_task_by_itself_ends_as_one_of_many_does(bench: Bench):
    many = await leased(bench, draft(), draft())
    (alone,) = await leased(bench, draft(group="another"))
    for batch in (many, [alone]):
        rows = [(NAMESPACE, token_of(lease), b"done") for lease in batch]
        assert await bench.store.leases.complete(rows) == [True] * len(batch)

    one, other = await bench.task(many[0].task_id), await bench.task(alone.task_id)

    assert dataclasses.replace(one, task_id="", fence=0, last_execution=None) == (
        dataclasses.replace(other, task_id="", fence=0, last_execution=None)
    )
    assert one.last_execution is not None
    assert one.last_execution.outcome is Outcome.SUCCEEDED
