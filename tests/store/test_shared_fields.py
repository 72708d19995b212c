"""Tasks that were taken in, leased and ended together share most fields: what becomes of one is
its own affair all the same.
"""

from __future__ import annotations

import dataclasses

from penstock_server.model.lifecycle import EventKind, Outcome, TaskState
from penstock_server.model.records import LeaseRecord, Submitted, TaskDraft
from penstock_server.store.keys import server_channel
from penstock_server.store.leases import Completion
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

    batch = rows([plain, keyed, short]) + rows([long], b"r" * 1_000)
    assert await bench.store.leases.complete([*batch, batch[0], batch[3]]) == [True] * 6

    ends = [await bench.task(lease.task_id) for lease in (plain, keyed, short, long)]
    assert {task.state for task in ends} == {TaskState.SUCCEEDED}
    assert [task.sequence for task in ends] == [3, 3, 3, 3]
    assert ends[2].delete_ms - ends[2].end_ms == 1_000
    assert (await bench.executions(long.task_id))[-1].report == b"r" * 1_000
    (again,) = await bench.submit(draft(key="once"))
    assert isinstance(again, Submitted)
    assert (again.existing, again.task_id) == (True, keyed.task_id)


def rows(leases: list[LeaseRecord], report: bytes = b"done") -> list[Completion]:
    """Reports that they have succeeded."""
    return [(NAMESPACE, token_of(lease), report) for lease in leases]


async def test_many_that_have_ended_end_no_second_time(bench: Bench):
    leases = await leased(bench, *[draft()] * 4)
    assert await bench.store.leases.complete(rows(leases)) == [True] * 4
    before = await bench.dump()

    assert await bench.store.leases.complete(rows(leases)) == [True] * 4

    assert await bench.dump() == before


async def test_many_that_are_reported_on_twice_in_a_call_end_once(bench: Bench):
    leases = await leased(bench, *[draft()] * 4)

    assert await bench.store.leases.complete(rows(leases) * 2) == [True] * 8

    kinds = [event.kind for event in await bench.events()]
    assert kinds.count(EventKind.SUCCEEDED) == 4


async def test_many_that_are_kept_for_a_time_of_their_own_go_by_it(bench: Bench):
    leases = await leased(bench, *[draft(timers={"rt": 1_000})] * 4)

    assert await bench.store.leases.complete(rows(leases)) == [True] * 4

    for lease in leases:
        task = await bench.task(lease.task_id)
        assert task.delete_ms - task.end_ms == 1_000


async def test_long_results_of_many_stay_out_of_their_records(bench: Bench):
    leases = await leased(bench, *[draft()] * 4)

    assert await bench.store.leases.complete(rows(leases, b"r" * 1_000)) == [True] * 4

    for lease in leases:
        record = await bench.redis.get(f"{{p{bench.home}}}:task:{NAMESPACE}:{lease.task_id}")
        assert len(record) < 400
        assert (await bench.executions(lease.task_id))[-1].report == b"r" * 1_000


async def test_a_cancel_that_many_were_asked_for_is_over_once_they_have_succeeded(bench: Bench):
    leases = await leased(bench, *[draft()] * 4)
    for lease in leases:
        await bench.store.tasks.cancel(NAMESPACE, lease.task_id, grace_ms=5_000)

    assert await bench.store.leases.complete(rows(leases)) == [True] * 4

    assert await bench.store.sessions.directives(NAMESPACE, "s1", [bench.home]) == []
    for lease in leases:
        assert not (await bench.task(lease.task_id)).cancel_requested


async def test_everybody_who_waits_for_one_of_many_is_told(bench: Bench):
    await bench.submit(*[draft()] * 4, waiting_server="elsewhere")
    leases = await bench.lease_all(4)
    async with bench.redis.pubsub() as notes:
        await notes.subscribe(server_channel("elsewhere"))
        await notes.get_message(timeout=5)

        assert await bench.store.leases.complete(rows(leases)) == [True] * 4

        told = await notes.get_message(timeout=5)
    assert sorted(told["data"].decode().split("\n")) == sorted(
        f"T{NAMESPACE}:{lease.task_id}" for lease in leases
    )


async def test_lost_leases_among_two_crowds_leave_each_task_one_end(bench: Bench):
    first = await leased(bench, *[draft()] * 3)
    bench.clock.advance(ms=5)
    second = await leased(bench, *[draft()] * 3)
    lost = [
        (NAMESPACE, token_of(lease._replace(random=b"0" * 16)), b"done")
        for lease in (first[0], second[0])
    ]
    batch = [lost[0], *rows(first[1:]), lost[1], *rows(second[1:])]

    assert await bench.store.leases.complete(batch) == [False, True, True] * 2

    ended = [e.task_id for e in await bench.events() if e.kind is EventKind.SUCCEEDED]
    assert sorted(ended) == sorted(lease.task_id for lease in first[1:] + second[1:])


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
