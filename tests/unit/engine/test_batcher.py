"""The batcher: together when that helps, apart when that hurts, nobody forgotten."""

from __future__ import annotations

import asyncio

import pytest

from penstock_server.model.errors import Overloaded, StoreUnavailable
from penstock_server.store.batcher import Batcher


class Wire:
    """Notes what is sent; answers when it is told to, or at once."""

    def __init__(self, *, held: bool = False) -> None:
        self.sent: list[list[object]] = []
        self.open = asyncio.Event()
        if not held:
            self.open.set()

    async def send(self, items: list[object]) -> list[object]:
        self.sent.append(items)
        await self.open.wait()
        if "poison" in items:
            raise ValueError("a poison item")
        if "away" in items:
            raise StoreUnavailable
        return [f"answer to {item}" for item in items]


async def turn() -> None:
    """Lets everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_calls_of_one_turn_leave_together_and_are_answered_apart():
    wire = Wire()
    batcher = Batcher(wire.send)

    answers = await asyncio.gather(batcher.call(["a"]), batcher.call(["b", "c"]))

    assert wire.sent == [["a", "b", "c"]]
    assert [*answers] == [["answer to a"], ["answer to b", "answer to c"]]


async def test_calls_wait_only_while_enough_are_under_way():
    wire = Wire(held=True)
    batcher = Batcher(wire.send, in_flight=2, worth_it=1)
    calls = []
    for name in "abcd":
        calls.append(asyncio.create_task(batcher.call([name])))
        await turn()
    assert wire.sent == [["a"], ["b"]]

    wire.open.set()
    await asyncio.gather(*calls)

    assert wire.sent == [["a"], ["b"], ["c", "d"]]


async def test_a_batch_is_bounded_in_items_and_bytes():
    wire = Wire()
    batcher = Batcher(wire.send, in_flight=1, most_items=3, most_bytes=100)

    await asyncio.gather(
        *(batcher.call([name]) for name in "abcd"),
        batcher.call(["big"], size=90),
        batcher.call(["small"], size=20),
        batcher.call(["heavy"], weight=9),
    )

    assert wire.sent == [["a", "b", "c"], ["d", "big"], ["small"], ["heavy"]]


async def test_what_waits_is_bounded_too():
    wire = Wire(held=True)
    batcher = Batcher(wire.send, in_flight=1, most_waiting_bytes=100)
    calls = [asyncio.create_task(batcher.call(["under way"], size=500))]
    await turn()
    calls.append(asyncio.create_task(batcher.call(["waits"], size=90)))
    await turn()

    with pytest.raises(Overloaded):
        await batcher.call(["too much"], size=20)

    wire.open.set()
    await asyncio.gather(*calls)


async def test_a_poison_item_fails_alone():
    wire = Wire()
    batcher = Batcher(wire.send)

    found = await asyncio.gather(
        *(batcher.call([name]) for name in ("a", "poison", "b")), return_exceptions=True
    )

    assert found[0] == ["answer to a"]
    assert isinstance(found[1], ValueError)
    assert found[2] == ["answer to b"]
    assert wire.sent[1:] == [["a"], ["poison"], ["b"]]


async def test_a_store_that_is_away_is_asked_once_for_all():
    wire = Wire()
    batcher = Batcher(wire.send)

    found = await asyncio.gather(
        batcher.call(["a"]), batcher.call(["away"]), return_exceptions=True
    )

    assert [type(error) for error in found] == [StoreUnavailable] * 2
    assert len(wire.sent) == 1


async def test_a_caller_that_has_gone_is_skipped_and_the_others_are_not():
    wire = Wire(held=True)
    batcher = Batcher(wire.send, in_flight=1)
    first = asyncio.create_task(batcher.call(["a"]))
    await turn()
    gone, stays = asyncio.create_task(batcher.call(["b"])), asyncio.create_task(batcher.call(["c"]))
    await turn()
    gone.cancel()
    await turn()

    wire.open.set()

    assert await first == ["answer to a"]
    assert await stays == ["answer to c"]
    assert wire.sent == [["a"], ["c"]]


async def test_what_has_left_is_never_called_back():
    wire = Wire(held=True)
    batcher = Batcher(wire.send)
    gone, stays = asyncio.create_task(batcher.call(["a"])), asyncio.create_task(batcher.call(["b"]))
    await turn()
    gone.cancel()
    await turn()
    wire.open.set()

    assert await stays == ["answer to b"]
    assert wire.sent == [["a", "b"]]


async def test_a_drain_waits_for_everything():
    wire = Wire(held=True)
    batcher = Batcher(wire.send, in_flight=1)
    calls = []
    for name in "ab":
        calls.append(asyncio.create_task(batcher.call([name])))
        await turn()
    drain = asyncio.create_task(batcher.drain())
    await turn()
    assert not drain.done()

    wire.open.set()
    await drain

    assert all(call.done() for call in calls)


async def test_a_few_calls_wait_for_the_batch_under_way_and_many_do_not():
    wire = Wire(held=True)
    batcher = Batcher(wire.send, in_flight=2, worth_it=3)
    calls = [asyncio.create_task(batcher.call(["a"]))]
    await turn()
    calls.append(asyncio.create_task(batcher.call(["b", "c"])))
    await turn()
    assert wire.sent == [["a"]]

    calls.append(asyncio.create_task(batcher.call(["d"])))
    await turn()

    assert wire.sent == [["a"], ["b", "c", "d"]]
    wire.open.set()
    await asyncio.gather(*calls)
