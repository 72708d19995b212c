"""Joins the parts: wraps every handler once, when its service is registered.

On its way in a call is counted, its caller identified, its request read, and the caller's role
checked; only then the service sees it. On its way out every refusal becomes a typed status and
every fault an `error_id`. Requests are read here and not by gRPC, so that bytes that are no message
are refused like any other bad request, and so that strangers cost no parsing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import grpc
from google.protobuf.message import DecodeError

from penstock_server.model.access import Principal
from penstock_server.model.errors import FieldInvalid, PenstockError, TooLarge, Violation
from penstock_server.service.authorizer import Authorizer
from penstock_server.service.errors import (
    CODES,
    DeadlineExceeded,
    MethodUnimplemented,
    refusal_of,
    to_status,
)
from penstock_server.service.interceptors.admission import Admission
from penstock_server.service.interceptors.authentication import Authenticator
from penstock_server.service.interceptors.deadline import Deadlines
from penstock_server.service.interceptors.endable import EndableStreams
from penstock_server.service.interceptors.methods import Lane, Method
from penstock_server.service.interceptors.observation import OK, Observer
from penstock_server.service.principal import PRINCIPAL
from penstock_server.telemetry import events
from penstock_server.telemetry.logging import get_logger
from penstock_server.telemetry.metrics import Metrics
from penstock_server.telemetry.tracing import Tracing

_log = get_logger(__name__)

_CANCELLED: Final = "CANCELLED"
_FOR_EVER: Final = timedelta(days=365)
_STATUS: Final = {code.name: code for code in grpc.StatusCode}
_NAMES: Final = {code.value[0]: code.name for code in grpc.StatusCode}

Serve = Callable[[Any, Any], Awaitable[Any]]
if TYPE_CHECKING:
    RpcHandler = grpc.RpcMethodHandler[Any, Any]
else:  # generic in its types only
    RpcHandler = grpc.RpcMethodHandler
Pack = Callable[[Any], bytes]
Parse = Callable[[bytes], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeParts:
    """What the edge is joined from."""

    authenticator: Authenticator
    authorizer: Authorizer
    admission: Admission
    metrics: Metrics
    tracing: Tracing
    request_bytes: int = 32 << 20
    """Largest request. gRPC itself must let twice as much through."""
    endable: EndableStreams = field(default_factory=EndableStreams)
    """Open streams of companions."""


class Edge:
    """Wraps handlers."""

    def __init__(self, parts: EdgeParts) -> None:
        self._parts = parts

    def wrap(self, method: Method, handler: RpcHandler) -> RpcHandler:
        """The handler with everything around it that a call passes."""
        guard = _Guard(method, self._parts)
        # The types of grpc's helpers know only the blocking stack.
        make_stream: Any = grpc.unary_stream_rpc_method_handler
        make_unary: Any = grpc.unary_unary_rpc_method_handler
        make_both: Any = grpc.stream_stream_rpc_method_handler
        read, pack = handler.request_deserializer, handler.response_serializer
        if handler.request_streaming:
            return cast(RpcHandler, make_both(_both_ways(guard, handler), read, pack))
        if handler.response_streaming:
            return cast(RpcHandler, make_stream(_stream(guard, handler), None, pack))
        return cast(RpcHandler, make_unary(_unary(guard, handler)))

    def end_companions(self) -> None:
        """Ends the open streams of health and reflection."""
        self._parts.endable.end()

    def unknown(self, path: str) -> RpcHandler:
        """A handler that refuses a method which this server does not offer."""

        async def refuse(_: Any, context: Any) -> None:
            await context.abort_with_status(to_status(MethodUnimplemented(method=path)))

        # Fits every kind of call: it reads nothing and sends nothing but the status.
        make: Any = grpc.stream_stream_rpc_method_handler
        return cast(RpcHandler, make(refuse))


class _Guard:
    """One method with its parts: what happens before and after its handler."""

    __slots__ = ("_parts", "_roles", "deadlines", "method", "observer")

    def __init__(self, method: Method, parts: EdgeParts) -> None:
        self.method = method
        self.deadlines = Deadlines(method.longest or _FOR_EVER)
        self.observer = Observer(method, parts.metrics, parts.tracing)
        self._parts = parts
        self._roles = method.roles

    async def admit(self, context: Any) -> Principal | None:
        """Identifies the caller. None for methods that anybody may call."""
        if self.method.is_public:
            return None
        authenticator = self._parts.authenticator
        return authenticator.at_once() or await authenticator.principal_of(context)

    def read(self, raw: bytes, parse: Callable[[bytes], Any]) -> Any:
        """The request in the bytes. Raises TooLarge and FieldInvalid."""
        if len(raw) > self._parts.request_bytes:
            raise TooLarge(field="request", size=len(raw), limit=self._parts.request_bytes)
        try:
            return parse(raw)
        except DecodeError:
            raise FieldInvalid([Violation("request", "not a message of this method")]) from None

    def authorize(self, principal: Principal | None, request: Any) -> None:
        """Checks the role, and lets the service know who calls. Raises PermissionDenied."""
        if principal is not None:
            self._parts.authorizer.check(
                principal, self.method.path, self._roles, self.method.namespace_of(request)
            )
            PRINCIPAL.set(principal)

    def enter(self) -> None:
        """Counts the call in. Raises Overloaded."""
        self._parts.admission.enter(self.method.lane)

    def leave(self) -> None:
        """Counts the call out."""
        self._parts.admission.leave(self.method.lane)

    def enter_stream(self, principal: Principal | None) -> None:
        """Counts a stream of the caller in. Raises Overloaded."""
        if principal is not None and self.method.lane is Lane.STREAMS:
            self._parts.admission.enter_stream(principal)

    def leave_stream(self, principal: Principal | None) -> None:
        """Counts a stream of the caller out."""
        if principal is not None and self.method.lane is Lane.STREAMS:
            self._parts.admission.leave_stream(principal)

    def streams(self) -> AbstractAsyncContextManager[None]:
        """Frames the stream, so that a companion's can be ended from outside."""
        is_companion = self.method.lane is Lane.COMPANIONS
        return self._parts.endable.open() if is_companion else nullcontext()

    def overdue(self) -> DeadlineExceeded:
        """The refusal of a call that took too long."""
        return DeadlineExceeded(method=self.method.label, allowed=self.method.longest or _FOR_EVER)

    async def refuse(self, error: Exception, context: Any) -> None:
        """Ends the call with the refusal, by raising."""
        refusal = refusal_of(error, method=self.method.label)
        _log.debug(events.CALL_REFUSED, method=self.method.label, reason=refusal.reason)
        await context.abort_with_status(to_status(refusal))


def _unary(guard: _Guard, handler: RpcHandler) -> Serve:
    behaviour, parse, pack = _parts_of(handler, handler.unary_unary)

    deadlines = guard.deadlines

    async def serve(raw: bytes, context: Any) -> bytes:
        guard.enter()
        task = deadlines.enter()
        try:
            principal = await guard.admit(context)
            request = guard.read(raw, parse)
            guard.authorize(principal, request)
            answer = await behaviour(request, context)
            if answer is None and guard.method.lane is Lane.COMPANIONS:
                # How those refuse: they leave a code behind.
                await context.abort(_STATUS[_name_of(context.code())], context.details())
            return pack(answer)
        except asyncio.CancelledError:
            if deadlines.has_ended(task):
                raise guard.overdue() from None
            raise
        finally:
            deadlines.leave(task)
            guard.leave()

    return _observed(guard, serve)


def _stream(guard: _Guard, handler: RpcHandler) -> Serve:
    behaviour, parse, _ = _parts_of(handler, handler.unary_stream)

    # Writes by itself and is no generator: where gRPC cancels a call between two answers, a
    # generator would be left suspended, and be counted as open until somebody collects it.
    async def serve(raw: bytes, context: Any) -> None:
        guard.enter()
        try:
            principal = await guard.admit(context)
            request = guard.read(raw, parse)
            guard.authorize(principal, request)
            guard.enter_stream(principal)
            try:
                async with guard.streams():
                    await _send_all(behaviour(request, context), context)
            finally:
                guard.leave_stream(principal)
        finally:
            guard.leave()

    return _observed(guard, serve)


async def _send_all(responses: Any, context: Any) -> None:
    if not hasattr(responses, "__aiter__"):
        await responses  # a handler that writes by itself
        return
    async with aclosing(responses) as stream:
        async for response in stream:
            await context.write(response)


def _observed(guard: _Guard, serve: Serve) -> Serve:
    """Adds the outermost layer: numbers, spans, and every exception as a status."""
    observer = guard.observer

    async def observed(raw: bytes, context: Any) -> Any:
        begun = observer.begin(context)
        code = _CANCELLED
        try:
            answer = await serve(raw, context)
            code = OK
            return answer
        except asyncio.CancelledError:
            raise  # the caller is gone; whoever swallows this leaks the call's memory
        except grpc.aio.AbortError:
            code = _name_of(context.code())  # a companion ended the call by itself
            raise
        except PenstockError as error:
            code = CODES[error.reason].name
            await guard.refuse(error, context)
        except NotImplementedError:
            # Generated servicers raise it for what nobody has written.
            refusal = MethodUnimplemented(method=guard.method.path)
            code = CODES[refusal.reason].name
            await guard.refuse(refusal, context)
        except Exception as error:
            code = grpc.StatusCode.INTERNAL.name
            await guard.refuse(error, context)
        finally:
            observer.end(begun, code)

    return observed


def _parts_of(handler: RpcHandler, behaviour: Any) -> tuple[Any, Parse, Pack]:
    parse, pack = handler.request_deserializer, handler.response_serializer
    if parse is None or pack is None:
        raise TypeError("generated handlers bring both serializers")
    return behaviour, parse, pack


def _both_ways(guard: _Guard, handler: RpcHandler) -> Serve:
    """Reflection alone has a stream of requests, and gRPC reads them."""
    behaviour: Any = handler.stream_stream

    async def serve(requests: AsyncIterator[Any], context: Any) -> None:
        guard.enter()
        try:
            guard.authorize(await guard.admit(context), None)
            async with guard.streams():
                await _send_all(behaviour(requests, context), context)
        finally:
            guard.leave()

    return _observed(guard, serve)


def _name_of(code: Any) -> str:
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return _NAMES.get(number, grpc.StatusCode.UNKNOWN.name)
