"""Queues and their upkeep: pause, purge, sweep, prune, peek."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from penstock_server.model.errors import (
    EtagMismatch,
    LimitReached,
    QueueNotFound,
    TaskStateConflict,
)
from penstock_server.model.lifecycle import CancelReason, ReleaseReason, TaskState
from penstock_server.model.records import LeaseRecord, StoreLimits, Submitted
from penstock_server.store.script_library import Script
from support.stores import NAMESPACE, QUEUE, Bench, draft

SMALL = StoreLimits(ended_count=3)
SHORT = StoreLimits(ended_age=timedelta(seconds=10), dead_age=timedelta(seconds=60))


# ---- queues -------------------------------------------------------------------------------------


async def test_a_queue_counts_what_is_in_it(bench: Bench):
    await bench.add(policy={"max_attempts": 1})
    await bench.fail(await bench.lease())
    await bench.submit(*(draft() for _ in range(3)), draft(task_type="other"))
    await bench.add(delay_ms=1_000)
    oldest = bench.clock.ms
    await bench.lease()
    bench.clock.advance(seconds=1)

    queue = await bench.store.queues.get(NAMESPACE, QUEUE)

    assert (queue.ready, queue.scheduled, queue.running, queue.dead) == (3, 1, 1, 1)
    assert queue.ready_by_type == {"work": 2, "other": 1}
    assert (queue.oldest_ready_ms, queue.now_ms) == (oldest, bench.clock.ms)
    assert not queue.paused


async def test_a_queue_that_nobody_has_made_is_not_found(bench: Bench):
    queues = bench.store.queues
    for act in (queues.get, queues.resume, queues.purge):
        with pytest.raises(QueueNotFound):
            await act(NAMESPACE, "nowhere")
    with pytest.raises(QueueNotFound):
        await queues.peek(NAMESPACE, "nowhere", 10)


async def test_queues_are_listed_by_name_over_all_partitions(bench: Bench):
    names = [f"q{n:02}" for n in range(12)]
    for name in names:
        await bench.add(queue=name)

    first = await bench.store.queues.names(NAMESPACE, limit=5)
    rest = await bench.store.queues.names(NAMESPACE, after=first[-1], limit=99)

    assert first + rest == names
    records = await bench.store.queues.read(NAMESPACE, [*names, "nowhere"])
    assert [record.queue for record in records] == names


async def test_a_config_is_kept_against_its_version(bench: Bench):
    queues = bench.store.queues
    await queues.configure(NAMESPACE, QUEUE, b"one", version=0)

    with pytest.raises(EtagMismatch):
        await queues.configure(NAMESPACE, QUEUE, b"two", version=0)

    assert await queues.config(NAMESPACE, QUEUE) == (b"one", 1)
    assert await queues.config(NAMESPACE, "nowhere") == (b"", 0)


async def test_pausing_says_why(bench: Bench):
    await bench.store.queues.pause(NAMESPACE, QUEUE, "")
    assert (await bench.store.queues.get(NAMESPACE, QUEUE)).paused
    await bench.store.queues.pause(NAMESPACE, QUEUE, "because")
    assert (await bench.store.queues.get(NAMESPACE, QUEUE)).pause_reason == "because"
    await bench.store.queues.resume(NAMESPACE, QUEUE)
    assert not (await bench.store.queues.get(NAMESPACE, QUEUE)).paused


async def test_a_change_of_a_queue_answers_the_queue_as_the_change_left_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    queues, connection, verbs = bench.store.queues, bench.store.connection, list[str]()
    await bench.add()
    run = connection.run

    async def noted(script: Script, partition: int, value: object) -> object:
        verbs.append(script.name)
        return await run(script, partition, value)

    monkeypatch.setattr(connection, "run", noted)
    changed = [
        await queues.pause(NAMESPACE, QUEUE, "because"),
        await queues.configure(NAMESPACE, QUEUE, b"one"),
        await queues.resume(NAMESPACE, QUEUE),
    ]

    assert [(c.pause_reason, c.config, c.version) for c in changed] == [
        ("because", b"", 0),
        ("because", b"one", 1),
        ("", b"one", 1),
    ]
    # A second look could meet a store that has lost the change meanwhile.
    assert verbs == ["set_queue"] * 3
    assert changed[-1] == await queues.get(NAMESPACE, QUEUE)


@pytest.mark.parametrize("limits", [StoreLimits(queues_per_namespace=0)], ids=["no queues"])
async def test_operators_cannot_make_queues_beyond_the_bound(bench: Bench):
    with pytest.raises(LimitReached):
        await bench.store.queues.pause(NAMESPACE, QUEUE, "")


async def test_a_peek_names_the_first_of_each_kind(bench: Bench):
    dead = []
    for _ in range(2):
        dead.append(await bench.add(policy={"max_attempts": 1}))
        await bench.fail(await bench.lease())
        bench.clock.advance(ms=1)
    low, high = await bench.add(priority=1), await bench.add(priority=8, task_type="other")
    later, sooner = await bench.add(delay_ms=9_000), await bench.add(delay_ms=8_000)
    running = await bench.add(priority=9)
    await bench.lease()

    peek = await bench.store.queues.peek(NAMESPACE, QUEUE, 10)

    assert peek == [[high, low], [sooner, later], [running], dead[::-1]]
    assert [len(ids) for ids in await bench.store.queues.peek(NAMESPACE, QUEUE, 1)] == [1] * 4


# ---- purge --------------------------------------------------------------------------------------


async def test_a_purge_takes_effect_at_once_and_spares_what_runs(bench: Bench):
    waiting = [await bench.add(group=group) for group in ("", "a", "b")]
    waiting.append(await bench.add(delay_ms=1_000))
    waiting.append(await bench.add(timers={"ts": 1_000}))
    running = await bench.add(priority=9)
    lease = await bench.lease()
    assert lease.task_id == running

    assert await bench.store.queues.purge(NAMESPACE, QUEUE) == 5

    assert await bench.lease_all(9) == []
    bench.clock.advance(seconds=5)
    assert await bench.promote() == 0
    fresh = await bench.add()
    assert await bench.sweep(limit=2) == 5
    tasks = await bench.store.tasks.read(NAMESPACE, waiting)
    assert {(task.state, task.cancel_reason) for task in tasks if task} == {
        (TaskState.CANCELLED, CancelReason.PURGED)
    }
    assert (await bench.lease()).task_id == fresh
    assert await bench.complete(lease)


async def test_purging_an_empty_queue_does_nothing(bench: Bench):
    await bench.add()
    await bench.complete(await bench.lease())
    before = await bench.dump()

    assert await bench.store.queues.purge(NAMESPACE, QUEUE) == 0

    assert await bench.dump() == before


async def test_a_queue_can_be_purged_again_before_the_sweep(bench: Bench):
    for count in (3, 2):
        await bench.submit(*(draft() for _ in range(count)))
        assert await bench.store.queues.purge(NAMESPACE, QUEUE) == count

    assert await bench.sweep() == 5


async def test_a_task_released_after_a_purge_waits_among_the_new_ones(bench: Bench):
    await bench.add()
    lease = await bench.lease()
    await bench.add()
    await bench.store.queues.purge(NAMESPACE, QUEUE)

    await bench.fail(lease)
    bench.clock.advance(seconds=2)
    await bench.promote()

    assert await bench.sweep() == 1
    assert (await bench.lease()).task_id == lease.task_id


@pytest.mark.parametrize("act", ["cancel", "end", "replace"])
async def test_a_purged_task_can_be_ended_before_the_sweep(bench: Bench, act: str):
    task_id = await bench.add(key="k")
    await bench.store.queues.purge(NAMESPACE, QUEUE)

    if act == "cancel":
        await bench.store.tasks.cancel(NAMESPACE, task_id)
    elif act == "end":
        await bench.store.tasks.finish(NAMESPACE, task_id, TaskState.SUCCEEDED, b"")
    else:
        assert await bench.add(key="k", conflict=2) != task_id

    await bench.sweep()
    state = (await bench.task(task_id)).state
    assert state is (TaskState.SUCCEEDED if act == "end" else TaskState.CANCELLED)
    assert len(await bench.lease_all(9)) == (act == "replace")


async def test_a_purged_task_cannot_be_updated(bench: Bench):
    task_id = await bench.add()
    await bench.store.queues.purge(NAMESPACE, QUEUE)

    with pytest.raises(TaskStateConflict):
        await bench.store.tasks.update(await bench.task(task_id), draft(), due_ms=-1)

    await bench.sweep()


@pytest.mark.parametrize("later", [0, 5_000])
async def test_a_purged_task_that_was_retried_since_is_not_swept_away(bench: Bench, later: int):
    task_id = await bench.add()
    await bench.store.queues.purge(NAMESPACE, QUEUE)
    await bench.store.tasks.cancel(NAMESPACE, task_id)
    await bench.store.tasks.retry(
        NAMESPACE, task_id, request_id="", draft=draft(delay_ms=later) if later else None
    )

    assert await bench.sweep() == 0

    bench.clock.advance(ms=later)
    await bench.promote()
    assert (await bench.lease()).task_id == task_id


# ---- prune --------------------------------------------------------------------------------------


async def test_a_task_that_waits_is_not_let_go_though_it_stands_among_the_ended(bench: Bench):
    task_id = await bench.add()
    ended = f"{{p{bench.home}}}:ended"
    await bench.redis.zadd(ended, {f"{NAMESPACE}:{task_id}": 1})

    await bench.prune()

    assert await bench.redis.zcard(ended) == 0
    assert (await bench.lease()).spec == b"spec"


async def stub_of(bench: Bench, task_id: str):
    """What is kept of a task: nothing but the hash, as a stub."""
    assert [n.split(":")[1] for n in await bench.dump() if task_id in n] == ["task"]
    return await bench.task(task_id)


@pytest.mark.parametrize("limits", [SHORT], ids=["short ages"])
async def test_full_records_go_by_age_and_leave_a_stub(bench: Bench):
    await bench.add()
    lease = await bench.lease()
    await bench.accept(lease, progress=b"half")
    await bench.log(lease, (1, b"a line"))
    await bench.complete(lease)
    ended = bench.clock.ms
    bench.clock.advance(seconds=9)
    assert await bench.prune() == 0
    bench.clock.advance(seconds=1)

    assert await bench.prune() == 1

    stub = await stub_of(bench, lease.task_id)
    assert (stub.state, stub.spec, stub.fence) == (TaskState.SUCCEEDED, None, lease.kind.fence)
    key = f"{{p{bench.home}}}:task:{NAMESPACE}:{lease.task_id}"
    assert await bench.redis.pexpiretime(key) >= ended + 3_600_000
    assert await bench.complete(lease), "a late repeat gets a true answer"
    assert await bench.log(lease, (1, b"a line"), (2, b"another")) is not None
    await stub_of(bench, lease.task_id)


async def runs_once(bench: Bench, lease: LeaseRecord) -> None:
    await bench.complete(lease, b"short")


async def tells_much(bench: Bench, lease: LeaseRecord) -> None:
    await bench.complete(lease, b"x" * 1_000)


async def writes_a_line(bench: Bench, lease: LeaseRecord) -> None:
    await bench.log(lease, (1, b"a line"))
    await bench.complete(lease, b"short")


async def tells_its_progress(bench: Bench, lease: LeaseRecord) -> None:
    await bench.accept(lease, progress=b"half")
    await bench.complete(lease, b"short")


async def runs_again(bench: Bench, lease: LeaseRecord) -> None:
    await bench.log(lease, (1, b"a line"))
    await bench.release(lease, ReleaseReason.SHUTDOWN)
    await bench.complete(await bench.lease(), b"short")


@pytest.mark.parametrize(
    "run", [runs_once, tells_much, writes_a_line, tells_its_progress, runs_again]
)
async def test_whatever_a_task_did_its_stub_alone_is_left(
    bench: Bench, run: Callable[[Bench, LeaseRecord], Awaitable[None]]
):
    await bench.add(timers={"rt": 0})
    lease = await bench.lease()
    await run(bench, lease)

    assert await bench.prune() == 1

    stub = await stub_of(bench, lease.task_id)
    assert stub.last_execution is None, "its result has gone"


async def test_a_name_that_is_no_task_keeps_no_other_from_going(bench: Bench):
    await bench.redis.zadd(f"{{p{bench.home}}}:ended", {"nonsense": 0})
    task_id = await bench.add(timers={"rt": 0})
    await bench.complete(await bench.lease())

    assert await bench.prune() == 2

    await stub_of(bench, task_id)


@pytest.mark.parametrize("limits", [SHORT], ids=["short ages"])
async def test_dead_letters_are_kept_longer(bench: Bench):
    task_id = await bench.add(policy={"max_attempts": 1})
    await bench.fail(await bench.lease())
    bench.clock.advance(seconds=59)
    assert await bench.prune() == 0
    assert (await bench.store.queues.get(NAMESPACE, QUEUE)).dead == 1
    bench.clock.advance(seconds=1)

    assert await bench.prune() == 1

    assert (await bench.store.queues.get(NAMESPACE, QUEUE)).dead == 0
    with pytest.raises(TaskStateConflict):
        await bench.store.tasks.retry(NAMESPACE, task_id, request_id="", draft=None)


async def test_a_task_may_ask_to_be_kept_for_a_time_of_its_own(bench: Bench):
    task_id = await bench.add(timers={"rt": 0})
    await bench.complete(await bench.lease())

    assert await bench.prune() == 1
    await stub_of(bench, task_id)


@pytest.mark.parametrize("limits", [SMALL], ids=["few records"])
async def test_full_records_are_bounded_by_count_the_oldest_go_first(bench: Bench):
    ids = []
    for _ in range(5):
        ids.append(await bench.add())
        await bench.complete(await bench.lease())
        bench.clock.advance(ms=1)

    assert await bench.prune() == 2
    assert await bench.prune() == 0

    tasks = await bench.store.tasks.read(NAMESPACE, ids)
    assert [task.spec is None for task in tasks if task] == [True, True, False, False, False]


async def test_a_stub_stays_as_long_as_its_idempotency_key(bench: Bench):
    month = 30 * 86_400_000
    task_id = await bench.add(key="k", window_ms=month)
    submitted = bench.clock.ms
    await bench.complete(await bench.lease())
    bench.clock.advance(days=2)

    assert await bench.prune() == 1

    key = f"{{p{bench.home}}}:task:{NAMESPACE}:{task_id}"
    assert await bench.redis.pexpiretime(key) >= submitted + month
    (again,) = await bench.submit(draft(key="k"))
    assert isinstance(again, Submitted)
    assert (again.task_id, again.state) == (task_id, TaskState.SUCCEEDED)


async def test_pruning_goes_in_batches(bench: Bench):
    await bench.submit(*(draft(timers={"rt": 0}) for _ in range(5)))
    for lease in await bench.lease_all(5):
        await bench.complete(lease)

    assert [await bench.store.queues.prune(bench.home, 2) for _ in range(4)] == [
        (2, 3),
        (2, 1),
        (1, 0),
        (0, 0),
    ]
