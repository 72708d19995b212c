"""Calls the server's validators by the name of a method, as tests of all of them do."""

from __future__ import annotations

import re
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from penstock.v1 import (
    namespace_service_pb2,
    queue_service_pb2,
    task_service_pb2,
    task_type_service_pb2,
    worker_service_pb2,
)
from penstock_server.model.errors import PenstockError
from penstock_server.service import validate
from support.messages import clear

_MODULES: Final = (
    task_service_pb2,
    worker_service_pb2,
    queue_service_pb2,
    task_type_service_pb2,
    namespace_service_pb2,
)

#: Every method of the contract, by name.
METHODS: Final[dict[str, Any]] = {
    method.name: method
    for module in _MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def request_type(method: str) -> Any:
    """Class of the requests of a method."""
    return GetMessageClass(METHODS[method].input_type)


def snake_case(method: str) -> str:
    """Name of a method as Python functions are named: `SubmitTask` → `submit_task`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method).lower()


def answer_of(
    method: str, request: Message, limits: validate.Limits | None = None
) -> PenstockError | list[PenstockError | None] | None:
    """What a validator makes of a request: the refusal, or the answers item by item, or nothing."""
    validator = getattr(validate, snake_case(method))
    try:
        answer: list[PenstockError | None] | None = validator(request, limits or validate.Limits())
    except PenstockError as error:
        return error
    return answer


def refusal_of(
    method: str, request: Message, limits: validate.Limits | None = None
) -> PenstockError | None:
    """Why a validator refuses a request or its first wrong item; nothing if it takes all of it."""
    answer = answer_of(method, request, limits)
    if isinstance(answer, list):
        return next((error for error in answer if error is not None), None)
    return answer


def wrong_fields(method: str, request: Message, limits: validate.Limits | None = None) -> list[str]:
    """Fields that a validator finds wrong, in the order in which it names them."""
    refusal = refusal_of(method, request, limits)
    return [] if refusal is None else [violation.field for violation in refusal.violations]


def repaired(method: str, request: Any, base: Any) -> Any:
    """The request without what is wrong with it, and with what it lacks taken from `base`."""
    for _ in range(_REPAIRS):
        answer = answer_of(method, request)
        errors = answer if isinstance(answer, list) else [answer]
        violations = [v for error in errors if error is not None for v in error.violations]
        if not violations:
            return request
        for violation in violations:
            clear(request, violation.field)
        merged = type(request)()
        merged.CopyFrom(base)
        merged.MergeFrom(request)
        request = merged
    return base


#: A repair may uncover what a bounded refusal left out.
_REPAIRS: Final = 20

#: Has the form of a task id.
TASK_ID: Final = "06eg3w5ckr0jz8t1m4v7q2xapb"


def valid_request(method: str) -> Any:
    """A small request that is taken."""
    request: Any = request_type(method)()
    fields = request.DESCRIPTOR.fields_by_name
    if "task_id" in fields:
        request.task_id = TASK_ID
    if "queue" in fields:
        request.queue = "q"
    if "session_id" in fields:
        request.session_id = "s"
    if "task_type" in fields:
        request.task_type = "t"
    match method:
        case "SubmitTask" | "RunTask":
            request.spec.task_type = "t"
        case "SubmitTasks":
            request.items.add().spec.task_type = "t"
        case "UpdateTask":
            request.update_mask.paths.append("owner")
        case "EndTask":
            request.result.data = b""
        case "LeaseTasks":
            request.session.session_id = "s"
            request.session.slots = 1
            request.queues.append("q")
            request.task_types.append("t")
        case "ReportExecutions":
            request.queues.append("q")
            request.task_types.append("t")
        case "CreateNamespace" | "UpdateNamespace":
            request.namespace.namespace = "n"
        case "GetNamespace" | "DeleteNamespace":
            request.namespace = "n"
    return request
