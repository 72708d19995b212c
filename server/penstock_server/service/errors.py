"""Refusals as they go over the wire: the one table from reason to gRPC code, and the two forms.

A refused call carries a google.rpc.Status with ErrorInfo, and BadRequest or RetryInfo where they
apply; a refused item of a batch carries the same facts as an ItemError. An exception that is not a
refusal is a fault of the server: it is logged whole under an `error_id`, and the caller gets the
id and nothing else.
"""

import secrets
from datetime import timedelta
from typing import Final

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from penstock.v1 import error_pb2
from penstock_server.model.errors import PenstockError
from penstock_server.telemetry import events
from penstock_server.telemetry.logging import get_logger

DOMAIN: Final = "penstock"

CODES: Final = {
    "FIELD_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "TOO_LARGE": grpc.StatusCode.INVALID_ARGUMENT,
    "PAGE_TOKEN_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "CURSOR_INVALID": grpc.StatusCode.INVALID_ARGUMENT,
    "CURSOR_EXPIRED": grpc.StatusCode.FAILED_PRECONDITION,
    "TASK_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "EXECUTION_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "QUEUE_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "NAMESPACE_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "WORKER_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "TASK_TYPE_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "TASK_TYPE_ALREADY_EXISTS": grpc.StatusCode.ALREADY_EXISTS,
    "NAMESPACE_ALREADY_EXISTS": grpc.StatusCode.ALREADY_EXISTS,
    "NAMESPACE_NOT_EMPTY": grpc.StatusCode.FAILED_PRECONDITION,
    "TASK_ALREADY_EXISTS": grpc.StatusCode.ALREADY_EXISTS,
    "IDEMPOTENCY_KEY_REUSED": grpc.StatusCode.FAILED_PRECONDITION,
    "TASK_STATE_CONFLICT": grpc.StatusCode.FAILED_PRECONDITION,
    "LEASE_LOST": grpc.StatusCode.FAILED_PRECONDITION,
    "ETAG_MISMATCH": grpc.StatusCode.ABORTED,
    "CROSS_PARTITION": grpc.StatusCode.FAILED_PRECONDITION,
    "BATCH_ABORTED": grpc.StatusCode.FAILED_PRECONDITION,
    "LIMIT_REACHED": grpc.StatusCode.FAILED_PRECONDITION,
    "BACKLOG_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "OVERLOADED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "STORE_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "STORE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "SHUTTING_DOWN": grpc.StatusCode.UNAVAILABLE,
    "DEADLINE_EXCEEDED": grpc.StatusCode.DEADLINE_EXCEEDED,
    "UNAUTHENTICATED": grpc.StatusCode.UNAUTHENTICATED,
    "PERMISSION_DENIED": grpc.StatusCode.PERMISSION_DENIED,
    "UNIMPLEMENTED": grpc.StatusCode.UNIMPLEMENTED,
    "INTERNAL": grpc.StatusCode.INTERNAL,
}
"""Every reason that a server answers with, and its code. The clients hold the same table."""

# Text and details travel in trailers, of which stock clients take 8 KiB; what is longer is cut.
_LONGEST_MESSAGE: Final = 2_000
_LONGEST_FACT: Final = 500

_log = get_logger(__name__)


class DeadlineExceeded(PenstockError):
    """The call took longer than the server allows."""

    reason = "DEADLINE_EXCEEDED"

    def __init__(self, *, method: str, allowed: timedelta) -> None:
        seconds = f"{allowed.total_seconds():g}"
        super().__init__(
            f"{method} took longer than the {seconds} s that the server allows; whether it took "
            "effect is not known",
            method=method,
            allowed_seconds=seconds,
        )


class MethodUnimplemented(PenstockError):
    """This server does not offer the method."""

    reason = "UNIMPLEMENTED"

    def __init__(self, *, method: str) -> None:
        method = method[:256]
        super().__init__(
            f"this server does not offer {method}; reflection lists what it offers", method=method
        )


class InternalError(PenstockError):
    """A fault of the server. Its log has the details under `error_id`."""

    reason = "INTERNAL"

    def __init__(self, *, error_id: str) -> None:
        super().__init__(
            f"a fault of the server; its log has the details under error_id {error_id}",
            error_id=error_id,
        )


def refusal_of(error: BaseException, *, method: str) -> PenstockError:
    """The refusal to answer with. Anything that is not one is logged with its stack, and hidden."""
    if isinstance(error, PenstockError):
        return error
    error_id = secrets.token_hex(8)
    _log.error(events.CALL_FAULT, method=method, error_id=error_id, exc_info=error)
    return InternalError(error_id=error_id)


def to_status(error: PenstockError) -> grpc.Status:
    """The refusal of a call, ready for `context.abort_with_status`."""
    return rpc_status.to_status(to_status_proto(error))


def to_status_proto(error: PenstockError) -> status_pb2.Status:
    """The refusal of a call as a google.rpc.Status with its details."""
    status = status_pb2.Status(code=_code(error), message=error.message[:_LONGEST_MESSAGE])
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=_facts(error))
    )
    if error.violations:
        status.details.add().Pack(_bad_request(error))
    if error.retry_delay is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_delay)
        status.details.add().Pack(retry)
    return status


def to_item_error(error: PenstockError) -> error_pb2.ItemError:
    """The refusal of one item of a batch."""
    item = error_pb2.ItemError(
        code=_code(error),
        reason=error_pb2.ErrorReason.Value(f"ERROR_REASON_{error.reason}"),
        message=error.message[:_LONGEST_MESSAGE],
        metadata=_facts(error),
        field_violations=[
            error_pb2.FieldViolation(field=v.field, description=v.description)
            for v in error.violations
        ],
    )
    if error.retry_delay is not None:
        item.retry_delay.FromTimedelta(error.retry_delay)
    return item


def _code(error: PenstockError) -> int:
    number: int = CODES[error.reason].value[0]
    return number


def _facts(error: PenstockError) -> dict[str, str]:
    return {name: value[:_LONGEST_FACT] for name, value in error.facts.items()}


def _bad_request(error: PenstockError) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in error.violations
        ]
    )
