"""Calls a real server over a real channel with nothing between: no retries, no mapping of errors.

Tests of what exactly a server answers use this; tests of programs use the client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from penstock.v1 import error_pb2
from support.validators import METHODS, request_type

#: Longer than any answer may take whose wait is short: to run into it is to hang.
PATIENCE: Final = 20.0


@dataclass(frozen=True)
class Refusal:
    """Why a call was refused."""

    code: grpc.StatusCode
    text: str
    domain: str = ""
    reason: str = ""
    """Name of an `ErrorReason` without its prefix."""
    facts: dict[str, str] = field(default_factory=dict)
    fields: list[str] = field(default_factory=list)
    """Fields that are named as wrong."""
    has_retry_delay: bool = False

    @property
    def is_typed(self) -> bool:
        """True if a program can tell what it is."""
        return self.domain == "penstock" and f"ERROR_REASON_{self.reason}" in _REASONS


_REASONS: Final = set(error_pb2.ErrorReason.keys())


class Wire:
    """One channel to one server."""

    def __init__(self, address: str, *, log: Callable[[], str] = str, key: str = "") -> None:
        """`log` gives the end of the server's log, to be shown where the server is at fault. `key`
        is the API key to call with.
        """
        self.log = log
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()
        self._channel: Any = grpc.insecure_channel(
            address,
            options=[
                ("grpc.enable_http_proxy", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
            ],
        )

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()

    def call(
        self,
        method: str,
        request: Message | None = None,
        *,
        patience: float = PATIENCE,
        **fields: Any,
    ) -> Any:
        """The answer to a request, which may be given by its fields. Raises grpc.RpcError."""
        message = request_type(method)(**fields) if request is None else request
        return self._unary(method)(message, timeout=patience, metadata=self._metadata)

    def stream(
        self, method: str, request: Message, *, patience: float = PATIENCE
    ) -> Iterator[Message]:
        """The answers of a stream, until it ends or whoever reads them stops."""
        descriptor = METHODS[method]
        call = self._channel.unary_stream(
            path_of(method),
            request_serializer=_pack,
            response_deserializer=GetMessageClass(descriptor.output_type).FromString,
        )(request, timeout=patience, metadata=self._metadata)
        try:
            yield from call
        finally:
            call.cancel()

    def outcome(self, method: str, request: Message) -> Message | Refusal:
        """The answer or the refusal; of a stream its first answer, None if it ends without one."""
        try:
            if METHODS[method].server_streaming:
                return next(self.stream(method, request), Refusal(grpc.StatusCode.OK, "ended"))
            answer: Message = self.call(method, request)
        except grpc.RpcError as error:
            return refusal_in(error)
        return answer

    def refusal(self, method: str, request: Message | None = None, **fields: Any) -> Refusal:
        """Why a request is refused. Fails if it is not."""
        message = request_type(method)(**fields) if request is None else request
        outcome = self.outcome(method, message)
        assert isinstance(outcome, Refusal), f"{method} was not refused: {outcome}"
        return outcome

    def raw(self, method: str, data: bytes) -> Refusal | None:
        """Sends bytes as they are; why they are refused, None if they are not."""
        make = (
            self._channel.unary_stream
            if METHODS[method].server_streaming
            else self._channel.unary_unary
        )
        try:
            answer = make(path_of(method))(data, timeout=PATIENCE, metadata=self._metadata)
            if METHODS[method].server_streaming:
                next(answer, None)
                answer.cancel()
        except grpc.RpcError as error:
            return refusal_in(error)
        return None

    def _unary(self, method: str) -> Any:
        answer = GetMessageClass(METHODS[method].output_type)
        return self._channel.unary_unary(
            path_of(method), request_serializer=_pack, response_deserializer=answer.FromString
        )


def path_of(method: str) -> str:
    """Path of a method as it goes over the wire."""
    return f"/{METHODS[method].containing_service.full_name}/{method}"


def refusal_in(error: Any) -> Refusal:
    """What an RPC error says, with its details."""
    parts: dict[str, Any] = {}
    status = rpc_status.from_call(error)
    for detail in status.details if status is not None else []:
        info = error_details_pb2.ErrorInfo()
        request = error_details_pb2.BadRequest()
        if detail.Unpack(info):
            parts |= {"domain": info.domain, "reason": info.reason, "facts": dict(info.metadata)}
        elif detail.Unpack(request):
            parts["fields"] = [violation.field for violation in request.field_violations]
        elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            parts["has_retry_delay"] = True
    return Refusal(error.code(), error.details() or "", **parts)


def _pack(message: Message) -> bytes:
    return message.SerializeToString()
