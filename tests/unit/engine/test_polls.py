"""Polls: what was leased for a call that goes away is given back, at whatever moment it goes."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from penstock_server.engine.background import Background
from penstock_server.engine.dispatch import Poll
from penstock_server.engine.sessions import Polls
from penstock_server.model.records import LeaseKind, LeaseRecord
from penstock_server.store.leases import PollAnswer, PollOffer

LEASE = LeaseRecord("0" * 26, b"r" * 16, b"", LeaseKind(1, 1, 1, 0, 0, 0, 60_000))


class Leases:
    """Leases one task to whoever asks first, and notes what comes back."""

    def __init__(self) -> None:
        self.leased = asyncio.Event()
        self.released: list[str] = []

    async def lease(self, *_: Any) -> tuple[int, list[PollAnswer]]:
        self.leased.set()
        return 1, [PollAnswer([LEASE], [], False)]

    async def release(self, rows: list[Any]) -> list[bool]:
        self.released += [row[1].task_id for row in rows]
        return [True] * len(rows)


class Empty(Leases):
    """Has nothing to lease."""

    async def lease(self, *_: Any) -> tuple[int, list[PollAnswer]]:
        self.leased.set()
        return 1, [PollAnswer([], [], False)]


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("by_report", [False, True], ids=["poll", "report"])
async def test_a_call_that_goes_away_at_any_moment_leaves_no_lease_behind(
    turns: int, by_report: bool
):
    leases, background = Leases(), Background()
    store: Any = SimpleNamespace(leases=leases, meta=SimpleNamespace(partitions=1))
    polls = Polls(store, "server", background)
    if by_report:
        offer = PollOffer("s", -1, 1, 1_000, ("t",))
        call = asyncio.ensure_future(polls.lease_now("default", ["q"], offer))
    else:
        poll = Poll("default", "s", 1, queues=("q",), task_types=("t",), slots=1, most_bytes=1_000)
        call = asyncio.ensure_future(polls.lease(poll, timedelta(seconds=10)))
    for _ in range(turns):
        await asyncio.sleep(0)

    call.cancel()
    (answer,) = await asyncio.gather(call, return_exceptions=True)
    await background.stop()

    if isinstance(answer, asyncio.CancelledError):
        assert leases.released == [LEASE.task_id] * leases.leased.is_set()
    else:
        assert not isinstance(answer, BaseException), answer
        assert [lease.task_id for lease in answer.leases] == [LEASE.task_id]
        assert leases.released == []


async def test_only_a_poll_that_serves_all_types_of_a_submit_spares_others_the_waking():
    leases, background = Empty(), Background()
    store: Any = SimpleNamespace(leases=leases, meta=SimpleNamespace(partitions=1))
    polls = Polls(store, "server", background)
    poll = Poll("default", "s", 1, queues=("q",), task_types=("a", "b"), slots=1, most_bytes=1_000)
    call = asyncio.ensure_future(polls.lease(poll, timedelta(seconds=10)))
    await leases.leased.wait()

    assert polls.waits_for("default", "q", {"a"})
    assert polls.waits_for("default", "q", {"a", "b"})
    assert not polls.waits_for("default", "q", {"a", "c"})
    assert not polls.waits_for("default", "elsewhere", {"a"})
    polls.drain()
    assert not polls.waits_for("default", "q", {"a"}), "it has its answer, and waits no more"
    assert (await call).reconnect
    await background.stop()


class Slow(Empty):
    """Has nothing, and says so when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()

    async def lease(self, *_: Any) -> tuple[int, list[PollAnswer]]:
        self.leased.set()
        await self.may_answer.wait()
        return 1, [PollAnswer([], [], False)]


async def test_a_poll_that_looks_in_vain_while_a_drain_begins_is_told_to_reconnect():
    leases, background = Slow(), Background()
    store: Any = SimpleNamespace(leases=leases, meta=SimpleNamespace(partitions=1))
    polls = Polls(store, "server", background)
    poll = Poll("default", "s", 1, queues=("q",), task_types=("t",), slots=1, most_bytes=1_000)
    call = asyncio.ensure_future(polls.lease(poll, timedelta(seconds=10)))
    await leases.leased.wait()

    polls.drain()
    leases.may_answer.set()

    assert (await call).reconnect
    await background.stop()
