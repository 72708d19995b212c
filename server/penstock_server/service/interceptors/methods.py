"""What the edge knows about a method before the first call: lane, longest time, namespace."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor

from penstock_server.model.access import Role
from penstock_server.service.roles import PUBLIC, roles_of

DEFAULT_NAMESPACE: Final = "default"


class Lane(StrEnum):
    """Calls that are counted together, so that none of the others can starve them."""

    CALLS = "calls"
    """Short calls."""
    REPORTS = "reports"
    """Reports of workers: they end work, so they are taken when nothing else is."""
    POLLS = "polls"
    """Calls that wait."""
    STREAMS = "streams"
    """Streams of the contract."""
    COMPANIONS = "companions"
    """Health, reflection and channelz."""


# Longest `wait` that the contract allows.
_WAITS: Final = {
    "LeaseTasks": timedelta(seconds=60),
    "RunTask": timedelta(hours=1),
    "AwaitTask": timedelta(hours=1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTimes:
    """Longest time of a short call on the server. Waiting calls have their longest wait on top."""

    short: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One RPC."""

    path: str
    """`/penstock.v1.TaskService/GetTask`."""
    lane: Lane
    roles: frozenset[Role]
    is_public: bool
    longest: timedelta | None
    """None: streams end when their reader goes."""
    namespace_of: Callable[[Any], str | None]
    """The namespace that a request is about; None if it is about no single one."""

    @property
    def label(self) -> str:
        """How metrics and spans call it: `penstock.v1.TaskService/GetTask`."""
        return self.path[1:]


def contract_method(descriptor: MethodDescriptor, times: CallTimes) -> Method:
    """A method of the contract."""
    path = f"/{descriptor.containing_service.full_name}/{descriptor.name}"
    return Method(
        path=path,
        lane=_lane(descriptor),
        roles=roles_of(path),
        is_public=False,
        longest=None
        if descriptor.server_streaming
        else times.short + _WAITS.get(descriptor.name, timedelta(0)),
        namespace_of=namespace_reader(descriptor),
    )


def companion_method(path: str) -> Method:
    """A method of a standard companion."""
    return Method(
        path=path,
        lane=Lane.COMPANIONS,
        roles=roles_of(path),
        is_public=path in PUBLIC,
        longest=None,
        namespace_of=_no_namespace,
    )


def _lane(descriptor: MethodDescriptor) -> Lane:
    if descriptor.server_streaming:
        return Lane.STREAMS
    if descriptor.name == "ReportExecutions":
        return Lane.REPORTS
    return Lane.POLLS if descriptor.name in _WAITS else Lane.CALLS


def namespace_reader(descriptor: MethodDescriptor) -> Callable[[Any], str | None]:
    """Reads the namespace out of the method's requests, wherever it stands in them."""
    field = descriptor.input_type.fields_by_name.get("namespace")
    if field is None:
        return _no_namespace
    return _plain_namespace if field.message_type is None else _nested_namespace


def _plain_namespace(request: Any) -> str | None:
    return request.namespace or DEFAULT_NAMESPACE


def _nested_namespace(request: Any) -> str | None:
    return request.namespace.namespace or DEFAULT_NAMESPACE


def _no_namespace(_: Any) -> str | None:
    return None
