"""The clients: each does one operation after the other, drawn from a stated mix, and records it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from penstock import (
    Client,
    ClientOptions,
    PenstockError,
    RetryPolicy,
    Task,
    TaskRequest,
)
from penstock.errors import (
    ClientClosed,
    DeadlineExceeded,
    Internal,
    TaskNotEnded,
    TryLater,
)
from robustness.history import OK, REFUSED, UNKNOWN, Call, Recorder, now
from robustness.plan import Plan
from robustness.world import QUEUES, RAW_QUEUE

MIX: Final[dict[str, int]] = {
    "submit": 40,
    "submit_keyed": 12,
    "submit_later": 6,
    "batch": 6,
    "run": 12,
    "cancel": 9,
    "retry": 5,
    "update": 3,
    "end": 1,
    "pause": 3,
    "burst": 3,
}
"""Operations and how often each is drawn, of 100."""

_TYPES: Final = {"r.async": 50, "r.thread": 20, "r.isolated": 12, "r.flaky": 14, "r.deadly": 4}
_RETRY: Final = RetryPolicy(
    max_attempts=4,
    initial_backoff=timedelta(milliseconds=100),
    max_backoff=timedelta(seconds=1),
    max_crashes=20,
)
_PATIENCE: Final = timedelta(seconds=15)
_KEYS: Final = 40
_REMEMBERED: Final = 400
_LONGEST_PAUSE: Final = 1.5


class Known:
    """Tasks that the clients know of, of late."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.dead: list[str] = []

    def add(self, task: str) -> None:
        """A task that was submitted."""
        self.tasks.append(task)
        del self.tasks[:-_REMEMBERED]


class Caller:
    """One client and the operations it does."""

    def __init__(
        self, name: str, address: str, plan: Plan, recorder: Recorder, known: Known
    ) -> None:
        self.name = name
        self._plan = plan
        self._rng = plan.rng(name)
        self._recorder = recorder
        self._known = known
        self._made = 0
        options = ClientOptions(address=address, timeout=_PATIENCE, stream_patience=_PATIENCE)
        self._client = Client(options)

    async def run(self, over: asyncio.Event) -> None:
        """Operations until it is over; the one under way is then ended."""
        names, weights = list(MIX), list(MIX.values())
        wait = self._plan.clients / self._plan.rate
        async with self._client:
            while not over.is_set():
                (name,) = self._rng.choices(names, weights)
                await getattr(self, f"_{name}")()
                with suppress(TimeoutError):
                    await asyncio.wait_for(over.wait(), self._rng.expovariate(1 / wait))

    # ---- submits ----------------------------------------------------------------------------

    async def _submit(self) -> None:
        await self._one(self._request())

    async def _submit_keyed(self) -> None:
        queue = self._rng.choice(QUEUES)
        request = self._request(queue=queue)
        # A key stands for one spec: the marker is made from it.
        request.idempotency_key = f"k{self._rng.randrange(_KEYS)}.{int(now()) // 20}"
        request.payload = {"m": f"{request.idempotency_key}@{queue}", "seconds": 0.05}
        request.task_type, request.priority = "r.async", None
        await self._one(request)

    async def _submit_later(self) -> None:
        request = self._request()
        request.delay = timedelta(seconds=self._rng.uniform(0.1, 3))
        await self._one(request)

    async def _burst(self) -> None:
        await asyncio.gather(*(self._one(self._request()) for _ in range(10)))

    async def _one(self, request: TaskRequest) -> None:
        marker, began = marker_of(request), now()
        fields = {n: getattr(request, n) for n in ("queue", "priority", "delay", "retry")}
        if request.idempotency_key:
            fields["idempotency_key"] = request.idempotency_key
        try:
            result = await self._client.submit(request.task_type, request.payload, **fields)
        except PenstockError as error:
            self._record("submit", marker, began, error=error, key=key_of(request))
        else:
            self._known.add(result.task_id)
            self._record(
                "submit",
                marker,
                began,
                task=result.task_id,
                existing=result.existing,
                key=key_of(request),
            )

    async def _batch(self) -> None:
        whole = self._rng.random() < 0.5
        queue = self._rng.choice(QUEUES)
        requests = [self._request(queue=queue) for _ in range(self._rng.randint(2, 20))]
        batch = f"{self.name}-{self._made}" if whole else ""
        began = now()
        try:
            results = await self._client.submit_many(requests, all_or_none=whole)
        except PenstockError as error:
            for request in requests:
                self._record("submit", marker_of(request), began, error=error, batch=batch)
            return
        for request, result in zip(requests, results, strict=True):
            if result.error is None:
                self._known.add(result.task_id)
            self._record(
                "submit",
                marker_of(request),
                began,
                error=result.error,
                task=result.task_id,
                existing=result.existing,
                batch=batch,
            )

    async def _run(self) -> None:
        request = self._request(queue=self._rng.choice(QUEUES))
        began = now()
        try:
            task = await self._client.run_task(
                request.task_type,
                request.payload,
                queue=request.queue,
                retry=request.retry,
                timeout=_PATIENCE,
            )
        except PenstockError as error:
            self._record("run", marker_of(request), began, error=error)
        else:
            self._known.add(task.task_id)
            self._record("run", marker_of(request), began, task=task.task_id, state=task.state)

    def _request(self, queue: str = "") -> TaskRequest:
        rng = self._rng
        self._made += 1
        (task_type,) = rng.choices(list(_TYPES), list(_TYPES.values()))
        if not queue:
            queue = RAW_QUEUE if rng.random() < 0.2 else rng.choice(QUEUES)
        seconds = 6.5 if rng.random() < 0.01 else rng.choice((0, 0, 0.02, 0.1, 0.3))
        payload = {
            "m": f"{self.name}.{self._made}",
            "seconds": seconds,
            "fails": rng.choice((1, 1, 2, 9)) if task_type == "r.flaky" else 1,
            "lines": rng.choice((0, 0, 3, 20)),
        }
        priority = rng.choice((None, None, 2, 8))
        return TaskRequest(task_type, payload, queue=queue, priority=priority, retry=_RETRY)

    # ---- acts -------------------------------------------------------------------------------

    async def _cancel(self) -> None:
        grace = timedelta(seconds=self._rng.choice((0.2, 1)))
        await self._act("cancel", lambda task: self._client.cancel(task, grace=grace))

    async def _retry(self) -> None:
        await self._act("retry", self._client.retry)

    async def _update(self) -> None:
        priority = self._rng.randrange(10)
        await self._act("update", lambda task: self._client.update(task, priority=priority))

    async def _end(self) -> None:
        await self._act("end", lambda task: self._client.end(task, result={"m": "operator"}))

    async def _act(self, op: str, act: Callable[[str], Awaitable[Task]]) -> None:
        if not self._known.tasks:
            return
        # Mostly one of the latest: it may still wait or run.
        tasks = self._known.tasks[-20:] if self._rng.random() < 0.7 else self._known.tasks
        task, began = self._rng.choice(tasks), now()
        try:
            answer = await act(task)
        except PenstockError as error:
            self._record(op, task, began, error=error)
        else:
            self._record(op, task, began, state=answer.state)

    async def _pause(self) -> None:
        queue = self._rng.choice(QUEUES)
        await self._to_queue("pause", queue)
        await asyncio.sleep(self._rng.uniform(0.1, _LONGEST_PAUSE))
        await self._to_queue("resume", queue)

    async def _to_queue(self, op: str, queue: str) -> None:
        began = now()
        try:
            await getattr(self._client.queues, op)(queue)
        except PenstockError as error:
            self._record(op, queue, began, error=error)
        else:
            self._record(op, queue, began)

    def _record(
        self, op: str, subject: str, began: float, error: PenstockError | None = None, **facts: Any
    ) -> None:
        outcome = OK if error is None else UNKNOWN if is_unknown(error) else REFUSED
        reason = "" if error is None else error.reason or type(error).__name__
        self._recorder.add(
            Call(
                client=self.name,
                op=op,
                subject=subject,
                invoked=began,
                returned=now(),
                outcome=outcome,
                reason=reason,
                **facts,
            )
        )


def is_unknown(error: PenstockError) -> bool:
    """Whether the call may have taken effect all the same."""
    return isinstance(error, TryLater | DeadlineExceeded | TaskNotEnded | ClientClosed | Internal)


def marker_of(request: TaskRequest) -> str:
    """What tells this submit from all others."""
    assert isinstance(request.payload, dict)
    return str(request.payload["m"])


def key_of(request: TaskRequest) -> str:
    """The idempotency key with its queue; empty if there is none."""
    return f"{request.idempotency_key}@{request.queue}" if request.idempotency_key else ""


async def traffic(
    plan: Plan, addresses: Sequence[str], recorder: Recorder, over: asyncio.Event
) -> Known:
    """All clients, until it is over."""
    known = Known()
    async with asyncio.TaskGroup() as group:
        for number in range(plan.clients):
            address = addresses[number % len(addresses)]
            caller = Caller(f"client-{number}", address, plan, recorder, known)
            group.create_task(caller.run(over))
    return known
