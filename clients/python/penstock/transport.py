"""Makes calls: one channel, credentials on every call, a deadline on every call, safe repeats.

The rest of the client names a method and a request and gets an answer or one of `penstock.errors`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import grpc

from penstock.channel import call_metadata, open_channel
from penstock.error_mapping import from_rpc_error
from penstock.errors import ClientClosed, PenstockError
from penstock.options import ClientOptions
from penstock.retry import Backoff, may_help
from penstock.v1.namespace_service_pb2_grpc import NamespaceServiceStub
from penstock.v1.queue_service_pb2_grpc import QueueServiceStub
from penstock.v1.task_service_pb2_grpc import TaskServiceStub
from penstock.v1.task_type_service_pb2_grpc import TaskTypeServiceStub
from penstock.v1.worker_service_pb2_grpc import WorkerServiceStub

if TYPE_CHECKING:
    from penstock.v1.namespace_service_pb2_grpc import NamespaceServiceAsyncStub
    from penstock.v1.queue_service_pb2_grpc import QueueServiceAsyncStub
    from penstock.v1.task_service_pb2_grpc import TaskServiceAsyncStub
    from penstock.v1.task_type_service_pb2_grpc import TaskTypeServiceAsyncStub
    from penstock.v1.worker_service_pb2_grpc import WorkerServiceAsyncStub

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class Transport:
    """The way to one server. Connects with the first call and belongs to that call's event loop."""

    def __init__(
        self,
        options: ClientOptions,
        *,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.options = options
        self.backoff = backoff or Backoff(options.backoff)
        self.clock = clock
        self.sleep = sleep
        self._metadata = call_metadata(options)
        self._closed = False

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        if self._closed:
            raise self.closed_error()
        return open_channel(self.options)

    @cached_property
    def tasks(self) -> TaskServiceAsyncStub:
        """Methods of TaskService."""
        return TaskServiceStub(self._channel)

    @cached_property
    def queues(self) -> QueueServiceAsyncStub:
        """Methods of QueueService."""
        return QueueServiceStub(self._channel)

    @cached_property
    def workers(self) -> WorkerServiceAsyncStub:
        """Methods of WorkerService."""
        return WorkerServiceStub(self._channel)

    @cached_property
    def task_types(self) -> TaskTypeServiceAsyncStub:
        """Methods of TaskTypeService."""
        return TaskTypeServiceStub(self._channel)

    @cached_property
    def namespaces(self) -> NamespaceServiceAsyncStub:
        """Methods of NamespaceService."""
        return NamespaceServiceStub(self._channel)

    @property
    def closed(self) -> bool:
        """Whether the transport was closed."""
        return self._closed

    async def close(self) -> None:
        """Closes the connection; calls under way end with ClientClosed. May be repeated."""
        self._closed = True
        if "_channel" in self.__dict__:
            await self._channel.close(None)

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        *,
        timeout: timedelta | None = None,
        repeatable: bool = True,
        on_repeat: Callable[[PenstockError], _Response | None] | None = None,
    ) -> _Response:
        """Calls a method, within `timeout` in all; repeats it where that may help and is safe.

        `on_repeat` may turn the error of a repeat into an answer, for methods whose first call, if
        it took effect, makes the second one fail.
        """
        give_up = self.clock() + (timeout or self.options.timeout).total_seconds()
        repeat = 0
        while True:
            try:
                return await self._attempt(method, request, give_up - self.clock())
            except PenstockError as error:
                if repeat and on_repeat and (answer := on_repeat(error)) is not None:
                    return answer
                wait = self.backoff.seconds(repeat, error.retry_delay)
                if not repeatable or not may_help(error) or self.clock() + wait >= give_up:
                    raise
            await self.sleep(wait)
            repeat += 1

    def open_stream(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response],
        request: _Request,
        timeout: timedelta,
    ) -> grpc.aio.UnaryStreamCall[_Request, _Response]:
        """Starts a stream. Whoever opens it cancels it when leaving it: gRPC never collects it."""
        if self._closed:
            raise self.closed_error()
        return method(request, timeout=timeout.total_seconds(), metadata=self._metadata)

    def error_of(self, error: grpc.aio.AioRpcError) -> PenstockError:
        """The exception for a failed call."""
        return from_rpc_error(error, self.options.target)

    def closed_error(self) -> ClientClosed:
        """The exception for calls of a closed client."""
        return ClientClosed("this client is closed: make a new one, or keep it open for longer")

    def ended_by_close(self) -> bool:
        """Whether a CancelledError just caught means close() and not a cancel of this coroutine."""
        task = asyncio.current_task()
        return self._closed and task is not None and not task.cancelling()

    async def _attempt(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response],
        request: _Request,
        timeout: float,
    ) -> _Response:
        if self._closed:
            raise self.closed_error()
        try:
            return await method(request, timeout=max(timeout, 0.001), metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise self.error_of(error) from error
        except asyncio.CancelledError:
            if self.ended_by_close():
                raise self.closed_error() from None
            raise
