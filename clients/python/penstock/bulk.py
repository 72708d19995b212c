"""Submits any number of tasks in a few large calls: the hot path of producers.

Each task is encoded once, straight into the message that is sent; nothing else is made for it until
its result arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any, Final

from penstock.errors import InvalidRequest, PenstockError
from penstock.spec import TaskRequest, item_fields
from penstock.submit import SubmitResult, new_request_id, send
from penstock.tracing import SendSpan, start_batch
from penstock.transport import Transport
from penstock.v1.task_pb2 import TaskSpec
from penstock.v1.task_service_pb2 import SubmitTasksRequest

MAX_ITEMS: Final = 1_000
# Below the 4 MiB that gRPC servers take by default, with room for the frame around the items.
MAX_BYTES: Final = 3 * 1024 * 1024


@dataclass(slots=True)
class Chunk:
    """Tasks that leave together. `refused` holds, by position, those that could not be encoded."""

    request: SubmitTasksRequest
    refused: dict[int, SubmitResult] = field(default_factory=dict)
    size: int = 0
    span: SendSpan | None = None
    queues: set[str] = field(default_factory=set)
    items: Any = field(init=False)
    """The request's items. Read once: each read of a message's field makes an object."""

    def __post_init__(self) -> None:
        self.items = self.request.items

    def __len__(self) -> int:
        return len(self.items) + len(self.refused)

    def add(self, request: TaskRequest) -> None:
        """Encodes one task into the call; one that cannot be encoded is refused right here."""
        count = len(self.items)
        try:
            item = self.items.add(**item_fields(request))
        except (PenstockError, ValueError, TypeError, OverflowError) as error:
            del self.items[count:]  # a failed add leaves its half-made item behind
            self.refused[len(self)] = SubmitResult("", error=unsendable(error))
            return
        if self.span is not None:
            self._trace(item.spec, request)
        self.size += item.ByteSize()

    def with_refused(self, results: list[SubmitResult]) -> list[SubmitResult]:
        """The results of the sent items, with the refused ones in their places."""
        for position, result in self.refused.items():
            results.insert(position, result)
        return results

    def all_failed(self, error: PenstockError) -> list[SubmitResult]:
        """The same error for every item that was to be sent."""
        return self.with_refused([SubmitResult("", error=error) for _ in self.items])

    def _trace(self, spec: TaskSpec, request: TaskRequest) -> None:
        self.queues.add(request.queue)
        if request.trace_context is None and self.span is not None:
            made = self.span.created(request.queue, request.task_type)
            if made is not None:
                spec.trace_context.CopyFrom(made)


def unsendable(error: Exception) -> PenstockError:
    """The error of a task that could not be made a message."""
    if isinstance(error, PenstockError):
        return error
    made = InvalidRequest(f"the task cannot be sent: {error}")
    made.__cause__ = error
    return made


def cut(requests: Iterable[TaskRequest], namespace: str, *, whole: bool = False) -> Iterator[Chunk]:
    """Cuts tasks into calls of at most 1,000 items and 3 MiB; `whole` makes one call of them."""
    chunk = _new_chunk(namespace, whole)
    for request in requests:
        size, count = chunk.size, len(chunk.items)
        chunk.add(request)
        if whole:
            continue
        if chunk.size > MAX_BYTES and count and len(chunk.items) > count:
            # This one was too much: it begins the next call instead.
            del chunk.items[-1]
            chunk.size = size
            yield chunk
            chunk = _new_chunk(namespace, whole)
            chunk.add(request)
        elif len(chunk) >= MAX_ITEMS:
            yield chunk
            chunk = _new_chunk(namespace, whole)
    if len(chunk):
        yield chunk


def _new_chunk(namespace: str, whole: bool) -> Chunk:
    request = SubmitTasksRequest(
        namespace=namespace, all_or_none=whole, request_id=new_request_id()
    )
    return Chunk(request, span=start_batch())


class BulkSubmit:
    """One `submit_many`: its calls, at most `flights` under way, and their results in order."""

    def __init__(self, transport: Transport, timeout: timedelta, flights: int) -> None:
        self._transport = transport
        self._timeout = timeout
        self._slots = asyncio.Semaphore(flights)
        self._parts: list[list[SubmitResult]] = []
        self._failure: PenstockError | None = None

    async def run(self, pieces: Iterator[Chunk]) -> list[SubmitResult]:
        """Sends the calls and gathers the results."""
        flights: set[asyncio.Task[None]] = set()
        try:
            for number, chunk in enumerate(pieces):
                await self._slots.acquire()
                self._parts.append([])
                flight = asyncio.create_task(self._fly(number, chunk))
                flights.add(flight)
                flight.add_done_callback(flights.discard)
                # Lets the call leave before the next one is encoded.
                await asyncio.sleep(0)
            if flights:
                await asyncio.gather(*flights)
        finally:
            await _cancel(flights)
        return list(chain.from_iterable(self._parts))

    async def _fly(self, number: int, chunk: Chunk) -> None:
        try:
            self._parts[number] = await self._send(chunk)
        except PenstockError as error:
            # A call that failed as a whole, after its repeats: the ones behind it would too, one
            # timeout after the other.
            self._failure = error
            self._parts[number] = chunk.all_failed(error)
        finally:
            self._slots.release()

    async def _send(self, chunk: Chunk) -> list[SubmitResult]:
        if self._failure is not None:
            raise self._failure
        if not chunk.items:
            return chunk.with_refused([])
        if chunk.span is None:
            return chunk.with_refused(await send(self._transport, chunk.request, self._timeout))
        return await self._send_traced(chunk, chunk.span)

    async def _send_traced(self, chunk: Chunk, span: SendSpan) -> list[SubmitResult]:
        span.describe_batch(chunk.queues, len(chunk.items))
        try:
            results = await send(self._transport, chunk.request, self._timeout)
        except BaseException as error:
            span.end(error=error)
            raise
        span.end()
        return chunk.with_refused(results)


async def _cancel(flights: set[asyncio.Task[None]]) -> None:
    """Ends what is left, e.g. because the caller's iterable raised."""
    left = list(flights)
    for flight in left:
        flight.cancel()
    if left:
        await asyncio.gather(*left, return_exceptions=True)
