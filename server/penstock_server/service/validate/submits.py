"""Checks of submits: one task, many, or one to wait for."""

from collections.abc import Sequence
from typing import Final

from penstock.v1 import task_service_pb2 as pb
from penstock_server.model.errors import PenstockError
from penstock_server.service.validate import names
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.limits import Limits
from penstock_server.service.validate.requests import check, check_items
from penstock_server.service.validate.rules import Check, MessageRules, anything, choice, text
from penstock_server.service.validate.spec import task_spec, task_spec_rules
from penstock_server.service.validate.times import HOUR, NOTHING, SECOND, YEAR, span

_idempotency = MessageRules(
    pb.Idempotency,
    {
        "key": text(256),
        "window": span(SECOND, YEAR),
        "conflict_policy": choice(pb.ConflictPolicy.DESCRIPTOR),
    },
    required=["key"],
)

_SUBMIT: Final[dict[str, Check]] = {
    "namespace": names.NAMESPACE,
    "spec": task_spec,
    "idempotency": _idempotency,
    "request_id": names.REQUEST_ID,
}
_submit_task = MessageRules(pb.SubmitTaskRequest, _SUBMIT, required=["spec"])
_run_task = MessageRules(
    pb.RunTaskRequest, {**_SUBMIT, "wait": span(NOTHING, HOUR)}, required=["spec"]
)

_submit_tasks = MessageRules(
    pb.SubmitTasksRequest,
    {
        "namespace": names.NAMESPACE,
        "items": anything,  # each is answered by itself
        "all_or_none": anything,
        "request_id": names.REQUEST_ID,
    },
    required=["items"],
)

_item = MessageRules(
    pb.SubmitTasksItem, {"spec": task_spec_rules, "idempotency": _idempotency}, required=["spec"]
)


def submit_task(request: pb.SubmitTaskRequest, limits: Limits) -> None:
    """Raises FieldInvalid or TooLarge if the request is out of bounds."""
    check(_submit_task, request, limits)


def run_task(request: pb.RunTaskRequest, limits: Limits) -> None:
    """Raises FieldInvalid or TooLarge if the request is out of bounds."""
    check(_run_task, request, limits)


def submit_tasks(
    request: pb.SubmitTasksRequest, limits: Limits, plain: Sequence[object | None] = ()
) -> list[PenstockError | None]:
    """Gives what is wrong with each item, None where nothing is; raises if the batch itself is out
    of bounds.

    `plain` holds something for each item that is known to be in bounds.
    """
    found = Found(limits)
    _submit_tasks(request, "", found)
    _check_size(request, found)
    found.raise_if_any()
    return check_items(_item, request.items, limits, plain)


def _check_size(request: pb.SubmitTasksRequest, found: Found) -> None:
    limits, count = found.limits, len(request.items)
    most = limits.atomic_items if request.all_or_none else limits.batch_items
    if count > most:
        kind = " with all_or_none" if request.all_or_none else ""
        found.add("items", f"has {count:,} entries, at most {most:,} are allowed{kind}")
    elif request.all_or_none and request.ByteSize() > limits.atomic_bytes:
        size = sum(item.ByteSize() for item in request.items)
        if size > limits.atomic_bytes:
            found.add_oversize("items", size, limits.atomic_bytes)
