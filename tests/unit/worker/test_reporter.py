"""What the reporter tells the poller of its calls."""

from __future__ import annotations

import asyncio

from penstock.v1 import worker_service_pb2 as pb
from penstock_worker import endings
from penstock_worker.capacity import Capacity
from penstock_worker.held import Held
from penstock_worker.reporter import Reporter


class FakeServer:
    """Takes every report, once it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def report(
        self, request: pb.ReportExecutionsRequest, _timeout: float
    ) -> pb.ReportExecutionsResponse:
        self.asked.set()
        await self.answers.wait()
        return pb.ReportExecutionsResponse(results=[pb.ReportResult() for _ in request.items])


class Owner:
    """Notes which executions are settled."""

    def __init__(self) -> None:
        self.settled: list[Held] = []
        self.answered = asyncio.Event()

    def on_answer(self, response: pb.ReportExecutionsResponse, sent: float) -> None:
        self.answered.set()

    def on_settled(self, held: Held) -> None:
        self.settled.append(held)

    def on_lost(self, held: Held) -> None:
        raise AssertionError(f"{held.token} was not lost")

    on_cancel_requested = on_lost


async def test_a_poll_leaves_tasks_to_reports_that_are_under_way_and_no_others():
    server, owner = FakeServer(), Owner()
    reporter = Reporter(
        server,  # type: ignore[arg-type] # answers as a connection does
        Capacity(4, 0),
        owner,
        namespace="default",
        session_id="s",
        queues=("q",),
    )
    held = Held(1, "token", 60.0, 0.0)
    held.outcome, held.item = endings.released(endings.SHUTDOWN, "")

    reporter.touch(held)
    assert not reporter.is_busy
    await server.asked.wait()
    assert reporter.is_busy
    server.answers.set()
    await owner.answered.wait()
    await reporter.flush(timeout=10)

    assert not reporter.is_busy
    assert owner.settled == [held]
