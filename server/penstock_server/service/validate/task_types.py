"""Checks of requests about task types."""

from typing import Any, Final

from penstock.v1 import task_type_service_pb2 as pb
from penstock.v1.task_type_pb2 import TaskTypeConfig
from penstock_server.service.validate import names
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.limits import Limits
from penstock_server.service.validate.masks import UpdateRules
from penstock_server.service.validate.requests import check
from penstock_server.service.validate.rules import Check, MessageRules, anything, not_negative
from penstock_server.service.validate.spec import (
    description,
    lease_duration,
    priority,
    retention,
    retry_policy,
    timeouts,
)

_CONFIG: Final[dict[str, Check]] = {
    "description": description,
    "lease_duration": lease_duration,
    "retry_policy": retry_policy,
    "timeouts": timeouts,
    "retention": retention,
    "priority": priority,
}
_config = MessageRules(TaskTypeConfig, _CONFIG)
_update = UpdateRules(_config, list(_CONFIG), whole=True)


def _masked_fields_fit(request: Any, prefix: str, found: Found) -> None:
    _update(request.config, "config", request.update_mask, found)


_ONE_TYPE: Final[dict[str, Check]] = {"namespace": names.NAMESPACE, "task_type": names.TASK_TYPE}

_create_task_type = MessageRules(
    pb.CreateTaskTypeRequest, {**_ONE_TYPE, "config": _config}, required=["task_type"]
)
_get_task_type = MessageRules(pb.GetTaskTypeRequest, _ONE_TYPE, required=["task_type"])
_list_task_types = MessageRules(
    pb.ListTaskTypesRequest,
    {"namespace": names.NAMESPACE, "page_size": not_negative, "page_token": anything},
)
_update_task_type = MessageRules(
    pb.UpdateTaskTypeRequest,
    {**_ONE_TYPE, "config": anything, "update_mask": anything, "etag": names.ETAG},
    required=["task_type"],
    also=_masked_fields_fit,
)
_delete_task_type = MessageRules(pb.DeleteTaskTypeRequest, _ONE_TYPE, required=["task_type"])


def create_task_type(request: pb.CreateTaskTypeRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_create_task_type, request, limits)


def get_task_type(request: pb.GetTaskTypeRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_get_task_type, request, limits)


def list_task_types(request: pb.ListTaskTypesRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds. The page token is judged by who reads
    it."""
    check(_list_task_types, request, limits)


def update_task_type(request: pb.UpdateTaskTypeRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the mask, or a field of `config` that is taken, is out of bounds."""
    check(_update_task_type, request, limits)


def delete_task_type(request: pb.DeleteTaskTypeRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_delete_task_type, request, limits)
