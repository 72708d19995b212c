"""Checks of requests about queues."""

from typing import Any, Final

from penstock.v1 import queue_service_pb2 as pb
from penstock.v1.queue_pb2 import QueueConfig
from penstock_server.service.validate import names
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.limits import Limits
from penstock_server.service.validate.masks import UpdateRules
from penstock_server.service.validate.requests import check
from penstock_server.service.validate.rules import Check, MessageRules, anything, not_negative
from penstock_server.service.validate.spec import (
    description,
    lease_duration,
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
}
_update = UpdateRules(MessageRules(QueueConfig, _CONFIG), list(_CONFIG), whole=True)


def _masked_fields_fit(request: Any, prefix: str, found: Found) -> None:
    _update(request.config, "config", request.update_mask, found)


_ONE_QUEUE: Final[dict[str, Check]] = {"namespace": names.NAMESPACE, "queue": names.QUEUE}

_get_queue = MessageRules(pb.GetQueueRequest, _ONE_QUEUE, required=["queue"])
_list_queues = MessageRules(
    pb.ListQueuesRequest,
    {"namespace": names.NAMESPACE, "page_size": not_negative, "page_token": anything},
)
_update_queue = MessageRules(
    pb.UpdateQueueRequest,
    {**_ONE_QUEUE, "config": anything, "update_mask": anything, "etag": names.ETAG},
    required=["queue"],
    also=_masked_fields_fit,
)
_pause_queue = MessageRules(
    pb.PauseQueueRequest, {**_ONE_QUEUE, "reason": names.REASON}, required=["queue"]
)
_resume_queue = MessageRules(pb.ResumeQueueRequest, _ONE_QUEUE, required=["queue"])
_purge_queue = MessageRules(pb.PurgeQueueRequest, _ONE_QUEUE, required=["queue"])
_peek_queue = MessageRules(
    pb.PeekQueueRequest, {**_ONE_QUEUE, "limit": not_negative}, required=["queue"]
)


def get_queue(request: pb.GetQueueRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_get_queue, request, limits)


def list_queues(request: pb.ListQueuesRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds. The page token is judged by who reads
    it."""
    check(_list_queues, request, limits)


def update_queue(request: pb.UpdateQueueRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the mask, or a field of `config` that is taken, is out of bounds."""
    check(_update_queue, request, limits)


def pause_queue(request: pb.PauseQueueRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_pause_queue, request, limits)


def resume_queue(request: pb.ResumeQueueRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_resume_queue, request, limits)


def purge_queue(request: pb.PurgeQueueRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_purge_queue, request, limits)


def peek_queue(request: pb.PeekQueueRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_peek_queue, request, limits)
