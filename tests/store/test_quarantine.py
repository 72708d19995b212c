"""An event entry that nobody can read is set aside and stands in nobody's way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgpack
import pytest

from penstock_server.model.errors import CursorExpired
from penstock_server.store import keys
from support.stores import Bench

BAD: Mapping[str, Any] = {
    "no msgpack": b"\xc1",
    "a version of tomorrow": msgpack.packb([4, 0, []]),
    "a kind that nobody knows": msgpack.packb(
        [
            3,
            0,
            [
                [
                    "default",
                    "q",
                    "t",
                    1,
                    msgpack.packb(["0" * 26, 99, 1, 3, 0, 0, 0, 0, 0, "", None]),
                ]
            ],
        ]
    ),
    "fewer events than it says": msgpack.packb([3, 0, [["default", "q", "t", 1, b""]]]),
    "too short": msgpack.packb([3]),
}


@pytest.fixture(autouse=True)
async def cleared(bench: Bench) -> AsyncIterator[None]:
    """Bad entries go before the bench reads its events."""
    yield
    await bench.redis.delete(keys.key(bench.home, "events"))


async def plant(bench: Bench, fields: Mapping[str, Any]) -> None:
    """Appends an entry as a script would, but for what is in it."""
    count = await bench.redis.incr(keys.key(bench.home, "event_count"))
    await bench.redis.xadd(keys.key(bench.home, "events"), {"n": count, "b": 1, **fields})


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_bad_event_ends_the_watches_before_it_and_no_later_one(bench: Bench, bad: bytes):
    events = bench.store.events
    start = await events.end(bench.home)
    before = await bench.add()
    await plant(bench, {"d": bad})

    batch = await events.after(bench.home, start)
    assert [event.task_id for event in batch.events] == [before], "what came first is given"
    with pytest.raises(CursorExpired):
        await events.after(bench.home, batch.position)
    with pytest.raises(CursorExpired):
        await events.wait(bench.home, batch.position, block_ms=10)

    behind = await events.end(bench.home)
    after = await bench.add()
    later = await events.after(bench.home, behind)
    assert [event.task_id for event in later.events] == [after]
    assert await events.set_aside(bench.home) == 1, "once, however often it is met"


async def test_an_entry_without_its_fields_is_no_end_of_the_stream(bench: Bench):
    events = bench.store.events
    start = await events.end(bench.home)
    count = await bench.redis.incr(keys.key(bench.home, "event_count"))
    await bench.redis.xadd(keys.key(bench.home, "events"), {"junk": "1"})

    with pytest.raises(CursorExpired):
        await events.after(bench.home, start)
    behind = await events.end(bench.home)
    task = await bench.add()

    assert behind.number == count
    assert [e.task_id for e in (await events.after(bench.home, behind)).events] == [task]


async def test_the_quarantine_is_bounded(bench: Bench):
    events = bench.store.events
    for _ in range(105):
        start = await events.end(bench.home)
        await plant(bench, {"d": b"x" * 10_000})
        with pytest.raises(CursorExpired):
            await events.after(bench.home, start)

    kept = await bench.redis.hgetall(keys.key(bench.home, "quarantine"))

    assert len(kept) == 100
    assert all(len(value) < 5_000 for value in kept.values())
