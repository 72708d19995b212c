"""The contract's blocking stubs on one connection, with a key and a deadline on every call.

The commands speak the contract itself and not the Python client, because they show every field that
a server answers, also one that the client has no word for. Nothing here repeats a call: a person
who waits wants to hear at once that the server is away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

import grpc

from penstock.channel import Metadata, call_metadata, channel_arguments
from penstock.cli.exits import usage
from penstock.cli.session import Session
from penstock.error_mapping import from_rpc_error
from penstock.options import ClientOptions
from penstock.v1.namespace_service_pb2_grpc import NamespaceServiceStub
from penstock.v1.queue_service_pb2_grpc import QueueServiceStub
from penstock.v1.task_service_pb2_grpc import TaskServiceStub
from penstock.v1.task_type_service_pb2_grpc import TaskTypeServiceStub
from penstock.v1.worker_service_pb2_grpc import WorkerServiceStub

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

_TLS_REMEDY: Final = "check PENSTOCK_TLS_CA, PENSTOCK_TLS_CERT and PENSTOCK_TLS_KEY"


class Server:
    """One connection to a server."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel

    @cached_property
    def tasks(self) -> TaskServiceStub:
        """TaskService."""
        return TaskServiceStub(self.channel)

    @cached_property
    def queues(self) -> QueueServiceStub:
        """QueueService."""
        return QueueServiceStub(self.channel)

    @cached_property
    def workers(self) -> WorkerServiceStub:
        """WorkerService."""
        return WorkerServiceStub(self.channel)

    @cached_property
    def task_types(self) -> TaskTypeServiceStub:
        """TaskTypeService."""
        return TaskTypeServiceStub(self.channel)

    @cached_property
    def namespaces(self) -> NamespaceServiceStub:
        """NamespaceService."""
        return NamespaceServiceStub(self.channel)


@contextmanager
def connected(session: Session) -> Iterator[Server]:
    """A connection to the session's server, closed at the end.

    Failed calls raise `PenstockError`.
    """
    options = client_options(session)
    manners = _Manners(session.timeout.total_seconds(), call_metadata(options))
    with _channel(options) as channel:
        try:
            yield Server(grpc.intercept_channel(channel, manners))
        except grpc.RpcError as error:
            raise from_rpc_error(cast(Any, error), options.target) from None


def if_found(method: Callable[[_Request], _Response], request: _Request) -> _Response | None:
    """The answer of a method, or None if what it is asked for is not there."""
    try:
        return method(request)
    except grpc.RpcError as error:
        if cast(Any, error).code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise


def client_options(session: Session) -> ClientOptions:
    """How to reach the session's server: its own words, then the environment."""
    try:
        return ClientOptions.from_env(address=session.address, namespace=session.namespace)
    except ValueError as error:
        raise usage(str(error)) from None


def _channel(options: ClientOptions) -> grpc.Channel:
    arguments = channel_arguments(options)
    if options.tls:
        return grpc.secure_channel(options.target, _credentials(options), arguments)
    return grpc.insecure_channel(options.target, arguments)


def _credentials(options: ClientOptions) -> grpc.ChannelCredentials:
    paths = (options.tls_ca, options.tls_key, options.tls_cert)
    return grpc.ssl_channel_credentials(*(_content(path) if path else None for path in paths))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise usage(f"{path} cannot be read: {error.strerror}", remedy=_TLS_REMEDY) from None


class _Details(NamedTuple):
    """What an interceptor may change about a call."""

    method: str
    timeout: float | None
    metadata: list[tuple[str, str]]
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _Manners(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]
    grpc.UnaryStreamClientInterceptor,  # type: ignore[type-arg]
):
    """Adds the deadline to calls that have none, and the key to all of them."""

    def __init__(self, timeout: float, metadata: Metadata) -> None:
        self._timeout = timeout
        self._metadata = metadata

    def intercept_unary_unary(self, go_on: Callable[..., Any], details: Any, request: Any) -> Any:
        timeout = self._timeout if details.timeout is None else details.timeout
        return go_on(self._changed(details, timeout), request)

    def intercept_unary_stream(self, go_on: Callable[..., Any], details: Any, request: Any) -> Any:
        return go_on(self._changed(details, details.timeout), request)

    def _changed(self, details: Any, timeout: float | None) -> _Details:
        return _Details(
            method=details.method,
            timeout=timeout,
            metadata=[*(details.metadata or ()), *self._metadata],
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
            compression=details.compression,
        )
