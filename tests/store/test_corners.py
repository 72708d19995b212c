"""Where two rules meet: timeouts of what was never accepted, conflicts inside one batch, what is
kept of servers that are no more, and a watch that begins as the first event is written.
"""

from __future__ import annotations

from typing import Any

import pytest

from penstock_server.model.errors import BatchAborted, IdempotencyKeyReused
from penstock_server.model.lifecycle import Outcome, TaskState
from penstock_server.model.records import NamespaceRecord, Submitted
from support.stores import NAMESPACE, QUEUE, Bench, draft

RETURN, REJECT, REPLACE = 0, 1, 2


@pytest.mark.parametrize("timers", [{"to": 2_000}, {"hb": 2_000}], ids=["start to close", "beat"])
async def test_a_lease_that_never_arrived_is_no_failed_attempt_however_short_its_timeouts(
    bench: Bench, timers: dict[str, int]
):
    await bench.reap()
    await bench.add(timers=timers, policy={"max_attempts": 1})
    lease = await bench.lease()
    bench.clock.advance(seconds=1)
    await bench.poll(0)

    assert await bench.reap_after(seconds=8) == [], "the first term is the same for every task"
    assert await bench.reap_after(seconds=1) == [Outcome.RELEASED]

    task = await bench.task(lease.task_id)
    assert (task.state, task.attempt, task.crashes) == (TaskState.READY, 0, 0)


async def test_a_worker_that_dies_before_it_accepts_is_a_crash_however_short_the_timeouts(
    bench: Bench,
):
    await bench.reap()
    task_id = await bench.add(timers={"to": 2_000}, policy={"max_attempts": 1})
    await bench.lease()

    assert await bench.reap_after(seconds=10) == [Outcome.LOST]

    task = await bench.task(task_id)
    assert (task.state, task.attempt, task.crashes) == (TaskState.READY, 0, 1)


async def test_an_execution_has_timed_out_once_it_was_accepted(bench: Bench):
    await bench.reap()
    await bench.add(timers={"to": 2_000})
    await bench.accept(await bench.lease())

    assert await bench.reap_after(seconds=2) == [Outcome.TIMED_OUT]


@pytest.mark.parametrize("second", [RETURN, REJECT])
async def test_one_key_with_two_specs_keeps_all_of_an_all_or_none_batch_out(
    bench: Bench, second: int
):
    before = await bench.dump()
    batch = [
        draft(key="k", spec=b"one", conflict=REPLACE),
        draft(key="k", spec=b"another", conflict=second),
    ]

    first, refused = await bench.submit(*batch, all_or_none=True)

    assert isinstance(first, BatchAborted)
    assert isinstance(refused, IdempotencyKeyReused)
    assert await bench.dump() == before


async def test_servers_that_wait_no_more_are_forgotten(bench: Bench):
    for server in ("gone", "also-gone"):
        await bench.poll(server=server, queue="of-nobody")
    home = bench.store.home(NAMESPACE, "of-nobody")

    left = await bench.redis.pttl(f"{{p{home}}}:waiters:{NAMESPACE}:of-nobody")

    assert 0 < left <= 60_000


async def test_a_watch_that_begins_beside_the_first_event_loses_no_place(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    connection = bench.store.connection
    read, reads = connection.read, 0

    async def read_with_a_submit_between(*command: Any) -> Any:
        nonlocal reads
        answer = await read(*command)
        reads += 1
        if reads == 1:
            await bench.add()
        return answer

    monkeypatch.setattr(connection, "read", read_with_a_submit_between)
    place = await bench.store.events.end(bench.home)
    await bench.add(queue=QUEUE)

    batch = await bench.store.events.after(bench.home, place)

    assert batch.position.number == 2
    assert len(batch.events) >= 1


@pytest.mark.parametrize("first", [1, 2])
async def test_a_repeated_call_with_more_items_names_no_task_that_was_never_stored(
    bench: Bench, first: int
):
    some = [draft() for _ in range(first)]
    known = await bench.submit(*some, request_id="r")

    again = await bench.submit(*some, draft(), draft(), request_id="r")
    and_again = await bench.submit(*some, draft(), draft(), request_id="r")

    ids = [result.task_id for result in again if isinstance(result, Submitted)]
    assert ids[:first] == [result.task_id for result in known if isinstance(result, Submitted)]
    assert [result.task_id for result in and_again if isinstance(result, Submitted)] == ids
    assert len({(await bench.task(task_id)).task_id for task_id in ids}) == first + 2


# ---- namespaces that were removed ---------------------------------------------------------------


async def removed_namespace(bench: Bench, name: str = "short-lived") -> str:
    """Removes a namespace in which a task was cancelled before its time; gives the task."""
    await bench.store.namespaces.create(NamespaceRecord(name, b"", 0, 0, 1))
    task_id = await bench.add(namespace=name, delay_ms=5_000)
    await bench.store.tasks.cancel(name, task_id)
    assert await bench.store.namespaces.delete(name)
    return task_id


async def test_a_removed_namespace_holds_up_no_time_of_others(bench: Bench):
    # Queues of both namespaces may share a partition: one is enough to hold the other up.
    await removed_namespace(bench)
    tasks = [await bench.add(queue=f"q{n}", delay_ms=6_000) for n in range(8)]

    bench.clock.advance(seconds=10)
    for partition in range(bench.store.meta.partitions):
        await bench.store.queues.promote(partition, 256)

    assert {(await bench.task(task_id)).state for task_id in tasks} == {TaskState.READY}


@pytest.mark.parametrize("wait_ms", [0, 1_000])
async def test_a_task_of_a_namespace_that_came_again_is_retried(bench: Bench, wait_ms: int):
    name = "short-lived"
    task_id = await removed_namespace(bench, name)
    await bench.store.namespaces.create(NamespaceRecord(name, b"", 0, 0, 1))

    again = draft(delay_ms=wait_ms)
    await bench.store.tasks.retry(name, task_id, request_id="", draft=again)
    bench.clock.advance(seconds=1)
    for partition in range(bench.store.meta.partitions):
        await bench.store.queues.promote(partition, 256)

    assert (await bench.lease(namespace=name)).task_id == task_id
