"""Gathers concurrent single submits into shared calls.

A submit to an idle client leaves at once. While as many calls as allowed are under way, further
submits wait and leave together with the next free one. Each keeps its own outcome.
"""

from __future__ import annotations

import asyncio
import copy
import math
from collections import deque
from datetime import timedelta
from typing import Final

from penstock.bulk import MAX_BYTES, MAX_ITEMS
from penstock.errors import DeadlineExceeded
from penstock.submit import SubmitResult, new_request_id, send
from penstock.transport import Transport
from penstock.v1.task_service_pb2 import SubmitTasksItem, SubmitTasksRequest

_SLACK: Final = 1.0
"""Seconds for a shared call to tell of its end, before a submit ends by itself. Its word is better:
it knows why, and a busy machine may bring it late."""


class _Waiting:
    """One submit that has not been answered."""

    __slots__ = ("deadline", "end", "future", "item", "size")

    def __init__(self, item: SubmitTasksItem, deadline: float, end: float) -> None:
        self.item = item
        self.size = item.ByteSize()
        self.deadline = deadline
        """Until when its call may be answered, by the transport's clock."""
        self.end = end
        """When it ends by itself, by the loop's clock."""
        self.future: asyncio.Future[SubmitResult] = asyncio.get_running_loop().create_future()

    def fail(self, error: BaseException) -> None:
        """Answers with an error, unless the caller has gone."""
        if not self.future.done():
            self.future.set_exception(error)


class _Patience:
    """Ends submits that nobody answers in time.

    One timer for all: one for each would be a quarter of what a submit costs, and nearly all are
    answered long before.
    """

    def __init__(self) -> None:
        self._unanswered: set[_Waiting] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next_look = math.inf
        """By the loop's clock. Kept here, because not every loop's timers tell it."""

    def begin(self, waiting: _Waiting) -> None:
        """Takes a submit that has just begun."""
        self._unanswered.add(waiting)
        if waiting.end < self._next_look:
            self._look_at(waiting.end)

    def end(self, waiting: _Waiting) -> None:
        """Forgets a submit that was answered."""
        self._unanswered.discard(waiting)

    def close(self) -> None:
        """Looks no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._next_look = None, math.inf

    def _look_at(self, time: float) -> None:
        self.close()
        self._timer, self._next_look = asyncio.get_running_loop().call_at(time, self._look), time

    def _look(self) -> None:
        self._timer, self._next_look = None, math.inf
        now = asyncio.get_running_loop().time()
        for waiting in self._unanswered:
            if waiting.end <= now:
                waiting.fail(_never_answered())
        ends = [waiting.end for waiting in self._unanswered if waiting.end > now]
        if ends:
            self._look_at(min(ends))


class Coalescer:
    """The single submits of one client. `close` answers those that still wait."""

    def __init__(self, transport: Transport, flights: int) -> None:
        self._transport = transport
        self._most_flights: Final = flights
        self._waiting: deque[_Waiting] = deque()
        self._flights: set[asyncio.Task[None]] = set()
        self._launch_due = False
        self._patience = _Patience()

    async def submit(self, item: SubmitTasksItem, timeout: timedelta) -> SubmitResult:
        """Submits one item; raises its error if it is refused.

        Others in the same call may have more time: this one ends with its own, a second later at
        the most.
        """
        if self._transport.closed:
            raise self._transport.closed_error()
        loop, seconds = asyncio.get_running_loop(), timeout.total_seconds()
        waiting = _Waiting(item, self._transport.clock() + seconds, loop.time() + seconds + _SLACK)
        self._patience.begin(waiting)
        try:
            self._waiting.append(waiting)
            self._launch_soon(loop)
            result = await waiting.future
        finally:
            self._patience.end(waiting)
        result.unwrap()
        return result

    async def close(self) -> None:
        """Ends what is under way; its callers get ClientClosed."""
        self._patience.close()
        while self._waiting:
            self._waiting.popleft().fail(self._transport.closed_error())
        flights = list(self._flights)
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _launch_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        # At the end of this turn of the loop: submits made in the same turn leave together.
        if not self._launch_due:
            self._launch_due = True
            loop.call_soon(self._launch)

    def _launch(self) -> None:
        self._launch_due = False
        while self._waiting and len(self._flights) < self._most_flights:
            batch = self._take()
            if batch:
                flight = asyncio.create_task(self._fly(batch))
                self._flights.add(flight)
                flight.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        self._flights.discard(flight)
        self._launch()

    def _take(self) -> list[_Waiting]:
        """The next batch, in order; callers that have gone or run out of time are left out."""
        batch: list[_Waiting] = []
        size, now = 0, self._transport.clock()
        while self._waiting and len(batch) < MAX_ITEMS:
            waiting = self._waiting[0]
            if batch and size + waiting.size > MAX_BYTES:
                break
            self._waiting.popleft()
            if waiting.future.done():
                continue
            if waiting.deadline <= now:
                waiting.fail(_never_sent())
                continue
            size += waiting.size
            batch.append(waiting)
        return batch

    async def _fly(self, batch: list[_Waiting]) -> None:
        try:
            results = await send(self._transport, self._request(batch), self._time_left(batch))
        except asyncio.CancelledError:
            for waiting in batch:
                waiting.fail(self._transport.closed_error())
            raise
        except Exception as error:
            # Each caller gets an error of its own: a shared one would collect all their tracebacks.
            for waiting in batch:
                waiting.fail(copy.copy(error))
            return
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(result)

    def _request(self, batch: list[_Waiting]) -> SubmitTasksRequest:
        return SubmitTasksRequest(
            namespace=self._transport.options.namespace,
            request_id=new_request_id(),
            items=[waiting.item for waiting in batch],
        )

    def _time_left(self, batch: list[_Waiting]) -> timedelta:
        latest = max(waiting.deadline for waiting in batch)
        return timedelta(seconds=latest - self._transport.clock())


def _never_sent() -> DeadlineExceeded:
    return DeadlineExceeded(
        "the submit's time was over before it could be sent: earlier ones of this client took too "
        "long; is the server overloaded or out of reach?"
    )


def _never_answered() -> DeadlineExceeded:
    return DeadlineExceeded(
        "the submit's time was over before its call was answered; whether the task was taken is "
        "not known: submit it again under an idempotency key"
    )
