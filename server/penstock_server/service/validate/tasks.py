"""Checks of requests about tasks that exist."""

from typing import Any

from penstock.v1 import task_service_pb2 as pb
from penstock_server.service.validate import names
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.limits import Limits
from penstock_server.service.validate.masks import UpdateRules
from penstock_server.service.validate.payload import result
from penstock_server.service.validate.report import failure
from penstock_server.service.validate.requests import check
from penstock_server.service.validate.rules import MessageRules, anything, each, not_negative
from penstock_server.service.validate.spec import grace, task_spec, task_spec_rules
from penstock_server.service.validate.times import HOUR, NOTHING, span

_ONE_TASK = {"namespace": names.NAMESPACE, "task_id": names.task_id}

_await_task = MessageRules(
    pb.AwaitTaskRequest, {**_ONE_TASK, "wait": span(NOTHING, HOUR)}, required=["task_id"]
)
_get_task = MessageRules(pb.GetTaskRequest, _ONE_TASK, required=["task_id"])
_cancel_task = MessageRules(
    pb.CancelTaskRequest,
    {**_ONE_TASK, "grace": grace, "reason": names.REASON},
    required=["task_id"],
)
_retry_task = MessageRules(
    pb.RetryTaskRequest,
    {**_ONE_TASK, "spec": task_spec, "request_id": names.REQUEST_ID},
    required=["task_id"],
)
_delete_task = MessageRules(pb.DeleteTaskRequest, _ONE_TASK, required=["task_id"])
_list_executions = MessageRules(
    pb.ListExecutionsRequest,
    {**_ONE_TASK, "page_size": not_negative, "page_token": anything},
    required=["task_id"],
)
_get_execution = MessageRules(
    pb.GetExecutionRequest, {**_ONE_TASK, "number": not_negative}, required=["task_id"]
)
_tail_logs = MessageRules(
    pb.TailLogsRequest,
    {**_ONE_TASK, "execution": not_negative, "cursor": anything, "follow": anything},
    required=["task_id"],
)
_watch_tasks = MessageRules(
    pb.WatchTasksRequest,
    {
        "namespace": names.NAMESPACE,
        "queues": each(names.QUEUE, most=64),
        "task_types": each(names.TASK_TYPE, most=64),
        "task_ids": each(names.task_id, most=100),
        "cursor": anything,
    },
)

_update = UpdateRules(
    task_spec_rules,
    ["labels", "owner", "display_name", "description", "priority", "schedule_time"],
    whole=False,
)


def _masked_fields_fit(request: Any, prefix: str, found: Found) -> None:
    _update(request.spec, "spec", request.update_mask, found)


_update_task = MessageRules(
    pb.UpdateTaskRequest,
    {**_ONE_TASK, "spec": anything, "update_mask": anything, "etag": names.ETAG},
    required=["task_id"],
    also=_masked_fields_fit,
)


def _has_an_ending(request: Any, prefix: str, found: Found) -> None:
    if request.WhichOneof("ending") is None:
        found.add("ending", "is required: set `result` or `failure`")


_end_task = MessageRules(
    pb.EndTaskRequest,
    {**_ONE_TASK, "result": result, "failure": failure},
    required=["task_id"],
    also=_has_an_ending,
)


def await_task(request: pb.AwaitTaskRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_await_task, request, limits)


def get_task(request: pb.GetTaskRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_get_task, request, limits)


def update_task(request: pb.UpdateTaskRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the mask, or a field of `spec` that it names, is out of bounds."""
    check(_update_task, request, limits)


def cancel_task(request: pb.CancelTaskRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_cancel_task, request, limits)


def end_task(request: pb.EndTaskRequest, limits: Limits) -> None:
    """Raises FieldInvalid or TooLarge if the request is out of bounds."""
    check(_end_task, request, limits)


def retry_task(request: pb.RetryTaskRequest, limits: Limits) -> None:
    """Raises FieldInvalid or TooLarge if the request is out of bounds. A spec, if given, is held to
    every rule."""
    check(_retry_task, request, limits)


def delete_task(request: pb.DeleteTaskRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_delete_task, request, limits)


def list_executions(request: pb.ListExecutionsRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds. The page token is judged by who reads
    it."""
    check(_list_executions, request, limits)


def get_execution(request: pb.GetExecutionRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_get_execution, request, limits)


def watch_tasks(request: pb.WatchTasksRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds. The cursor is judged by who reads it."""
    check(_watch_tasks, request, limits)


def tail_logs(request: pb.TailLogsRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds. The cursor is judged by who reads it."""
    check(_tail_logs, request, limits)
