"""Locks of duties: held by one server at a time, and asked for no more often than needed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from penstock_server.store import keys
from penstock_server.store.locks import DutyLocks
from support.stores import Bench

TERM = timedelta(seconds=60)
QUARTER = TERM.total_seconds() / 4
KEY = keys.key(0, "duty", name="pruner")


class Watch:
    """A clock in seconds that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def locks(bench: Bench, watch: Watch) -> DutyLocks:
    return DutyLocks(bench.store.connection, "here", TERM, clock=watch)


async def test_one_server_at_a_time_holds_a_lock(bench: Bench, locks: DutyLocks):
    other = DutyLocks(bench.store.connection, "there", TERM)

    assert await locks.hold("pruner", 0)
    assert await other.hold("reaper", 0)
    for _ in range(2):  # whoever was refused is refused again
        assert not await other.hold("pruner", 0)
        assert not await locks.hold("reaper", 0)


async def test_a_lock_just_held_is_kept_without_asking_the_store(
    bench: Bench, locks: DutyLocks, watch: Watch
):
    await locks.hold("pruner", 0)
    await bench.redis.delete(KEY)
    watch.now += QUARTER - 1

    assert await locks.hold("pruner", 0)
    assert not await bench.redis.exists(KEY)


async def test_a_lock_is_asked_for_after_a_quarter_of_its_term_however_often_it_was_held(
    bench: Bench, locks: DutyLocks, watch: Watch
):
    await locks.hold("pruner", 0)
    await bench.redis.set(KEY, "there")
    watch.now += QUARTER - 1
    assert await locks.hold("pruner", 0), "nobody has asked yet"
    watch.now += 1

    assert not await locks.hold("pruner", 0)


async def test_the_quarter_counts_from_the_question_and_not_from_the_answer(
    bench: Bench, locks: DutyLocks, watch: Watch, monkeypatch: pytest.MonkeyPatch
):
    write = bench.store.connection.write

    async def slowly(*command: Any) -> Any:
        answer = await write(*command)
        watch.now += QUARTER
        return answer

    monkeypatch.setattr(bench.store.connection, "write", slowly)
    await locks.hold("pruner", 0)
    monkeypatch.undo()
    await bench.redis.set(KEY, "there")

    assert not await locks.hold("pruner", 0)


async def test_each_partition_has_a_lock_of_its_own(bench: Bench, locks: DutyLocks):
    partitions = bench.store.meta.partitions
    for partition in range(1, partitions):
        await bench.redis.set(keys.key(partition, "duty", name="pruner"), "there")

    held = [await locks.hold("pruner", partition) for partition in range(partitions)]

    assert held == [True] + [False] * (partitions - 1)


async def test_holding_a_lock_again_begins_its_term_anew(
    bench: Bench, locks: DutyLocks, watch: Watch
):
    await locks.hold("pruner", 0)
    await bench.redis.pexpire(KEY, 5_000)
    watch.now += QUARTER

    assert await locks.hold("pruner", 0)
    assert await bench.redis.pttl(KEY) > 5_000


async def test_a_lock_whose_holder_is_gone_is_free_after_its_term(bench: Bench, locks: DutyLocks):
    other = DutyLocks(bench.store.connection, "there", TERM)
    await locks.hold("pruner", 0)
    await bench.redis.pexpire(KEY, 1)  # its term is over
    while await bench.redis.exists(KEY):
        pass

    assert await other.hold("pruner", 0)
