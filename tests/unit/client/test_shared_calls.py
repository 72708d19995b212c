"""Submits that share a call share nothing else: not even how long they wait."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from penstock import Client
from penstock.errors import DeadlineExceeded
from support.scripted_server import taken


@pytest.mark.parametrize("busy", [False, True], ids=["in the same call", "behind another call"])
async def test_a_submit_ends_with_its_own_time_also_beside_a_more_patient_one(
    server: Any, busy: bool
):
    called, answer = asyncio.Event(), asyncio.Event()

    async def slow(request: Any) -> Any:
        called.set()
        await answer.wait()
        return taken(request)

    server.unary["SubmitTasks"] = slow
    async with Client(server.options(submit_flights=1)) as client:
        patient = asyncio.ensure_future(client.submit("t", timeout=timedelta(minutes=1)))
        if busy:
            await called.wait()

        with pytest.raises(DeadlineExceeded):
            await client.submit("t", timeout=timedelta(milliseconds=50))

        assert not patient.done()
        answer.set()
        assert (await patient).task_id


async def test_submits_with_different_times_each_end_with_their_own(server: Any):
    answer = asyncio.Event()
    ended: list[int] = []

    async def slow(request: Any) -> Any:
        await answer.wait()
        return taken(request)

    async def submit(milliseconds: int) -> None:
        with pytest.raises(DeadlineExceeded):
            await client.submit("t", timeout=timedelta(milliseconds=milliseconds))
        ended.append(milliseconds)

    server.unary["SubmitTasks"] = slow
    async with Client(server.options(submit_flights=1)) as client:
        patient = asyncio.ensure_future(client.submit("t", timeout=timedelta(minutes=1)))
        await asyncio.gather(*(submit(milliseconds) for milliseconds in (60, 20, 100)))
        answer.set()
        await patient

    assert ended == [20, 60, 100]
