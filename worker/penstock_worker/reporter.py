"""Reports on executions: many in one call, at most one under way for each lease.

Endings, accepts, progress and log lines share a lane that holds some calls; renewals have a lane of
their own, so that no amount of log lines can delay one. What was not confirmed stays with its
execution and goes with a later call: a call that fails loses nothing.

Each call of the lane asks for its share of the slots only. While store and server are at one, the
handlers of another run; a single call that asked for all would make each wait for the others.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

import structlog

from penstock.errors import PenstockError
from penstock.v1 import error_pb2
from penstock.v1 import worker_service_pb2 as pb
from penstock_worker import endings, events
from penstock_worker.capacity import NOTHING, REPORTS_AT_ONCE, Ask, Capacity
from penstock_worker.connection import Connection
from penstock_worker.held import Held

# A call costs as much as many items. See decision 0015.
MAX_ITEMS: Final = 500
MAX_BYTES: Final = 3_000_000
MAX_LINES: Final = 1000
MAX_LINE_BYTES: Final = 240 * 1024
RENEWAL_CALLS: Final = 4
MAX_RENEWALS: Final = 500
CALL_TIMEOUT: Final = 10.0
FIRST_BACKOFF: Final = 0.05
LONGEST_BACKOFF: Final = 2.0

INVALID_ARGUMENT: Final = 3
RESOURCE_EXHAUSTED: Final = 8
LEASE_LOST: Final = error_pb2.ERROR_REASON_LEASE_LOST

LINES, ACCEPT, BEAT, END = range(4)

log = structlog.stdlib.get_logger("penstock_worker")


class Owner(Protocol):
    """Whoever holds the executions: the supervisor."""

    def on_answer(self, response: pb.ReportExecutionsResponse, sent: float) -> None:
        """Takes the leases and directives of an answer."""

    def on_settled(self, held: Held) -> None:
        """Told that nothing is to be reported any more."""

    def on_lost(self, held: Held) -> None:
        """Told that a lease is over."""

    def on_cancel_requested(self, held: Held) -> None:
        """Told that an execution is to stop."""


class Sent(NamedTuple):
    """What one item of a call reported."""

    held: Held
    what: int
    lines: int
    progress: bytes | None


class Reporter:
    """Sends reports; `touch` an execution when it has something to say."""

    def __init__(
        self,
        connection: Connection,
        capacity: Capacity,
        owner: Owner,
        *,
        namespace: str,
        session_id: str,
        queues: tuple[str, ...],
    ) -> None:
        self._connection = connection
        self._capacity = capacity
        self._owner = owner
        self._namespace, self._session_id, self._queues = namespace, session_id, queues
        self._loop = asyncio.get_running_loop()
        self._dirty: dict[int, Held] = {}
        self._lane = 0
        self._renewals = 0
        self._scheduled = False
        self._failures = 0
        self._waits_until = 0.0
        self._alone: set[int] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self.wants_leases: Callable[[], bool] = lambda: True
        """Whether reports should ask for leases; set by the supervisor."""
        self.on_asked: Callable[[], None] = lambda: None
        """Told that a report asks for leases; set by the supervisor."""

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return len(self._calls)

    @property
    def is_busy(self) -> bool:
        """True if a report is under way, or waits because the one before has failed.

        One that is about to be sent for the first time leaves the asking to a poll before it.
        """
        return self._lane > 0 or (self._failures > 0 and bool(self._dirty))

    @property
    def goes_on(self) -> bool:
        """True if another report follows at once, beside the one whose answer is handled now."""
        return bool(self._dirty) or self._lane > 1

    def touch(self, held: Held) -> None:
        """Sends what the execution has to say, with the others' of this turn of the loop."""
        self._dirty[held.id] = held
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._pump)

    def forget(self, held: Held) -> None:
        """Reports nothing more of an execution."""
        self._dirty.pop(held.id, None)

    async def flush(self, timeout: float) -> None:
        """Waits until everything is reported, at most `timeout` seconds."""
        end = time.monotonic() + timeout
        while (self._dirty or self._calls) and time.monotonic() < end:
            if self._calls:
                await asyncio.wait(self._calls, timeout=max(0.0, end - time.monotonic()))
            else:
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Ends the calls under way."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    # ---- lanes ----

    def _pump(self) -> None:
        self._scheduled = False
        if self._waits_until > time.monotonic():
            return  # a timer is set for then
        while self._dirty and self._lane < REPORTS_AT_ONCE:
            batch = self._gather()
            if not batch:
                return  # everything is under way; their answers pump again
            self._lane += 1
            self._start(self._report(batch))

    def _gather(self) -> list[Held]:
        batch: list[Held] = []
        room, alone = MAX_BYTES, self._alone
        for held in self._dirty.values():
            if held.in_flight:
                continue
            if alone and held.id in alone:
                if batch:
                    continue
                room = 0
            batch.append(held)
            if held.item is not None:
                room -= len(held.item)
            if held.lines:
                room -= min(MAX_LINE_BYTES, len(held.lines) * 200)
            if room <= 0 or len(batch) >= MAX_ITEMS:
                break
        for held in batch:
            del self._dirty[held.id]
            held.in_flight = True
        return batch

    def renew(self, due: Iterable[Held]) -> None:
        """Renews leases, each unless a report on it is under way (then that one's answer helps)."""
        if self._renewals >= RENEWAL_CALLS:
            return
        batch = [held for held in due if not held.in_flight]
        for start in range(0, len(batch), MAX_RENEWALS):
            part = batch[start : start + MAX_RENEWALS]
            for held in part:
                held.in_flight = True
            self._renewals += 1
            self._start(self._renew(part))

    def _start(self, coroutine: Any) -> None:
        call = self._loop.create_task(coroutine)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    # ---- calls ----

    async def _report(self, batch: list[Held]) -> None:
        request = pb.ReportExecutionsRequest(namespace=self._namespace, session_id=self._session_id)
        items = request.items
        sent = [fill(items.add(), held) for held in batch]
        ask = self._capacity.report_ask(at_most=max(len(batch), self._capacity.share))
        if ask.count and self.wants_leases():
            request.max_tasks = ask.count
            request.queues.extend(self._queues)
            request.task_types.extend(ask.types)
            self._capacity.take(ask)
            self.on_asked()
        else:
            ask = NOTHING
        try:
            await self._call(request, sent, ask)
        finally:
            self._lane -= 1
            self._pump_soon()

    async def _renew(self, batch: list[Held]) -> None:
        request = pb.ReportExecutionsRequest(namespace=self._namespace, session_id=self._session_id)
        sent = [beat(request.items.add(), held) for held in batch]
        try:
            await self._call(request, sent, NOTHING)
        finally:
            self._renewals -= 1
            self._pump_soon()

    def _pump_soon(self) -> None:
        if self._dirty and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._pump)

    async def _call(self, request: pb.ReportExecutionsRequest, sent: list[Sent], ask: Ask) -> None:
        since = time.monotonic()
        try:
            response = await self._connection.report(request, CALL_TIMEOUT)
        except PenstockError as error:
            self._on_failure(sent, error)
            return
        except BaseException:
            for entry in sent:
                entry.held.in_flight = False
            raise
        finally:
            # Before the answer is handled: what it did not bring can be asked for by a poll.
            self._capacity.give_back(ask)
        self._failures = 0
        self._capacity.answered(ask, len(response.leases))
        for entry, result in zip(sent, response.results, strict=True):
            self._settle(entry, result, since)
        self._owner.on_answer(response, since)

    # ---- answers ----

    def _settle(self, entry: Sent, result: pb.ReportResult, since: float) -> None:
        held, what, lines, progress = entry
        held.in_flight = False
        if result.HasField("error"):
            self._on_refusal(entry, result.error)
            return
        if what == END:
            self._owner.on_settled(held)
            return
        if lines:
            del held.lines[:lines]
        if progress is not None and held.progress is progress:
            held.progress = None
        if what != LINES:
            held.accepted = True
            term = result.term
            seconds = term.seconds + term.nanos / 1e9
            held.set_term(seconds or held.term, since)
        if result.cancel_requested and held.stop is None:
            self._owner.on_cancel_requested(held)
        waits_for_accept = what == ACCEPT and held.progress is not None
        if held.item is not None or held.lines or waits_for_accept:
            self.touch(held)

    def _on_refusal(self, entry: Sent, error: error_pb2.ItemError) -> None:
        held = entry.held
        if error.reason == LEASE_LOST:
            self._owner.on_lost(held)
            return
        reason = error_pb2.ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_")
        log.warning(
            events.REPORT_REFUSED, task_id=held.task_id, reason=reason, detail=error.message
        )
        self._drop_refused(entry, reason, error.message)

    def _drop_refused(self, entry: Sent, reason: str, message: str) -> None:
        """Replaces what the server will never take by something that it will."""
        held = entry.held
        if entry.lines:
            del held.lines[: entry.lines]
        elif entry.what == END:
            if held.outcome == endings.FAILED and b"ReportRefused" in (held.item or b""):
                self._owner.on_settled(held)  # not even that: the lease runs out by itself
                return
            held.outcome, held.item = endings.refused(held, reason, message)
        elif entry.progress is not None:
            held.progress = None
        if held.item is not None or held.lines:
            self.touch(held)

    def _on_failure(self, sent: list[Sent], error: PenstockError) -> None:
        for entry in sent:
            entry.held.in_flight = False
        poison = error.code == INVALID_ARGUMENT or (
            error.code == RESOURCE_EXHAUSTED and error.retry_delay is None
        )
        if poison and len(sent) == 1:
            self._alone.discard(sent[0].held.id)
            self._drop_refused(sent[0], error.reason or "INVALID_ARGUMENT", error.message)
            return
        if poison:  # one of them is bad: each by itself, so that it fails alone
            self._alone.update(entry.held.id for entry in sent)
        for entry in sent:
            self._dirty[entry.held.id] = entry.held
        self._wait(error)

    def _wait(self, error: PenstockError) -> None:
        if self._failures == 0:
            log.warning(events.REPORT_FAILED, reason=error.reason, detail=error.message)
        ceiling = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(self._failures, 10))
        self._failures += 1
        delay = random.uniform(ceiling / 2, ceiling)
        if error.retry_delay is not None:
            delay = max(delay, error.retry_delay.total_seconds())
        self._waits_until = time.monotonic() + delay
        self._scheduled = True
        self._loop.call_later(delay + 0.001, self._pump)


def fill(item: pb.ReportItem, held: Held) -> Sent:
    """Writes what an execution has to say into an item."""
    item.lease_token = held.token
    lines = _add_lines(item, held) if held.lines else 0
    if held.item is not None and held.progress is None and lines == len(held.lines):
        item.MergeFromString(held.item)
        return Sent(held, END, lines, None)
    progress = held.progress
    if progress is not None and (held.accepted or held.item is not None):
        item.heartbeat.progress.MergeFromString(progress)
        held.progress_time = time.monotonic()
        return Sent(held, BEAT, lines, progress)
    if not held.accepted:
        item.accept.SetInParent()
        return Sent(held, ACCEPT, lines, None)
    return Sent(held, LINES, lines, None)


def beat(item: pb.ReportItem, held: Held) -> Sent:
    """Writes a renewal into an item."""
    item.lease_token = held.token
    item.heartbeat.SetInParent()
    return Sent(held, BEAT, 0, None)


def _add_lines(item: pb.ReportItem, held: Held) -> int:
    """Adds as many lines as one item may hold; answers how many."""
    size = count = 0
    for line in held.lines[:MAX_LINES]:
        size += line.ByteSize() + 4
        if size > MAX_LINE_BYTES and count:
            break
        count += 1
    item.log_lines.extend(held.lines[:count])
    return count
