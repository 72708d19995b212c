"""Submit: what is taken in, in which order it waits, and what is refused."""

from __future__ import annotations

import asyncio

import pytest

from penstock_server.model.errors import (
    BacklogFull,
    BatchAborted,
    IdempotencyKeyReused,
    LimitReached,
    StoreFull,
    TaskAlreadyExists,
)
from penstock_server.model.ids import TaskIds, ids_from
from penstock_server.model.lifecycle import CancelReason, TaskState
from penstock_server.model.records import StoreLimits, Submitted
from support.stores import NAMESPACE, Bench, draft

FEW_TASKS = StoreLimits(backlog_count=3)
FEW_BYTES = StoreLimits(backlog_bytes=100)
FEW_QUEUES = StoreLimits(queues_per_namespace=2)


def ids_of(results) -> list[str]:
    return [result.task_id for result in results]


async def test_a_task_is_ready_at_once_and_as_it_was_asked_for(bench: Bench):
    (result,) = await bench.submit(draft(spec=b"what to do"))

    assert isinstance(result, Submitted)
    assert not result.existing
    assert result.state is TaskState.READY
    assert result.now_ms == bench.clock.ms
    task = await bench.task(result.task_id)
    assert (task.state, task.spec, task.sequence) == (TaskState.READY, b"what to do", 1)
    assert task.create_ms == task.due_ms == task.update_ms == bench.clock.ms
    assert task.creator == "anonymous"


async def test_the_policy_travels_in_front_of_the_spec_and_is_not_part_of_it(bench: Bench):
    task_id = await bench.add(spec=b"\0\1\2", policy={"max_attempts": 7, "creator": "key:ci"})

    task = await bench.task(task_id)
    assert (task.spec, task.creator) == (b"\0\1\2", "key:ci")


async def test_a_delayed_task_waits_for_its_time(bench: Bench):
    delayed = await bench.add(delay_ms=5_000)
    at_a_time = await bench.add(due_ms=bench.clock.ms + 7_000)
    in_the_past = await bench.add(due_ms=bench.clock.ms - 1)

    states = [(await bench.task(t)).state for t in (delayed, at_a_time, in_the_past)]
    assert states == [TaskState.SCHEDULED, TaskState.SCHEDULED, TaskState.READY]
    assert (await bench.task(delayed)).due_ms == bench.clock.ms + 5_000
    assert [lease.task_id for lease in await bench.lease_all(9)] == [in_the_past]

    bench.clock.advance(seconds=6)
    assert await bench.promote() == 1
    assert (await bench.lease()).task_id == delayed


async def test_a_batch_is_answered_in_order(bench: Bench):
    results = await bench.submit(*(draft(spec=b"%d" % n) for n in range(50)))

    assert ids_of(results) == sorted(ids_of(results))
    tasks = await bench.store.tasks.read(NAMESPACE, ids_of(results))
    assert [task.spec for task in tasks if task] == [b"%d" % n for n in range(50)]


async def test_calls_of_many_callers_leave_together_and_are_answered_apart(bench: Bench):
    results = await asyncio.gather(*(bench.submit(draft(spec=b"%d" % n)) for n in range(40)))

    tasks = await bench.store.tasks.read(NAMESPACE, [ids_of(r)[0] for r in results])
    assert [task.spec for task in tasks if task] == [b"%d" % n for n in range(40)]
    entries = await bench.redis.get(f"{{p{bench.home}}}:event_count")
    assert int(entries) < 40


# ---- bounds -------------------------------------------------------------------------------------


async def test_what_the_store_did_not_take_is_not_acknowledged(bench: Bench):
    await bench.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreFull):
            await bench.submit(draft(), request_id="r")
    finally:
        await bench.redis.config_set("maxmemory", 0)

    (taken,) = await bench.submit(draft(), request_id="r")
    assert isinstance(taken, Submitted)
    assert not taken.existing


@pytest.mark.parametrize("limits", [FEW_TASKS], ids=["few tasks"])
async def test_a_full_backlog_refuses_new_tasks_until_there_is_room(bench: Bench):
    results = await bench.submit(*(draft() for _ in range(5)))

    assert [type(result) for result in results[:3]] == [Submitted] * 3
    assert [type(result) for result in results[3:]] == [BacklogFull] * 2
    await bench.complete(await bench.lease())
    assert await bench.add()


@pytest.mark.parametrize("limits", [FEW_BYTES], ids=["few bytes"])
async def test_a_backlog_is_bounded_in_bytes_too(bench: Bench):
    results = await bench.submit(*(draft(spec=b"x" * 40) for _ in range(3)))

    assert [type(result) for result in results] == [Submitted, Submitted, BacklogFull]


@pytest.mark.parametrize("limits", [FEW_QUEUES], ids=["few queues"])
async def test_queues_of_a_namespace_are_bounded(bench: Bench):
    names = [name for name in map(str, range(64)) if bench.store.home(NAMESPACE, name) == 0][:3]

    results = await bench.submit(*(draft(name) for name in names))

    assert [type(result) for result in results] == [Submitted, Submitted, LimitReached]
    (more,) = await bench.submit(draft(names[0]))
    assert isinstance(more, Submitted)


# ---- all or none --------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [FEW_TASKS], ids=["few tasks"])
async def test_all_or_none_writes_nothing_if_the_batch_does_not_fit(bench: Bench):
    await bench.add()
    before = await bench.dump()

    results = await bench.submit(*(draft() for _ in range(3)), all_or_none=True, request_id="r")

    assert {type(result) for result in results} == {BacklogFull, BatchAborted}
    assert await bench.dump() == before


@pytest.mark.parametrize("limits", [FEW_QUEUES], ids=["few queues"])
async def test_all_or_none_counts_the_queues_that_it_would_open_itself(bench: Bench):
    names = [name for name in map(str, range(64)) if bench.store.home(NAMESPACE, name) == 0][:3]
    before = await bench.dump()

    results = await bench.submit(*(draft(name) for name in names), all_or_none=True)

    assert [type(result) for result in results] == [BatchAborted, BatchAborted, LimitReached]
    assert await bench.dump() == before


@pytest.mark.parametrize(
    ("misfit", "error"),
    [
        ({"conflict": 1}, TaskAlreadyExists),
        ({"spec": b"something else"}, IdempotencyKeyReused),
    ],
    ids=["refused key", "key of another spec"],
)
async def test_all_or_none_writes_nothing_if_one_item_is_refused(bench: Bench, misfit, error):
    await bench.add(key="k")
    before = await bench.dump()

    results = await bench.submit(
        draft("q2") if bench.store.meta.partitions == 1 else draft(),
        draft(key="k", **misfit),
        draft(key="other"),
        all_or_none=True,
        request_id="r",
    )

    assert [type(result) for result in results] == [BatchAborted, error, BatchAborted]
    assert await bench.dump() == before


async def test_all_or_none_refuses_one_key_for_two_specs_of_the_batch(bench: Bench):
    before = await bench.dump()

    results = await bench.submit(
        draft(key="k", spec=b"one"), draft(key="k", spec=b"two"), all_or_none=True
    )

    assert [type(result) for result in results] == [BatchAborted, IdempotencyKeyReused]
    assert await bench.dump() == before


async def test_all_or_none_takes_a_task_that_exists_for_taken(bench: Bench):
    known = await bench.add(key="k")

    results = await bench.submit(draft(key="k"), draft(), all_or_none=True)

    assert isinstance(results[0], Submitted)
    assert isinstance(results[1], Submitted)
    assert [results[0].task_id, results[0].existing] == [known, True]
    assert not results[1].existing


# ---- idempotency keys ---------------------------------------------------------------------------


async def test_a_key_gives_the_same_task_also_after_it_has_ended(bench: Bench):
    first = await bench.add(key="k")
    (again,) = await bench.submit(draft(key="k"))
    await bench.complete(await bench.lease())
    (after_the_end,) = await bench.submit(draft(key="k"))

    assert again == (first, True, TaskState.READY, bench.clock.ms)
    assert after_the_end == (first, True, TaskState.SUCCEEDED, bench.clock.ms)


async def test_a_key_belongs_to_its_queue_and_namespace(bench: Bench):
    first = await bench.add(key="k")
    elsewhere = await bench.add(key="k", queue="q2")
    apart = await bench.add(key="k", namespace="apart")

    assert len({first, elsewhere, apart}) == 3


async def test_a_key_can_be_refused(bench: Bench):
    known = await bench.add(key="k")

    (result,) = await bench.submit(draft(key="k", conflict=1))

    assert isinstance(result, TaskAlreadyExists)
    assert result.facts == {"task_id": known}


async def test_a_key_of_another_spec_is_refused(bench: Bench):
    known = await bench.add(key="k")

    (result,) = await bench.submit(draft(key="k", spec=b"something else"))

    assert isinstance(result, IdempotencyKeyReused)
    assert result.facts == {"task_id": known}


async def test_a_newer_task_takes_the_place_of_one_that_waits(bench: Bench):
    older = await bench.add(key="k", spec=b"old")
    newer = await bench.add(key="k", spec=b"new", conflict=2)

    task = await bench.task(older)
    assert (task.state, task.cancel_reason) == (TaskState.CANCELLED, CancelReason.REPLACED)
    assert [lease.task_id for lease in await bench.lease_all(9)] == [newer]
    (again,) = await bench.submit(draft(key="k", spec=b"new"))
    assert isinstance(again, Submitted)
    assert again.task_id == newer


async def test_a_newer_task_takes_the_place_of_a_delayed_one(bench: Bench):
    older = await bench.add(key="k", delay_ms=1_000)
    newer = await bench.add(key="k", conflict=2)

    assert (await bench.task(older)).cancel_reason is CancelReason.REPLACED
    bench.clock.advance(seconds=2)
    assert await bench.promote() == 0
    assert (await bench.lease()).task_id == newer


async def test_a_task_that_runs_keeps_its_place(bench: Bench):
    running = await bench.add(key="k")
    await bench.lease()

    (result,) = await bench.submit(draft(key="k", conflict=2))

    assert isinstance(result, Submitted)
    assert (result.task_id, result.existing) == (running, True)


async def test_of_replacements_in_one_call_the_last_one_stays(bench: Bench):
    results = await bench.submit(*(draft(key="k", spec=b"%d" % n, conflict=2) for n in range(3)))

    assert [type(result) for result in results] == [Submitted] * 3
    assert [lease.task_id for lease in await bench.lease_all(9)] == [ids_of(results)[-1]]


async def test_of_replacements_at_the_same_time_one_stays(bench: Bench):
    results = await asyncio.gather(
        *(bench.submit(draft(key="k", spec=b"%d" % n, conflict=2)) for n in range(5))
    )

    assert {type(result) for (result,) in results} == {Submitted}
    assert len(await bench.lease_all(9)) == 1


async def test_a_key_is_remembered_as_long_as_its_task_lives_and_then_for_its_window(bench: Bench):
    await bench.add(key="k", window_ms=1_000)
    name = f"{{p{bench.home}}}:idempotency:{NAMESPACE}:q:k"
    submitted = bench.clock.ms
    assert await bench.redis.pttl(name) == -1

    await bench.complete(await bench.lease())

    assert await bench.redis.pexpiretime(name) == submitted + 1_000


# ---- repeated calls -----------------------------------------------------------------------------


async def test_a_repeated_call_gives_the_same_ids_and_writes_nothing(bench: Bench):
    drafts = [draft(spec=b"%d" % n) for n in range(3)]
    first = await bench.submit(*drafts, request_id="r")
    before = await bench.dump()

    again = await bench.submit(*drafts, request_id="r")

    assert ids_of(again) == ids_of(first)
    assert all(isinstance(result, Submitted) and result.existing for result in again)
    assert await bench.dump() == before


async def test_a_repeated_call_may_leave_together_with_the_first_one(bench: Bench):
    one, two = await asyncio.gather(
        bench.submit(draft(), draft(), request_id="r"),
        bench.submit(draft(), draft(), request_id="r"),
    )

    assert ids_of(one) == ids_of(two)
    assert len(await bench.lease_all(9)) == 2


async def test_a_repeated_call_of_fewer_tasks_gives_the_ids_of_those(bench: Bench):
    known = await bench.add(key="k")
    first = await bench.submit(draft(), draft(), draft(key="k"), request_id="r")

    again = await bench.submit(draft(), request_id="r")

    assert ids_of(again) == ids_of(first)[:1]
    assert ids_of(await bench.submit(draft(), draft(), draft(key="k"), request_id="r")) == [
        *ids_of(first)[:2],
        known,
    ]


async def test_the_ids_of_a_repeated_call_are_right_where_they_carry(bench: Bench):
    # The random field is at its highest, so that counting up carries through every digit.
    highest = TaskIds(random_bits=lambda bits: (1 << bits) - 1).first(bench.home)
    drafts = [draft() for _ in range(5)]
    first = await bench.submit(*drafts, request_id="r", ids=ids_from(highest, 5))

    again = await bench.submit(*drafts, request_id="r")

    assert ids_of(again) == ids_of(first)
    assert all(task is not None for task in await bench.store.tasks.read(NAMESPACE, ids_of(again)))


async def test_a_request_id_is_forgotten_after_its_window(bench: Bench):
    await bench.submit(draft(), request_id="r")

    left = await bench.redis.pttl(f"{{p{bench.home}}}:request:{NAMESPACE}:r")

    assert 0 < left <= 600_000


async def test_a_repeated_call_knows_tasks_that_had_existed_by_their_key(bench: Bench):
    known = await bench.add(key="k")
    first = await bench.submit(draft(), draft(key="k"), request_id="r")

    again = await bench.submit(draft(), draft(key="k"), request_id="r")

    assert ids_of(first)[1] == known
    assert ids_of(again) == ids_of(first)


@pytest.mark.parametrize("limits", [FEW_TASKS], ids=["few tasks"])
async def test_a_call_that_was_refused_is_carried_out_when_it_is_repeated(bench: Bench):
    for _ in range(3):
        await bench.add()
    (refused,) = await bench.submit(draft(), request_id="r")
    assert isinstance(refused, BacklogFull)
    await bench.complete(await bench.lease())

    (taken,) = await bench.submit(draft(), request_id="r")

    assert isinstance(taken, Submitted)
    assert (await bench.task(taken.task_id)).state is TaskState.READY
    assert ids_of(await bench.submit(draft(), request_id="r")) == [taken.task_id]


@pytest.mark.parametrize("limits", [FEW_TASKS], ids=["few tasks"])
async def test_a_repeated_call_takes_what_was_refused_and_repeats_what_was_taken(bench: Bench):
    await bench.add()
    drafts = [draft(spec=b"%d" % n) for n in range(3)]
    first = await bench.submit(*drafts, request_id="r")
    assert [type(result) for result in first] == [Submitted, Submitted, BacklogFull]
    again = await bench.submit(*drafts, request_id="r")
    assert [type(result) for result in again] == [Submitted, Submitted, BacklogFull]
    await bench.complete(await bench.lease())

    third = await bench.submit(*drafts, request_id="r")
    fourth = await bench.submit(*drafts, request_id="r")

    assert ids_of(third)[:2] == ids_of(first[:2])
    assert ids_of(fourth) == ids_of(third)
    tasks = await bench.store.tasks.read(NAMESPACE, ids_of(third))
    assert [task.spec for task in tasks if task] == [b"0", b"1", b"2"]


# ---- waking -------------------------------------------------------------------------------------


async def test_a_submit_wakes_one_server_that_waits(bench: Bench):
    async with bench.redis.pubsub() as hears:
        await hears.subscribe("penstock:server:a", "penstock:server:b")
        for _ in range(2):
            await hears.get_message(timeout=5)
        await bench.poll(server="a")
        await bench.poll(server="b")

        await bench.submit(draft(), draft())

        note = await hears.get_message(timeout=5)
        assert note["data"] == b"Qdefault:q"
        assert await hears.get_message() is None


async def test_a_submit_on_a_server_with_a_poll_of_its_own_wakes_nobody(bench: Bench):
    async with bench.redis.pubsub() as hears:
        await hears.subscribe("penstock:server:a")
        await hears.get_message(timeout=5)
        await bench.poll(server="a")

        await bench.submit(draft(), here=["q"])
        await bench.redis.publish("penstock:server:a", "last")

        assert (await hears.get_message(timeout=5))["data"] == b"last"
