"""Puts services behind the edge, and answers gRPC's question which handler serves a call."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor

from penstock_server.service.interceptors.edge import Edge, RpcHandler
from penstock_server.service.interceptors.methods import (
    CallTimes,
    Method,
    companion_method,
    contract_method,
)

if TYPE_CHECKING:
    GenericHandler = grpc.GenericRpcHandler[Any, Any]
else:  # generic in its types only
    GenericHandler = grpc.GenericRpcHandler


class Registry(GenericHandler):
    """Every handler of a server, wrapped.

    `server.add_generic_rpc_handlers((registry,))` is all that a server needs.
    """

    def __init__(self, edge: Edge, times: CallTimes) -> None:
        self._edge = edge
        self._times = times
        self._handlers: dict[str, RpcHandler] = {}
        self.services: list[str] = []
        """Full names of the services, in the order in which they were added."""

    def add(
        self, service: ServiceDescriptor, servicer: Any, add: Callable[[Any, Any], None]
    ) -> None:
        """Adds a service: its descriptor, its implementation, and the generated function for it."""
        methods = {m.name: contract_method(m, self._times) for m in service.methods}
        self._take(service.full_name, methods, servicer, add)

    def add_companion(self, service: str, servicer: Any, add: Callable[[Any, Any], None]) -> None:
        """Adds a standard service, e.g. `grpc.health.v1.Health`."""
        self._take(service, {}, servicer, add)

    def _take(
        self,
        service: str,
        methods: Mapping[str, Method],
        servicer: Any,
        add: Callable[[Any, Any], None],
    ) -> None:
        collected = _Collected()
        add(servicer, collected)
        for name, handler in collected.handlers.items():
            path = f"/{service}/{name}"
            self._handlers[path] = self._edge.wrap(
                methods.get(name) or companion_method(path), handler
            )
        self.services.append(service)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> RpcHandler:
        """The handler of a call; for a method that nobody offers, one that refuses."""
        path = handler_call_details.method
        return self._handlers.get(path) or self._edge.unknown(path)


class _Collected:
    """Stands where generated code expects a server."""

    def __init__(self) -> None:
        self.handlers: dict[str, RpcHandler] = {}

    def add_generic_rpc_handlers(self, _: Any) -> None:
        """The same handlers come as registered ones."""

    def add_registered_method_handlers(self, _: str, handlers: Mapping[str, RpcHandler]) -> None:
        """Takes the handlers of the service."""
        self.handlers.update(handlers)
