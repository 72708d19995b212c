"""Sends one SubmitTasks call and reads what became of each item.

The call carries a `request_id` made once, and a repeat carries the same id and exactly the same
items, so a lost reply never makes a task twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta

from penstock.error_mapping import from_item_error
from penstock.errors import PenstockError, UnexpectedAnswer, Violation
from penstock.retry import may_help
from penstock.transport import Transport
from penstock.v1.task_service_pb2 import SubmitTasksRequest, SubmitTasksResponse, SubmitTasksResult


class SubmitResult:
    """What became of one submitted task: `task_id`, or `error` if it was refused.

    `existing` is True if the task existed already, under the same idempotency key or because this
    call had to be repeated after a lost reply.
    """

    __slots__ = ("error", "existing", "task_id")

    def __init__(
        self, task_id: str, existing: bool = False, error: PenstockError | None = None
    ) -> None:
        self.task_id = task_id
        self.existing = existing
        self.error = error

    def __repr__(self) -> str:
        return f"SubmitResult({self.error!r})" if self.error else f"SubmitResult({self.task_id})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SubmitResult) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts())

    def _facts(self) -> tuple[object, ...]:
        return (self.task_id, self.existing, self.error)

    def unwrap(self) -> str:
        """The task id; raises the error if the task was refused."""
        if self.error is not None:
            raise self.error
        return self.task_id


def new_request_id() -> str:
    """An id for one logical call."""
    return uuid.uuid4().hex


async def send(
    transport: Transport, request: SubmitTasksRequest, timeout: timedelta
) -> list[SubmitResult]:
    """Sends one SubmitTasks; items refused with "not now" are tried again within `timeout`.

    The whole call is repeated and not only its refused items, because the request id belongs to
    exactly these items; those that were taken answer as they did.
    """
    give_up = transport.clock() + timeout.total_seconds()
    results = await _send_once(transport, request, timeout)
    repeat = 0
    while (asked := _longest_delay(results)) is not None:
        wait = transport.backoff.seconds(repeat, asked)
        if transport.clock() + wait >= give_up:
            break
        await transport.sleep(wait)
        left = timedelta(seconds=give_up - transport.clock())
        try:
            again = await _send_once(transport, request, left)
        except PenstockError:
            break  # what the first answer said still holds, and says more
        results = [
            old if old.error is None else new for old, new in zip(results, again, strict=True)
        ]
        repeat += 1
    return results


async def _send_once(
    transport: Transport, request: SubmitTasksRequest, timeout: timedelta
) -> list[SubmitResult]:
    response = await transport.call(transport.tasks.SubmitTasks, request, timeout=timeout)
    return read_results(response, len(request.items))


def read_results(response: SubmitTasksResponse, count: int) -> list[SubmitResult]:
    """The outcome of each of `count` items."""
    if len(response.results) != count:
        raise UnexpectedAnswer(f"{count} tasks were submitted, {len(response.results)} answered")
    return [
        SubmitResult(result.task_id, result.existing)
        if result.task_id
        else SubmitResult("", False, _refusal(result, index))
        for index, result in enumerate(response.results)
    ]


def _refusal(result: SubmitTasksResult, index: int) -> PenstockError:
    """Why an item was refused, with paths from the item on: the caller does not know the batch."""
    error, prefix = from_item_error(result.error), f"items[{index}]."
    error.violations = tuple(
        Violation(v.field.removeprefix(prefix), v.description) for v in error.violations
    )
    error.message = error.message.replace(prefix, "")
    error.args = (error.message,)
    return error


def _longest_delay(results: Sequence[SubmitResult]) -> timedelta | None:
    """How long the refused items ask to wait; None if no repeat may help."""
    delays = [
        result.error.retry_delay or timedelta(0)
        for result in results
        if result.error is not None and may_help(result.error)
    ]
    return max(delays, default=None)
