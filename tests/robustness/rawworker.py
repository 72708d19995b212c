"""A worker made by hand from the two calls of the protocol. It behaves well most of the time, and
reports with stale tokens on purpose: of leases it let expire, of executions that it has ended
already, of tasks that others run by now.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import grpc

from penstock.channel import open_channel
from penstock.options import ClientOptions
from penstock.v1 import error_pb2, execution_pb2, worker_pb2
from penstock.v1 import worker_service_pb2 as pb
from penstock.v1.worker_service_pb2_grpc import WorkerServiceStub
from robustness.history import OK, REFUSED, UNKNOWN, Leased, Recorder, Report, now
from robustness.plan import Plan
from robustness.world import RAW_QUEUE

_TYPES: Final = ("r.async", "r.thread", "r.isolated", "r.flaky", "r.deadly")
_SLOTS: Final = 6
_OLD: Final = 200
_FATES: Final = {"complete": 50, "fail": 12, "release": 10, "crash": 6, "abandon": 12, "twice": 10}
"""What becomes of a lease, and how often of 100."""


@dataclass(slots=True)
class Held:
    """A lease, as long as the token may be of use for mischief."""

    token: str
    task: str
    execution: int
    session: str


class RawWorker:
    """Leases from the raw queue, under a new session every now and then."""

    def __init__(self, address: str, plan: Plan, recorder: Recorder) -> None:
        self._rng = plan.rng("raw")
        self._term = plan.term
        self._recorder = recorder
        self._channel = open_channel(ClientOptions(address=address))
        self._stub = WorkerServiceStub(self._channel)
        self._old: deque[Held] = deque(maxlen=_OLD)
        self._running: set[asyncio.Task[None]] = set()
        self.sessions: list[str] = []
        """All that it used."""
        self._polls = 0
        self._peace = asyncio.Event()

    async def run(self, peace: asyncio.Event, over: asyncio.Event) -> None:
        """Works until it is over; from `peace` on it lets no lease run out."""
        self._peace = peace
        self._new_session()
        try:
            while not over.is_set():
                await self._turn()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self._channel.close(None)

    def _new_session(self) -> None:
        self.sessions.append(str(uuid.UUID(int=self._rng.getrandbits(128), version=4)))
        self._polls = 0

    async def _turn(self) -> None:
        if self._rng.random() < 0.02:
            self._new_session()
        free = _SLOTS - len(self._running)
        if free <= 0:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return
        for lease in await self._poll(free):
            task = asyncio.ensure_future(self._work(self._take(lease)))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _poll(self, free: int) -> list[worker_pb2.Lease]:
        self._polls += 1
        session = worker_pb2.WorkerSession(session_id=self.sessions[-1], slots=_SLOTS)
        request = pb.LeaseTasksRequest(
            namespace="default",
            session=session,
            poll_seq=self._polls,
            queues=[RAW_QUEUE],
            task_types=_TYPES,
            max_tasks=free,
        )
        request.wait.FromMilliseconds(2_000)
        try:
            response = await self._stub.LeaseTasks(request, timeout=8)
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.2)
            return []
        return list(response.leases)

    def _take(self, lease: worker_pb2.Lease) -> Held:
        self._recorder.add(
            Leased(
                session=self.sessions[-1],
                task=lease.task_id,
                execution=lease.execution,
                fence=lease.fence,
                at=now(),
            )
        )
        return Held(lease.lease_token, lease.task_id, lease.execution, self.sessions[-1])

    async def _work(self, held: Held) -> None:
        (fate,) = self._rng.choices(list(_FATES), list(_FATES.values()))
        accepted = await self._until_answered(held, "accept")
        await asyncio.sleep(self._rng.choice((0, 0.02, 0.2)))
        if fate == "abandon" and not self._peace.is_set():
            await self._abandon(held)
        elif accepted:
            await self._until_answered(held, "complete" if fate in ("twice", "abandon") else fate)
            if fate == "twice":
                await self._until_answered(held, "complete")
        self._old.append(held)
        await self._mischief()

    async def _abandon(self, held: Held) -> None:
        """Lets the lease run out, while others take the task; then acts as if it had not."""
        await asyncio.sleep(self._term + self._rng.uniform(1.5, 5))
        for what in ("heartbeat", self._rng.choice(("complete", "fail", "release"))):
            await self._report(held, what, stale=True)

    async def _mischief(self) -> None:
        if self._old and self._rng.random() < 0.3:
            held = self._rng.choice(self._old)
            what = self._rng.choice(("heartbeat", "complete", "fail", "release"))
            await self._report(held, what, stale=True)

    async def _until_answered(self, held: Held, what: str) -> bool:
        """Repeats a report until it is answered or the lease must be over; whether it was taken."""
        give_up = now() + 2 * self._term
        while now() < give_up:
            outcome = await self._report(held, what)
            if outcome != UNKNOWN:
                return outcome == OK
            await asyncio.sleep(0.2)
        return False

    async def _report(self, held: Held, what: str, *, stale: bool = False) -> str:
        request = pb.ReportExecutionsRequest(namespace="default", session_id=held.session)
        request.items.append(_item(held.token, what))
        began, reason = now(), ""
        try:
            response = await self._stub.ReportExecutions(request, timeout=8)
        except grpc.aio.AioRpcError as error:
            outcome, reason = UNKNOWN, error.code().name
        else:
            outcome, reason = _answer(response.results[0])
        self._recorder.add(
            Report(
                session=held.session,
                task=held.task,
                execution=held.execution,
                what=what,
                invoked=began,
                returned=now(),
                outcome=outcome,
                reason=reason,
                stale=stale,
            )
        )
        return outcome


def _answer(result: Any) -> tuple[str, str]:
    if not result.HasField("error"):
        return OK, ""
    return REFUSED, error_pb2.ErrorReason.Name(result.error.reason).removeprefix("ERROR_REASON_")


def _item(token: str, what: str) -> pb.ReportItem:
    item = pb.ReportItem(lease_token=token)
    if what == "accept":
        item.accept.SetInParent()
    elif what == "heartbeat":
        item.heartbeat.SetInParent()
    elif what == "complete":
        item.complete.SetInParent()
    elif what == "release":
        item.release.reason = execution_pb2.RELEASE_REASON_NO_RESOURCES
    else:
        item.fail.outcome = (
            execution_pb2.EXECUTION_OUTCOME_CRASHED
            if what == "crash"
            else execution_pb2.EXECUTION_OUTCOME_FAILED
        )
        item.fail.failure.kind = "raw"
        item.fail.failure.message = "on purpose"
    return item
