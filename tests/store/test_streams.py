"""Log lines and events: bounded, in order, without gap or repeat."""

from __future__ import annotations

import asyncio

import pytest

from penstock_server.model.cursor import Place
from penstock_server.model.errors import CursorExpired
from penstock_server.model.lifecycle import EventKind, ReleaseReason
from penstock_server.model.records import LogRecord, StoreLimits
from support.stores import NAMESPACE, Bench, draft


async def lines_of(bench: Bench, task_id: str, position=(0, 0), *, last=99, limit=100):
    return await bench.store.logs.after(
        NAMESPACE, task_id, position, last_execution=last, limit=limit
    )


# ---- logs ---------------------------------------------------------------------------------------


async def test_lines_are_kept_once_by_their_number(bench: Bench):
    await bench.add()
    lease = await bench.lease()

    assert await bench.log(lease, (1, b"one"), (2, b"two")) == 2
    assert await bench.log(lease, (1, b"one"), (2, b"two"), (3, b"three")) == 3
    assert await bench.log(lease) == 3

    found = await lines_of(bench, lease.task_id)
    assert found == [LogRecord(1, n, line) for n, line in enumerate([b"one", b"two", b"three"], 1)]


async def test_every_execution_numbers_its_lines_anew(bench: Bench):
    await bench.add()
    for _ in range(2):
        lease = await bench.lease()
        await bench.log(lease, (1, b"one"), (2, b"two"))
        await bench.release(lease, ReleaseReason.SHUTDOWN)

    found = await lines_of(bench, lease.task_id)

    assert [(line.execution, line.number) for line in found] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert await lines_of(bench, lease.task_id, (1, 2)) == found[2:]
    assert await lines_of(bench, lease.task_id, last=1) == found[:2]
    assert await lines_of(bench, lease.task_id, limit=1) == found[:1]


@pytest.mark.parametrize(
    "limits", [StoreLimits(log_lines=3), StoreLimits(log_bytes=11)], ids=["lines", "bytes"]
)
async def test_beyond_the_bound_one_mark_says_that_lines_were_cut(bench: Bench):
    await bench.add()
    lease = await bench.lease()

    assert await bench.log(lease, *((n, b"text") for n in range(1, 8))) == 7
    assert await bench.log(lease, (8, b"text")) == 8

    found = await lines_of(bench, lease.task_id)
    assert [(line.number, line.line) for line in found] == [
        (1, b"text"),
        (2, b"text"),
        (3, b"text"),
        (4, b""),
    ]
    await bench.release(lease, ReleaseReason.SHUTDOWN)
    lease = await bench.lease()
    await bench.log(lease, (1, b"text"))
    assert (await lines_of(bench, lease.task_id))[-1] == LogRecord(2, 1, b"text")


async def test_lines_may_come_again_after_the_end_that_they_came_with(bench: Bench):
    await bench.add()
    lease = await bench.lease()
    await bench.log(lease, (1, b"one"))
    await bench.complete(lease)

    assert await bench.log(lease, (1, b"one"), (2, b"two")) == 2


async def test_a_server_that_follows_is_told_of_new_lines_and_of_the_end(bench: Bench):
    async with bench.redis.pubsub() as hears:
        await hears.subscribe("penstock:server:a")
        await hears.get_message(timeout=5)
        task_id = await bench.add()
        lease = await bench.lease()
        await bench.store.tasks.get(NAMESPACE, task_id, waiting_server="a")

        await bench.log(lease, (1, b"one"))
        assert (await hears.get_message(timeout=5))["data"] == f"Tdefault:{task_id}".encode()
        await bench.complete(lease)
        assert (await hears.get_message(timeout=5))["data"] == f"Tdefault:{task_id}".encode()


async def test_only_servers_that_asked_are_told(bench: Bench):
    servers = [f"s{n}" for n in range(10)]
    async with bench.redis.pubsub() as hears:
        await hears.psubscribe("penstock:server:*")
        await hears.get_message(timeout=5)
        task_id = await bench.add()
        for server in (*servers, servers[-1]):
            await bench.store.tasks.get(NAMESPACE, task_id, waiting_server=server)
        await bench.store.tasks.cancel(NAMESPACE, task_id)
        await bench.redis.publish("penstock:server:last", "")

        told = []
        while (message := await hears.get_message(timeout=5))["channel"] != b"penstock:server:last":
            told.append(message["channel"].decode())

    assert sorted(told) == [f"penstock:server:{server}" for server in servers[2:]], "the latest 8"


async def test_a_submit_may_ask_to_be_told_of_the_end(bench: Bench):
    async with bench.redis.pubsub() as hears:
        await hears.subscribe("penstock:server:a")
        await hears.get_message(timeout=5)
        await bench.submit(draft(), waiting_server="a")
        lease = await bench.lease()
        await bench.complete(lease)

        assert (await hears.get_message(timeout=5))["data"].endswith(lease.task_id.encode())


# ---- events -------------------------------------------------------------------------------------


async def test_every_change_of_a_task_is_told_in_order(bench: Bench):
    start = await bench.store.events.end(bench.home)
    task_id = await bench.add(delay_ms=1_000, policy={"max_attempts": 2})
    bench.clock.advance(seconds=1)
    await bench.promote()
    lease = await bench.lease()
    await bench.accept(lease, progress=b"half")
    await bench.fail(lease)
    bench.clock.advance(seconds=1)
    await bench.promote()
    await bench.release(await bench.lease(), ReleaseReason.SHUTDOWN)
    await bench.fail(await bench.lease())
    await bench.store.tasks.retry(NAMESPACE, task_id, request_id="", draft=None)
    await bench.store.tasks.update(await bench.task(task_id), draft(), due_ms=-1)
    lease = await bench.lease()
    await bench.store.tasks.cancel(NAMESPACE, task_id)
    await bench.fail(lease)
    await bench.store.tasks.delete(NAMESPACE, task_id)

    batch = await bench.store.events.after(bench.home, start)

    k = EventKind
    assert [event.kind for event in batch.events] == [
        *(k.SUBMITTED, k.READY, k.LEASED, k.PROGRESSED, k.RETRY_SCHEDULED, k.READY, k.LEASED),
        *(k.RELEASED, k.LEASED, k.FAILED, k.RETRIED, k.UPDATED, k.LEASED, k.CANCEL_REQUESTED),
        *(k.CANCELLED, k.DELETED),
    ]
    assert [event.sequence for event in batch.events] == list(range(1, 17))
    assert {event.task_id for event in batch.events} == {task_id}
    assert (await bench.store.events.after(bench.home, batch.position)).events == []


async def test_a_reader_goes_on_without_gap_or_repeat(bench: Bench):
    place = await bench.store.events.end(bench.home)
    ids, seen = [], []
    for _ in range(7):
        ids += [await bench.add(), await bench.add()]
        batch = await bench.store.events.after(bench.home, place, limit=1)
        while batch.events:
            seen += [event.task_id for event in batch.events]
            place = batch.position
            batch = await bench.store.events.after(bench.home, place, limit=1)

    assert seen == ids


async def test_a_reader_that_waits_gets_what_comes(bench: Bench):
    place = await bench.store.events.end(bench.home)
    waiting = asyncio.create_task(bench.store.events.wait(bench.home, place, block_ms=20_000))
    task_id = await bench.add()

    batch = await waiting

    assert batch is not None
    assert [event.task_id for event in batch.events] == [task_id]


async def test_a_reader_whose_place_is_gone_is_told_so(bench: Bench):
    place = await bench.store.events.end(bench.home)
    for _ in range(3):
        await bench.add()
    oldest = (await bench.store.events.after(bench.home, place, limit=1)).position
    await bench.redis.xtrim(f"{{p{bench.home}}}:events", maxlen=1, approximate=False)

    with pytest.raises(CursorExpired):
        await bench.store.events.after(bench.home, place)
    with pytest.raises(CursorExpired):
        await bench.store.events.after(bench.home, oldest)


async def test_a_reader_at_the_end_of_an_empty_stream_goes_on(bench: Bench):
    await bench.add()
    place = await bench.store.events.end(bench.home)
    await bench.redis.xtrim(f"{{p{bench.home}}}:events", maxlen=0, approximate=False)
    assert (await bench.store.events.after(bench.home, place)).events == []
    assert (await bench.store.events.end(bench.home)).number == place.number

    task_id = await bench.add()

    (event,) = (await bench.store.events.after(bench.home, place)).events
    assert event.task_id == task_id


async def test_everything_gone_behind_a_place_is_a_gap(bench: Bench):
    place = await bench.store.events.end(bench.home)
    await bench.add()
    await bench.redis.xtrim(f"{{p{bench.home}}}:events", maxlen=0, approximate=False)

    with pytest.raises(CursorExpired):
        await bench.store.events.after(bench.home, place)


async def test_a_place_that_the_store_does_not_know_is_refused(bench: Bench):
    await bench.add()
    place = await bench.store.events.end(bench.home)

    with pytest.raises(CursorExpired):
        await bench.store.events.after(bench.home, Place(place.entry_id, place.number + 5))
