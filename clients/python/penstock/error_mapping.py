"""Turns what comes over the wire into the exceptions of `penstock.errors`.

A refusal by a Penstock server carries `google.rpc` details: its reason, facts, field violations and
retry delay are taken from there. Everything else (no connection, a proxy's answer, a size limit of
gRPC itself) becomes an exception that names the address and says what to try.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from penstock import errors
from penstock.errors import PenstockError, Violation
from penstock.v1 import error_pb2

if TYPE_CHECKING:
    import grpc

DOMAIN: Final = "penstock"
_DETAILS_KEY: Final = "grpc-status-details-bin"
_REASON_PREFIX: Final = len("ERROR_REASON_")

# Class of every reason. A test compares it with the contract's enum.
BY_REASON: Final[Mapping[str, type[PenstockError]]] = {
    kind.reason: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, PenstockError) and kind.reason
}

# Class for a reason that this version does not know yet, by its canonical code.
_BY_CODE: Final[Mapping[int, type[PenstockError]]] = {
    1: errors.TryLater,
    3: errors.InvalidRequest,
    4: errors.DeadlineExceeded,
    5: errors.NotFound,
    6: errors.AlreadyExists,
    7: errors.PermissionDenied,
    8: errors.TryLater,
    9: errors.Conflict,
    10: errors.Conflict,
    12: errors.Unimplemented,
    13: errors.Internal,
    14: errors.TryLater,
    16: errors.Unauthenticated,
}


def from_rpc_error(error: grpc.aio.AioRpcError, address: str) -> PenstockError:
    """The exception for a failed call to the server at `address`."""
    status = _status(error)
    refusal = _from_status(status) if status is not None else None
    return refusal or _from_transport(error, address)


def from_item_error(error: error_pb2.ItemError) -> PenstockError:
    """The exception for one refused item of a batch."""
    return _build(
        reason_name(error.reason),
        error.message,
        code=error.code,
        facts=dict(error.metadata),
        violations=tuple(Violation(v.field, v.description) for v in error.field_violations),
        retry_delay=error.retry_delay.ToTimedelta() if error.HasField("retry_delay") else None,
    )


def reason_name(number: int) -> str:
    """Name of an `ErrorReason` without its prefix; empty for one that is not known here."""
    known = error_pb2.ErrorReason.DESCRIPTOR.values_by_number.get(number)
    return known.name[_REASON_PREFIX:] if known is not None and number else ""


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    """The google.rpc.Status that came with the error, if one did and it can be read."""
    # The stubs take the metadata for one pair; it is a sequence of them.
    trailers: Iterable[tuple[str, str | bytes]] = error.trailing_metadata() or ()  # type: ignore[assignment]
    for key, value in trailers:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None  # a damaged trailer: the plain code and text are all there is
    return None


def _from_status(status: status_pb2.Status) -> PenstockError | None:
    """The refusal in `status`, or None if it is not a Penstock server's."""
    info = error_details_pb2.ErrorInfo()
    bad, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    delay: timedelta | None = None
    for detail in status.details:
        detail.Unpack(info) or detail.Unpack(bad)
        if detail.Unpack(retry):
            delay = retry.retry_delay.ToTimedelta()
    if info.domain != DOMAIN:
        return None
    violations = tuple(Violation(v.field, v.description) for v in bad.field_violations)
    return _build(
        info.reason,
        status.message,
        code=status.code,
        facts=dict(info.metadata),
        violations=violations,
        retry_delay=delay,
    )


def _build(
    reason: str,
    message: str,
    *,
    code: int,
    facts: dict[str, str],
    violations: tuple[Violation, ...],
    retry_delay: timedelta | None,
) -> PenstockError:
    """The class of the reason, else of the code; a reason not known here is kept as it is."""
    kind = BY_REASON.get(reason) or _BY_CODE.get(code, errors.UnexpectedAnswer)
    error = kind(message, code=code, facts=facts, violations=violations, retry_delay=retry_delay)
    if error.reason != reason:
        error.reason = reason
    return error


def _from_transport(error: grpc.aio.AioRpcError, address: str) -> PenstockError:
    """The exception for an error that no Penstock server made."""
    code, details = int(error.code().value[0]), error.details() or "no details"
    kind, hint = _TRANSPORT.get(code, (errors.UnexpectedAnswer, _NOT_PENSTOCK))
    made = kind(f"{address}: {details}; {hint}", code=code, facts={"address": address})
    if made.reason:
        made.reason = ""  # the server gave none
    return made


_NOT_PENSTOCK: Final = "this is not an answer of a Penstock server: check the address"
_TRANSPORT: Final[dict[int, tuple[type[PenstockError], str]]] = {
    1: (errors.ServerUnavailable, "the server ended the call, as one does that shuts down"),
    4: (
        errors.DeadlineExceeded,
        "the call may or may not have taken effect: look at the task, or allow a longer timeout",
    ),
    7: (errors.PermissionDenied, "check the API key and what stands between client and server"),
    8: (
        errors.TooLarge,
        "a message was larger than one side takes: send less at once, or ask for smaller pages",
    ),
    12: (errors.Unimplemented, "the server is older than this client, or is no Penstock server"),
    14: (
        errors.ServerUnavailable,
        "is the server running, and is the address right? Set PENSTOCK_ADDRESS, and "
        "PENSTOCK_TLS_CA if the server uses TLS; `penstock doctor` looks closer",
    ),
    16: (errors.Unauthenticated, "set PENSTOCK_API_KEY"),
}
