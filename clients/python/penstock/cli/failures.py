"""Says what went wrong in words that a person can act on.

Every refusal of a server carries its reason; for the ones that have a usual way out, the way out is
named here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from penstock.cli.exits import CommandFailed, Exit
from penstock.errors import (
    AccessDenied,
    DeadlineExceeded,
    PenstockError,
    ServerUnavailable,
    ShuttingDown,
    StoreUnavailable,
)

#: Reason → what usually helps.
REMEDIES: Final = {
    "TASK_NOT_FOUND": "check the id and --namespace; ended tasks are kept for a limited time",
    "QUEUE_NOT_FOUND": "`penstock queues list` shows the queues of this namespace",
    "NAMESPACE_NOT_FOUND": "`penstock namespaces list` shows them, `… create` makes one",
    "NAMESPACE_NOT_EMPTY": "purge its queues and let what runs end",
    "TASK_TYPE_NOT_FOUND": "`penstock types list` shows them, `… set` makes one",
    "TASK_TYPE_ALREADY_EXISTS": "`penstock types set TYPE` changes it",
    "WORKER_NOT_FOUND": "`penstock workers list` shows the sessions that live",
    "EXECUTION_NOT_FOUND": "`penstock tasks executions TASK` shows the ones that are kept",
    "TASK_STATE_CONFLICT": "`penstock tasks get TASK` shows its state",
    "TASK_ALREADY_EXISTS": "use another --idempotency-key, or --on-conflict existing",
    "IDEMPOTENCY_KEY_REUSED": "use another --idempotency-key, or the same task",
    "TOO_LARGE": "store large data elsewhere and send a reference",
    "CURSOR_EXPIRED": "begin again without --cursor",
    "CURSOR_INVALID": "begin again without --cursor",
    "PAGE_TOKEN_INVALID": "begin again without a page token",
    "BACKLOG_FULL": "let workers catch up, add some, or purge a queue",
    "STORE_FULL": "let workers catch up, or give the store more memory",
    "OVERLOADED": "try again in a moment",
    "STORE_UNAVAILABLE": "the server runs but its store does not answer: see `penstock doctor`",
    "SHUTTING_DOWN": "this server goes away: try again in a moment",
    "UNAUTHENTICATED": "put a valid key into PENSTOCK_API_KEY; `penstock keys create` makes one",
    "PERMISSION_DENIED": "use a key with a role that allows this",
    "ETAG_MISMATCH": "read it again and repeat the change",
    "UNIMPLEMENTED": "use a server of this version or newer",
    "DEADLINE_EXCEEDED": "allow more with --timeout 30s, or see `penstock doctor`",
    "INTERNAL": "the server's log has the details under that error_id",
}
_START_REMEDY: Final = (
    "start one with `penstock up`, or name another with --address or PENSTOCK_ADDRESS"
)
_TLS_REMEDY: Final = "check PENSTOCK_TLS_CA, PENSTOCK_TLS_CERT and PENSTOCK_TLS_KEY"


@contextmanager
def translated() -> Iterator[None]:
    """Turns what libraries raise into a `CommandFailed`."""
    try:
        yield
    except BrokenPipeError:
        _leave_quietly()
    except PenstockError as error:
        raise from_error(error) from None


def from_error(error: PenstockError) -> CommandFailed:
    """What a refused or failed call means, and what to do about it."""
    if isinstance(error, ServerUnavailable):
        return _unreachable(error)
    message = str(error)
    if error.violations:
        message = "; ".join(f"{wrong.field}: {wrong.description}" for wrong in error.violations)
    reason = error.reason or type(error).__name__
    return CommandFailed(
        message,
        remedy=REMEDIES.get(reason, ""),
        reason=reason,
        facts=error.facts,
        status=_status(error),
    )


def _status(error: PenstockError) -> Exit:
    if isinstance(error, AccessDenied):
        return Exit.DENIED
    away = isinstance(error, DeadlineExceeded | ServerUnavailable | StoreUnavailable | ShuttingDown)
    return Exit.UNREACHABLE if away else Exit.FAILED


def _unreachable(error: PenstockError) -> CommandFailed:
    address = error.facts.get("address", "the address")
    cause = str(error).removeprefix(f"{address}: ").partition("; is the server running")[0]
    secure = any(word in cause.lower() for word in ("handshake", "ssl", "certificate"))
    remedy = _TLS_REMEDY if secure else _START_REMEDY
    return CommandFailed(
        f"no server answers at {address}: {_brief(cause)}",
        remedy=remedy,
        reason="UNAVAILABLE",
        facts=error.facts,
        status=Exit.UNREACHABLE,
    )


def _brief(cause: str) -> str:
    """The last words of gRPC's chain of causes, which say what happened."""
    for noise in ("failed to connect to all addresses; last error: ", "UNKNOWN: ", "UNAVAILABLE: "):
        cause = cause.removeprefix(noise)
    return cause


def _leave_quietly() -> None:
    """The reader of our output (`head`, a pager) has gone, and nothing is wrong."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise CommandFailed("", status=Exit.OK)
