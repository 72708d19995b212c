"""Watches and log tails that survive the loss of their connection.

The server gives a cursor with every answer; after a break the stream is opened again at the latest
one, so nothing is missed and nothing comes twice. A cursor that is too old is raised as
CursorExpired, never skipped over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Final, Protocol, TypeVar

import grpc

from penstock.errors import DeadlineExceeded, PenstockError
from penstock.event import TaskEvent, WatchUpdate
from penstock.execution import LogLine
from penstock.retry import may_help
from penstock.task import Task
from penstock.transport import Transport
from penstock.v1.task_service_pb2 import (
    TailLogsRequest,
    WatchTasksRequest,
    WatchTasksResponse,
)


class _Cursored(Protocol):
    cursor: str


_Request = TypeVar("_Request", bound=_Cursored)
_Response = TypeVar("_Response", bound=_Cursored)

# Every call has a deadline; a stream's is renewed at its cursor.
STREAM_TERM: Final = timedelta(hours=1)


async def watch(
    transport: Transport, request: WatchTasksRequest
) -> AsyncGenerator[WatchUpdate, None]:
    """The updates of a watch: the first once it has begun, later ones when something happened."""
    begun = False
    answers = _resumed(transport, lambda: transport.tasks.WatchTasks, request)
    async with aclosing(answers):
        async for answer in answers:
            if not begun or answer.events or answer.tasks:
                yield _update(answer)
            begun = True


def _update(answer: WatchTasksResponse) -> WatchUpdate:
    return WatchUpdate(
        tuple(Task(task) for task in answer.tasks),
        tuple(TaskEvent(event) for event in answer.events),
        answer.cursor,
    )


async def tail(transport: Transport, request: TailLogsRequest) -> AsyncGenerator[LogLine, None]:
    """The lines of a log."""
    answers = _resumed(transport, lambda: transport.tasks.TailLogs, request)
    async with aclosing(answers):
        async for answer in answers:
            for line in answer.lines:
                yield LogLine(line)


async def _resumed(
    transport: Transport,
    method: Callable[[], grpc.aio.UnaryStreamMultiCallable[_Request, _Response]],
    request: _Request,
) -> AsyncGenerator[_Response, None]:
    """The answers of a stream, across breaks. Ends when the server ends it."""
    patience = transport.options.stream_patience.total_seconds()
    heard, repeat = transport.clock(), 0
    while True:
        try:
            answers = _answers(transport, method(), request)
            async with aclosing(answers):
                async for answer in answers:
                    heard, repeat = transport.clock(), 0
                    # Before the yield: whoever is given the answer has it, even if the break comes
                    # now.
                    request.cursor = answer.cursor or request.cursor
                    yield answer
                    heard = transport.clock()  # the caller's own time is not the server's silence
            return
        except PenstockError as error:
            wait = transport.backoff.seconds(repeat, error.retry_delay)
            if not _resumable(error) or transport.clock() + wait > heard + patience:
                raise
        await transport.sleep(wait)
        repeat += 1


def _resumable(error: PenstockError) -> bool:
    """Whether a stream that broke so is opened again. Its own term running out is no failure."""
    return may_help(error) or isinstance(error, DeadlineExceeded)


async def _answers(
    transport: Transport,
    method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response],
    request: _Request,
) -> AsyncGenerator[_Response, None]:
    """The answers of one call."""
    call = transport.open_stream(method, request, STREAM_TERM)
    try:
        async for answer in call:
            yield answer
    except grpc.aio.AioRpcError as error:
        raise transport.error_of(error) from error
    except asyncio.CancelledError:
        if transport.ended_by_close():
            raise transport.closed_error() from None
        raise
    finally:
        call.cancel()
