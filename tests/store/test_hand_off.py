"""Submit and lease in one step, where a poll waits."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import pytest

from penstock_server.model.errors import StoreFull
from penstock_server.model.lifecycle import EventKind, TaskState
from penstock_server.model.records import LeaseRecord, Submitted
from penstock_server.store.leases import PollAnswer, PollOffer
from support.stores import NAMESPACE, QUEUE, SERVER, TYPE, Bench, draft, token_of


class Takers:
    """One poll that waits for the usual queue, and what becomes of it."""

    def __init__(self, slots: int) -> None:
        self.server_id = SERVER
        self.offers: Sequence[PollOffer] = [PollOffer("s1", 1, slots, 3_500_000, (TYPE,))]
        self.leases: list[LeaseRecord] = []
        self.abandoned = 0
        self.told: list[str] = []

    def begin(self, namespace: str, queue: str, task_types: Set[str], most: int) -> Any:
        assert (namespace, queue) == (NAMESPACE, QUEUE)
        fits = most and TYPE in task_types
        return self if fits else None

    def on_queue(self, _namespace: str, queue: str) -> None:
        self.told.append(queue)

    def deliver(self, now_ms: int, answers: Sequence[PollAnswer]) -> None:
        assert now_ms > 0
        self.leases += [lease for answer in answers for lease in answer.leases]

    def abandon(self) -> None:
        self.abandoned += 1


def waiting(bench: Bench, slots: int = 1) -> Takers:
    takers = bench.store.hand_off.takers = Takers(slots)
    return takers


async def test_a_task_goes_to_the_poll_that_waits_with_the_call_that_submits_it(bench: Bench):
    takers = waiting(bench)

    (taken,) = await bench.submit(draft(), here=[QUEUE])

    assert isinstance(taken, Submitted)
    (lease,) = takers.leases
    assert lease.task_id == taken.task_id
    assert (await bench.task(taken.task_id)).state is TaskState.RUNNING
    assert [event.kind for event in await bench.events()] == [EventKind.SUBMITTED, EventKind.LEASED]
    assert takers.told == [], "nobody need look for what is leased already"
    assert await bench.complete(lease)


async def test_a_task_that_waits_already_comes_first(bench: Bench):
    older = await bench.add()
    takers = waiting(bench)

    await bench.submit(draft(), here=[QUEUE])

    assert [lease.task_id for lease in takers.leases] == [older]


async def test_what_the_poll_has_no_slot_for_is_looked_for_afterwards(bench: Bench):
    takers = waiting(bench, slots=2)

    taken = await bench.submit(draft(), draft(), draft(), here=[QUEUE])

    assert len(takers.leases) == 2
    assert takers.told == [QUEUE]
    assert len(taken) == 3


@pytest.mark.parametrize("fields", [{"delay_ms": 60_000}, {"task_type": "another"}])
async def test_what_no_poll_can_take_at_once_is_only_submitted(
    bench: Bench, fields: dict[str, Any]
):
    takers = waiting(bench)

    await bench.submit(draft(**fields), here=[QUEUE])

    assert takers.leases == []
    assert takers.told == [QUEUE]


async def test_a_large_batch_is_leased_by_calls_of_its_own(bench: Bench):
    takers = waiting(bench)

    await bench.submit(*(draft() for _ in range(40)), here=[QUEUE])

    assert takers.leases == []
    assert takers.told == [QUEUE]


async def test_a_repeated_submit_hands_out_nothing_twice(bench: Bench):
    takers = waiting(bench)
    (first,) = await bench.submit(draft(), here=[QUEUE], request_id="r")

    (again,) = await bench.submit(draft(), here=[QUEUE], request_id="r")

    assert isinstance(first, Submitted)
    assert isinstance(again, Submitted)
    assert again.task_id == first.task_id
    assert len(takers.leases) == 1


async def test_polls_are_free_again_when_a_full_store_refuses_the_task(bench: Bench):
    takers = waiting(bench)
    await bench.redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreFull):
            await bench.submit(draft(), here=[QUEUE])
    finally:
        await bench.redis.config_set("maxmemory", 0)

    assert (takers.abandoned, takers.leases) == (1, [])


async def test_who_waits_gets_the_task_with_the_call_that_ends_it_and_no_note(bench: Bench):
    task_id = (await bench.submit(draft(), waiting_server=SERVER))[0].task_id  # type: ignore[union-attr]
    lease = await bench.lease()
    listener = bench.redis.pubsub(ignore_subscribe_messages=True)
    await listener.subscribe(f"penstock:server:{SERVER}")
    await listener.get_message(timeout=5)

    (ended,) = await bench.store.leases.complete(
        [(NAMESPACE, token_of(lease), b"result")], awaited={task_id}, server_id=SERVER
    )
    await bench.redis.publish(f"penstock:server:{SERVER}", "the only note")

    assert ended == await bench.task(task_id)
    note = await listener.get_message(timeout=5)
    assert note is not None
    assert note["data"] == b"the only note"
    await listener.aclose()


async def test_servers_elsewhere_that_wait_are_told_by_a_note(bench: Bench):
    task_id = (await bench.submit(draft(), waiting_server="elsewhere"))[0].task_id  # type: ignore[union-attr]
    lease = await bench.lease()
    listener = bench.redis.pubsub(ignore_subscribe_messages=True)
    await listener.subscribe("penstock:server:elsewhere")
    await listener.get_message(timeout=5)

    await bench.store.leases.complete(
        [(NAMESPACE, token_of(lease), b"")], awaited={task_id}, server_id=SERVER
    )

    note = await listener.get_message(timeout=5)
    assert note is not None
    assert note["data"].decode() == f"T{NAMESPACE}:{task_id}"
    await listener.aclose()
