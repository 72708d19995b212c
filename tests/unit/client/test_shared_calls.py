"""Submits that share a call share nothing else: not even how long they wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import uvloop

from penstock import Client, coalesce
from penstock.errors import DeadlineExceeded
from penstock.v1.task_service_pb2 import SubmitTasksItem
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


class Silence:
    """A transport whose calls are never answered."""

    closed = False

    def clock(self) -> float:
        return asyncio.get_running_loop().time()

    def closed_error(self) -> Exception:
        return RuntimeError("closed")


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_submits_whose_times_end_within_a_millisecond_each_end_with_their_own(
    run: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
):
    """A timer of uvloop that is due at once does not tell when."""
    monkeypatch.setattr(coalesce, "_SLACK", 0.0)
    ended: list[type[BaseException]] = []

    async def submit(calls: coalesce.Coalescer, microseconds: int) -> None:
        for _ in range(2):
            try:
                await calls.submit(SubmitTasksItem(), timedelta(microseconds=microseconds))
            except Exception as error:
                ended.append(type(error))

    async def main() -> None:
        transport: Any = Silence()
        calls = coalesce.Coalescer(transport, 0)
        await asyncio.gather(*(submit(calls, 20_000 + 100 * place) for place in range(200)))
        await calls.close()

    run(main())

    assert ended == [DeadlineExceeded] * 400
