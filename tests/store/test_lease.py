"""Lease: who gets which task, in which order, and for how long."""

from __future__ import annotations

import pytest

from penstock_server.model.lifecycle import EventKind, Outcome, ReleaseReason, TaskState
from penstock_server.store.leases import PollOffer
from support.stores import NAMESPACE, QUEUE, SERVER, TYPE, Bench, draft


def ids_of(leases) -> list[str]:
    return [lease.task_id for lease in leases]


# ---- order --------------------------------------------------------------------------------------


async def test_higher_priorities_come_first_and_equal_ones_in_their_order(bench: Bench):
    ids = {}
    for name, priority in [("a", 5), ("b", 0), ("c", 9), ("d", 5), ("e", 9)]:
        ids[name] = await bench.add(priority=priority)
        bench.clock.advance(ms=1)

    assert ids_of(await bench.lease_all(9)) == [ids[name] for name in "ceadb"]


async def test_tasks_of_the_same_millisecond_keep_their_order(bench: Bench):
    ids = [await bench.add() for _ in range(20)]

    one_by_one = [(await bench.lease()).task_id for _ in range(5)]
    together = ids_of(await bench.lease_all(99))

    assert one_by_one + together == ids


async def test_a_task_waits_from_when_it_became_ready_not_from_its_submit(bench: Bench):
    delayed = await bench.add(delay_ms=1_000)
    bench.clock.advance(ms=500)
    first = await bench.add()
    bench.clock.advance(ms=1_000)
    await bench.promote()
    last = await bench.add()

    assert ids_of(await bench.lease_all(9)) == [first, delayed, last]


async def test_a_session_gets_only_types_that_it_serves(bench: Bench):
    await bench.add(task_type="other")
    mine = await bench.add()

    assert ids_of(await bench.lease_all(9)) == [mine]
    assert await bench.lease_all(9) == []
    assert len(await bench.lease_all(9, types=["other"])) == 1


@pytest.mark.parametrize("slots", [1, 9])
async def test_order_holds_across_types(bench: Bench, slots: int):
    ids = []
    for task_type in "babcab":
        ids.append(await bench.add(task_type=task_type))
        bench.clock.advance(ms=1)
    urgent = await bench.add(task_type="c", priority=8)

    got: list[str] = []
    while leases := await bench.lease_all(slots, types=["a", "b", "c"]):
        got += ids_of(leases)

    assert got == [urgent, *ids]


@pytest.mark.parametrize("slots", [1, 4, 99])
async def test_groups_take_turns(bench: Bench, slots: int):
    groups = {}
    for group, count in [("big", 9), ("mid", 3), ("", 3)]:
        for _ in range(count):
            groups[await bench.add(group=group)] = group

    got: list[str] = []
    while leases := await bench.lease_all(slots):
        got += [groups[lease.task_id] for lease in leases]

    assert len(got) == 15
    for turn in range(3):
        assert sorted(got[turn * 3 : turn * 3 + 3]) == ["", "big", "mid"]
    assert got[9:] == ["big"] * 6


async def test_a_group_that_was_away_gets_no_more_than_its_turns(bench: Bench):
    groups = {}
    for group in ["a"] * 20 + ["b"] * 20:
        groups[await bench.add(group=group)] = group
    await bench.lease_all(20)
    for _ in range(10):
        groups[await bench.add(group="late")] = "late"

    got = [groups[lease.task_id] for lease in await bench.lease_all(9)]

    assert {group: got.count(group) for group in got} == {"a": 3, "b": 3, "late": 3}


async def test_groups_take_turns_across_types(bench: Bench):
    groups = {}
    for group, task_type, count in [("big", "x", 6), ("big", "y", 6), ("small", "y", 3)]:
        for _ in range(count):
            groups[await bench.add(group=group, task_type=task_type)] = group

    got = [groups[lease.task_id] for lease in await bench.lease_all(6, types=["x", "y"])]

    assert got.count("small") == 3


# ---- bounds -------------------------------------------------------------------------------------


async def test_what_does_not_fit_into_an_answer_keeps_its_place(bench: Bench):
    ids = [await bench.add(spec=b"x" * 400) for _ in range(5)]

    first = await bench.lease_all(9, most_bytes=1_400)
    rest = await bench.lease_all(9)

    assert ids_of(first) == ids[:2]
    assert ids_of(rest) == ids[2:]


async def test_a_task_that_is_too_large_goes_alone(bench: Bench):
    large = await bench.add(spec=b"x" * 5_000)
    await bench.add(spec=b"small")

    assert ids_of(await bench.lease_all(9, most_bytes=1_000)) == [large]


async def test_a_type_of_which_nothing_fits_is_left_as_it_was(bench: Bench):
    large = await bench.add(task_type="a", spec=b"x" * 900)
    bench.clock.advance(ms=1)
    other = await bench.add(task_type="b", spec=b"x" * 900)

    leases = await bench.lease_all(9, types=["a", "b"], most_bytes=1_000)

    assert ids_of(leases) == [large]
    assert (await bench.task(large)).state is TaskState.RUNNING
    assert ids_of(await bench.lease_all(9, types=["a", "b"])) == [other]


async def test_groups_that_are_put_back_keep_their_places(bench: Bench):
    ids = [await bench.add(spec=b"x" * 400, group=group) for group in ("a", "b", "a", "b")]

    first = await bench.lease_all(9, most_bytes=1_000)
    rest = await bench.lease_all(9)

    assert ids_of(first) == ids[:1]
    assert sorted(ids_of(rest)) == sorted(ids[1:])


# ---- polls --------------------------------------------------------------------------------------


async def test_polls_of_one_call_are_served_in_turn(bench: Bench):
    ids = [await bench.add() for _ in range(5)]
    offers = [
        PollOffer("s1", 1, 2, 3_500_000, [TYPE]),
        PollOffer("s2", 1, 2, 3_500_000, ["other"]),
        PollOffer("s3", 1, 9, 3_500_000, [TYPE]),
    ]

    now_ms, answers = await bench.store.leases.lease(NAMESPACE, QUEUE, SERVER, offers)

    assert now_ms == bench.clock.ms
    assert [ids_of(answer.leases) for answer in answers] == [ids[:2], [], ids[2:]]
    assert [(await bench.task(task_id)).session_id for task_id in ids] == ["s1"] * 2 + ["s3"] * 3


async def test_an_older_poll_of_a_session_gets_nothing(bench: Bench):
    await bench.add()
    await bench.poll(0, seq=7)

    older = await bench.poll(seq=6)
    same = await bench.poll(seq=7)

    assert older.superseded
    assert older.leases == []
    assert len(same.leases) == 1


async def test_a_report_that_asks_for_leases_neither_ends_a_poll_nor_is_ended_by_one(bench: Bench):
    await bench.add()
    await bench.poll(0, seq=7)

    assert len(await bench.lease_all(seq=-1)) == 1
    assert not (await bench.poll(seq=7)).superseded


async def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(bench: Bench):
    task_id = await bench.add()
    await bench.store.queues.pause(NAMESPACE, QUEUE, "because")

    assert await bench.lease_all() == []
    await bench.store.queues.resume(NAMESPACE, QUEUE)
    assert (await bench.lease()).task_id == task_id


async def test_a_queue_that_nobody_has_made_is_empty(bench: Bench):
    assert await bench.lease_all(queue="nowhere") == []


async def test_a_lease_that_leaves_tasks_behind_wakes_the_next_server(bench: Bench):
    async with bench.redis.pubsub() as hears:
        await hears.subscribe("penstock:server:other")
        await hears.get_message(timeout=5)
        await bench.poll(server="other", session="s2")
        await bench.submit(draft(), draft(), here=[QUEUE])

        await bench.lease()

        assert (await hears.get_message(timeout=5))["data"] == b"Qdefault:q"


# ---- what a lease says --------------------------------------------------------------------------


async def test_a_lease_says_what_the_worker_must_know(bench: Bench):
    created = bench.clock.ms
    task_id = await bench.add(spec=b"what to do")
    bench.clock.advance(seconds=3)

    lease = await bench.lease()

    assert lease.kind.fence >= bench.clock.ms * 1000
    assert len(lease.random) == 16
    assert (lease.task_id, lease.spec, lease.previous) == (task_id, b"what to do", None)
    assert lease.kind._replace(fence=0) == (0, 1, 1, 0, created, created, 60_000)
    task = await bench.task(task_id)
    assert (task.state, task.session_id, task.executions) == (TaskState.RUNNING, "s1", 1)
    assert (task.start_ms, task.fence) == (bench.clock.ms, lease.kind.fence)
    assert task.expire_ms == bench.clock.ms + 10_000, "until it is accepted"


async def test_every_lease_has_random_bits_of_its_own(bench: Bench):
    for _ in range(10):
        await bench.add()

    leases = await bench.lease_all(4) + await bench.lease_all(6)

    assert len({lease.random for lease in leases}) == 10


async def test_a_task_may_ask_for_another_term(bench: Bench):
    await bench.add(timers={"L": 5_000})
    await bench.add(timers={"L": 300_000})

    short, long = await bench.lease_all(2)

    assert (short.kind.term_ms, long.kind.term_ms) == (5_000, 300_000)
    assert (await bench.task(short.task_id)).expire_ms == bench.clock.ms + 5_000
    assert (await bench.task(long.task_id)).expire_ms == bench.clock.ms + 10_000


async def test_a_later_lease_tells_of_the_execution_before(bench: Bench):
    await bench.add(policy={"initial_backoff_ms": 0})
    await bench.fail(await bench.lease())

    lease = await bench.lease()

    assert (lease.kind.execution, lease.kind.attempt, lease.kind.crashes) == (2, 2, 0)
    assert lease.previous is not None
    assert (lease.previous.number, lease.previous.outcome) == (1, Outcome.FAILED)


async def test_fences_rise_also_when_the_clock_goes_back(bench: Bench):
    await bench.add()
    fences = []
    for _ in range(4):
        lease = await bench.lease()
        fences.append(lease.kind.fence)
        await bench.release(lease, ReleaseReason.SHUTDOWN)
        bench.clock.advance(seconds=-5)
        await bench.promote()

    assert fences == sorted(set(fences))


async def test_a_fence_follows_the_clock(bench: Bench):
    await bench.add()
    lease = await bench.lease()
    await bench.release(lease, ReleaseReason.SHUTDOWN)
    bench.clock.advance(seconds=5)

    later = await bench.lease()

    # Microseconds: a store that was restored to an earlier state gives higher ones all the same.
    assert later.kind.fence - lease.kind.fence == 5_000_000


async def test_every_lease_is_told_as_an_event(bench: Bench):
    await bench.submit(draft(), draft(task_type="other"))
    await bench.lease_all(9, types=[TYPE, "other"])

    leased = [event for event in await bench.events() if event.kind is EventKind.LEASED]

    assert [(e.task_type, e.execution, e.sequence, e.session_id) for e in leased] == [
        (TYPE, 1, 2, "s1"),
        ("other", 1, 2, "s1"),
    ]
