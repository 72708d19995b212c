"""What the reporter tells the poller of its calls."""

from __future__ import annotations

import asyncio

from penstock.errors import ServerUnavailable
from penstock.v1 import worker_service_pb2 as pb
from penstock_worker import endings
from penstock_worker.capacity import Capacity
from penstock_worker.held import Held
from penstock_worker.reporter import Reporter


class FakeServer:
    """Takes every report, once it is told to, but for those that it is to fail."""

    def __init__(self, *, fails: int = 0) -> None:
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self._fails = fails

    async def report(
        self, request: pb.ReportExecutionsRequest, _timeout: float
    ) -> pb.ReportExecutionsResponse:
        self.asked.set()
        if self._fails:
            self._fails -= 1
            raise ServerUnavailable("not now")
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


def _reporter(server: FakeServer, owner: Owner) -> Reporter:
    return Reporter(
        server,  # type: ignore[arg-type] # answers as a connection does
        Capacity(4, 0),
        owner,
        namespace="default",
        session_id="s",
        queues=("q",),
    )


def _ended() -> Held:
    held = Held(1, "token", 60.0, 0.0)
    held.outcome, held.item = endings.released(endings.SHUTDOWN, "")
    return held


async def _report_all(server: FakeServer, owner: Owner, reporter: Reporter) -> None:
    server.answers.set()
    await owner.answered.wait()
    await reporter.flush(timeout=10)


async def test_a_poll_leaves_tasks_to_reports_that_are_under_way_and_no_others():
    server, owner, held = FakeServer(), Owner(), _ended()
    reporter = _reporter(server, owner)

    reporter.touch(held)
    assert not reporter.is_busy
    await server.asked.wait()
    assert reporter.is_busy
    await _report_all(server, owner, reporter)

    assert not reporter.is_busy
    assert owner.settled == [held]


async def test_no_poll_asks_for_tasks_in_place_of_reports_that_fail():
    server, owner = FakeServer(fails=1), Owner()
    reporter = _reporter(server, owner)
    reporter.touch(_ended())
    await server.asked.wait()

    assert reporter.is_busy
    await _report_all(server, owner, reporter)

    assert not reporter.is_busy
