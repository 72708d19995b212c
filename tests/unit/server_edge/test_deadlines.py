"""The longest time of calls."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penstock_server.service.interceptors.deadline import Deadlines

SOON, NEVER = timedelta(milliseconds=20), timedelta(hours=1)


async def call(deadlines: Deadlines, work: asyncio.Event) -> str:
    task = deadlines.enter()
    try:
        await work.wait()
        return "answered"
    except asyncio.CancelledError:
        if deadlines.has_ended(task):
            return "overdue"
        raise
    finally:
        deadlines.leave(task)


async def test_a_call_is_ended_when_its_time_is_over_and_a_later_one_too() -> None:
    deadlines = Deadlines(SOON)

    first = await asyncio.wait_for(call(deadlines, asyncio.Event()), 10)
    later = await asyncio.wait_for(call(deadlines, asyncio.Event()), 10)

    assert (first, later) == ("overdue", "overdue")


async def test_a_call_that_answers_in_time_is_left_alone() -> None:
    deadlines, work = Deadlines(NEVER), asyncio.Event()
    task = asyncio.ensure_future(call(deadlines, work))
    await asyncio.sleep(0)

    work.set()

    assert await task == "answered"


async def test_a_caller_that_goes_away_is_no_deadline() -> None:
    deadlines = Deadlines(NEVER)
    task = asyncio.ensure_future(call(deadlines, asyncio.Event()))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_old_call_is_ended_while_new_ones_go_on() -> None:
    deadlines, work = Deadlines(SOON), asyncio.Event()
    old = asyncio.ensure_future(call(deadlines, asyncio.Event()))
    assert await asyncio.wait_for(old, 10) == "overdue"

    new = asyncio.ensure_future(call(deadlines, work))
    await asyncio.sleep(0)
    work.set()

    assert await new == "answered"
