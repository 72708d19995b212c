"""A real gRPC server on a real socket that answers what a test tells it to.

For what a client does by itself: repeats, gathered calls, resumed streams, error mapping. What the
service means is tested against the real server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from penstock import BackoffOptions, ClientOptions
from penstock.v1 import task_service_pb2
from penstock.v1.task_service_pb2 import SubmitTasksRequest, SubmitTasksResponse

#: Gets the request, answers a message, or raises `Refusal`.
Unary = Callable[[Any], Awaitable[Message]]
Stream = Callable[[Any], AsyncIterator[Message]]

_AT_ONCE = BackoffOptions(initial=timedelta(milliseconds=1), longest=timedelta(milliseconds=5))
_SERVICE = task_service_pb2.DESCRIPTOR.services_by_name["TaskService"]


class Refusal(Exception):
    """Makes a call fail, as a Penstock server does if there is a `reason`, else as gRPC does."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str = "",
        message: str = "refused",
        *,
        retry_delay: timedelta | None = None,
        violations: Iterable[tuple[str, str]] = (),
        **facts: str,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: list[Message] = []
        if reason:
            info = error_details_pb2.ErrorInfo(domain="penstock", reason=reason, metadata=facts)
            self.details.append(info)
        if listed := [*violations]:
            bad = error_details_pb2.BadRequest()
            for path, text in listed:
                bad.field_violations.add(field=path, description=text)
            self.details.append(bad)
        if retry_delay is not None:
            delay = Duration()
            delay.FromTimedelta(retry_delay)
            self.details.append(error_details_pb2.RetryInfo(retry_delay=delay))

    async def abort(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        """Ends the call."""
        if not self.details:
            await context.abort(self.code, self.message)
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        abort: Any = context.abort_with_status  # type: ignore[attr-defined] # the stubs lack it
        await abort(rpc_status.to_status(status))


def unavailable(retry_delay: timedelta | None = None) -> Refusal:
    """What a server that shuts down answers."""
    return Refusal(grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", retry_delay=retry_delay)


class ScriptedServer:
    """`unary[...]` and `streams[...]` hold an answer for each method of TaskService by its name."""

    def __init__(
        self,
        address: str = "127.0.0.1:0",
        *,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self.address = address
        self._credentials = credentials
        self.unary: dict[str, Unary] = {}
        self.streams: dict[str, Stream] = {}
        self.requests: list[Any] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self.called = asyncio.Event()
        self.open_streams = 0
        self.stream_closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self._handlers(),))
        if self._credentials is None:
            port = self._server.add_insecure_port(self.address)
        else:
            port = self._server.add_secure_port(self.address, self._credentials)
        self.address = f"127.0.0.1:{port}"
        await self._server.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def options(self, **changes: Any) -> ClientOptions:
        """Options of a client of this server, which repeats its calls almost without a wait."""
        values: dict[str, Any] = {"address": self.address, "backoff": _AT_ONCE}
        return ClientOptions(**(values | changes))

    async def stop(self) -> None:
        """Ends the server and every call, as a killed process would."""
        await self._server.stop(None)

    def of(self, name: str) -> list[Any]:
        """The requests of one method so far."""
        kind = _SERVICE.methods_by_name[name].input_type.name
        return [request for request in self.requests if type(request).__name__ == kind]

    def _handlers(self) -> grpc.GenericRpcHandler[Any, Any]:
        return grpc.method_handlers_generic_handler(
            _SERVICE.full_name, {method.name: self._handler(method) for method in _SERVICE.methods}
        )

    def _handler(self, method: Any) -> grpc.RpcMethodHandler[Any, Any]:
        request = getattr(task_service_pb2, method.input_type.name)
        make = (
            grpc.unary_stream_rpc_method_handler
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        serve = self._stream(method.name) if method.server_streaming else self._unary(method.name)
        return make(
            serve,
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _unary(self, name: str) -> Any:
        async def serve(request: Any, context: Any) -> Message:
            self._saw(request, context)
            try:
                return await self.unary[name](request)
            except Refusal as refusal:
                await refusal.abort(context)
                raise

        return serve

    def _stream(self, name: str) -> Any:
        async def serve(request: Any, context: Any) -> AsyncIterator[Message]:
            self._saw(request, context)
            self.open_streams += 1
            try:
                async for answer in self.streams[name](request):
                    yield answer
            except Refusal as refusal:
                await refusal.abort(context)
            finally:
                self.open_streams -= 1
                self.stream_closed.set()

        return serve

    def _saw(self, request: Any, context: Any) -> None:
        self.requests.append(request)
        self.called.set()
        self.metadata.append(dict(context.invocation_metadata() or ()))


def taken(request: SubmitTasksRequest) -> SubmitTasksResponse:
    """Takes every item; the task's id says what it holds."""
    response = SubmitTasksResponse()
    for item in request.items:
        response.results.add(task_id=f"id-{item.spec.task_type}-{item.spec.payload.data.decode()}")
    return response


async def take(request: SubmitTasksRequest) -> SubmitTasksResponse:
    """An answer to SubmitTasks: takes every item."""
    return taken(request)
