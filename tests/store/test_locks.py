"""Locks of duties: held by one server at a time, and asked for no more often than needed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock_server.store import keys
from penstock_server.store.locks import DutyLocks
from support.stores import Bench

TERM = timedelta(seconds=60)
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
    assert not await other.hold("pruner", 0)
    assert await other.hold("reaper", 0)
    assert not await locks.hold("reaper", 0)


async def test_a_lock_just_held_is_kept_without_asking_the_store(
    bench: Bench, locks: DutyLocks, watch: Watch
):
    await locks.hold("pruner", 0)
    await bench.redis.delete(KEY)
    watch.now += TERM.total_seconds() / 4 - 1

    assert await locks.hold("pruner", 0)
    assert not await bench.redis.exists(KEY)


async def test_a_lock_that_another_server_has_meanwhile_is_given_up_after_a_quarter_of_its_term(
    bench: Bench, locks: DutyLocks, watch: Watch
):
    await locks.hold("pruner", 0)
    await bench.redis.set(KEY, "there")
    watch.now += TERM.total_seconds() / 4

    assert not await locks.hold("pruner", 0)


async def test_holding_a_lock_again_begins_its_term_anew(
    bench: Bench, locks: DutyLocks, watch: Watch
):
    await locks.hold("pruner", 0)
    await bench.redis.pexpire(KEY, 5_000)
    watch.now += TERM.total_seconds() / 4

    assert await locks.hold("pruner", 0)
    assert await bench.redis.pttl(KEY) > 5_000


async def test_a_lock_whose_holder_is_gone_is_free_after_its_term(bench: Bench, locks: DutyLocks):
    other = DutyLocks(bench.store.connection, "there", TERM)
    await locks.hold("pruner", 0)
    await bench.redis.pexpire(KEY, 1)  # its term is over
    while await bench.redis.exists(KEY):
        pass

    assert await other.hold("pruner", 0)
