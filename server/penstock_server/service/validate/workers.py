"""Checks of requests by workers, and about them."""

from collections.abc import Sequence
from typing import Any, Final

from penstock.v1 import worker_service_pb2 as pb
from penstock.v1.worker_pb2 import WorkerSession
from penstock_server.model.errors import FieldInvalid, PenstockError, Violation
from penstock_server.service.validate import names
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.limits import Limits
from penstock_server.service.validate.report import report_item
from penstock_server.service.validate.requests import check, check_items
from penstock_server.service.validate.rules import (
    SAFE_INTEGER,
    MessageRules,
    anything,
    each,
    not_negative,
    number,
    number_or_default,
    text,
)
from penstock_server.service.validate.times import MINUTE, NOTHING, span

_session = MessageRules(
    WorkerSession,
    {
        "session_id": names.SESSION_ID,
        "display_name": text(128),
        "slots": number(1, 100_000),
        "labels": names.labels(),
        "runtime": text(128),
    },
    required=["session_id", "slots"],
)

_WISH: Final = {
    "namespace": names.NAMESPACE,
    "queues": each(names.QUEUE, most=64),
    "task_types": each(names.TASK_TYPE, most=1_000),
    "max_tasks": number(0, 1_000),
    "max_bytes": number_or_default(64 << 10, 64 << 20),
    "acknowledged_directive_ids": each(names.DIRECTIVE_ID, most=1_000),
}
"""What a poll and a report say alike, to get tasks."""


def _says_what_to_lease(request: Any, prefix: str, found: Found) -> None:
    if request.max_tasks <= 0:
        return
    for name in ("queues", "task_types"):
        if not getattr(request, name):
            found.add(name, "is required when max_tasks is not 0")


_lease_tasks = MessageRules(
    pb.LeaseTasksRequest,
    {
        **_WISH,
        "session": _session,
        "poll_seq": number(0, SAFE_INTEGER),
        "wait": span(NOTHING, MINUTE),
    },
    required=["session"],
    also=_says_what_to_lease,
)

_report_executions = MessageRules(
    pb.ReportExecutionsRequest,
    {
        **_WISH,
        "session_id": names.SESSION_ID,
        "items": anything,  # each is answered by itself
    },
    required=["session_id"],
    also=_says_what_to_lease,
)

_list_workers = MessageRules(
    pb.ListWorkersRequest,
    {
        "namespace": names.NAMESPACE,
        "queue": names.QUEUE,
        "page_size": not_negative,
        "page_token": anything,
    },
)

_drain_worker = MessageRules(
    pb.DrainWorkerRequest,
    {"namespace": names.NAMESPACE, "session_id": names.SESSION_ID, "reason": names.REASON},
    required=["session_id"],
)


def lease_tasks(request: pb.LeaseTasksRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_lease_tasks, request, limits)


def report_executions(
    request: pb.ReportExecutionsRequest,
    limits: Limits,
    plain: Sequence[object | None] = (),
    tokens: Sequence[str] | None = None,
) -> list[PenstockError | None]:
    """Gives what is wrong with each item, None where nothing is; raises if the request around them
    is out of bounds.

    `plain` holds something for each item that is known to be in bounds, and `tokens` the items'
    tokens, if the caller has read them. Of several items for one lease, all but the first are
    refused.
    """
    found = Found(limits)
    _report_executions(request, "", found)
    if len(request.items) > limits.batch_items:
        count, most = len(request.items), limits.batch_items
        found.add("items", f"has {count:,} entries, at most {most:,} are allowed")
    found.raise_if_any()
    errors = check_items(report_item, request.items, limits, plain)
    if tokens is None:
        tokens = [item.lease_token for item in request.items]
    _refuse_repeated_leases(tokens, errors)
    return errors


def _refuse_repeated_leases(tokens: Sequence[str], errors: list[PenstockError | None]) -> None:
    if len(set(tokens)) == len(tokens):
        return
    first: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if first.setdefault(token, index) != index and errors[index] is None:
            why = f"is the lease of items[{first[token]}] already, one report of each is allowed"
            errors[index] = FieldInvalid([Violation(f"items[{index}].lease_token", why)])


def list_workers(request: pb.ListWorkersRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds. The page token is judged by who reads
    it."""
    check(_list_workers, request, limits)


def drain_worker(request: pb.DrainWorkerRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_drain_worker, request, limits)
