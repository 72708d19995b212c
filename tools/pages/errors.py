"""docs/reference/errors.md: every reason with its code, meaning, facts and what to do."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any, Final

import penstock.errors as client_errors
from pages.contract import Contract
from pages.form import REMARK, table
from penstock_server.model.errors import PenstockError
from penstock_server.service.errors import CODES

_PREFIX: Final = "ERROR_REASON_"


def page(contract: Contract) -> str:
    """The whole page."""
    enum = contract.enums["ErrorReason"]
    comments = {value.name.removeprefix(_PREFIX): value.comment for value in enum.values}
    return (
        _HEAD
        + table(
            ["reason", "code", "meaning", "what to do", "metadata"],
            [
                [
                    f"`{reason}`",
                    code.name,
                    _meaning(comments[reason]),
                    REMEDIES[reason],
                    facts_of(kind),
                ]
                for (reason, code), kind in zip(
                    CODES.items(), map(_server_class, CODES), strict=True
                )
            ],
        )
        + _PYTHON
        + table(
            ["reason", "class in `penstock.errors`"],
            [[f"`{reason}`", f"`{_client_class(reason)}`"] for reason in CODES],
        )
    )


def _meaning(comment: str) -> str:
    """Without the code that the comment begins with."""
    return comment.partition(". ")[2]


def _server_class(reason: str) -> type[PenstockError]:
    return next(kind for kind in _below(PenstockError) if vars(kind).get("reason") == reason)


def _client_class(reason: str) -> str:
    for name, kind in vars(client_errors).items():
        if isinstance(kind, type) and vars(kind).get("reason") == reason:
            return name
    raise LookupError(f"the client has no class for {reason}")


def _below(kind: type[PenstockError]) -> list[type[PenstockError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _below(child))]


def facts_of(kind: type[PenstockError]) -> str:
    """Names of the facts, from an error that is made for it."""
    parameters = list(inspect.signature(kind).parameters.values())
    places = [_sample(p) for p in parameters if p.kind is not p.KEYWORD_ONLY]
    names = {p.name: _sample(p) for p in parameters if p.kind is p.KEYWORD_ONLY}
    made: Any = kind
    return ", ".join(f"`{name}`" for name in made(*places, **names).facts)


def _sample(parameter: inspect.Parameter) -> object:
    samples: dict[object, object] = {int: 1, str: "x", timedelta: timedelta(seconds=1)}
    return samples.get(parameter.annotation, ())


REMEDIES: Final = {
    "FIELD_INVALID": "Correct the fields that BadRequest names. Repeating does not help.",
    "TOO_LARGE": "Keep large data elsewhere and send a reference, or raise `limits.*`.",
    "PAGE_TOKEN_INVALID": "Begin the list again without a token.",
    "CURSOR_INVALID": "Begin the stream again without a cursor.",
    "CURSOR_EXPIRED": "Read the state anew, then watch from now.",
    "TASK_NOT_FOUND": "Check id and namespace. Ended tasks go after their retention.",
    "EXECUTION_NOT_FOUND": "List the executions. The latest 100 of a task are kept.",
    "QUEUE_NOT_FOUND": "Check the name. A queue exists from its first task on.",
    "NAMESPACE_NOT_FOUND": "Make it first: `penstock namespaces create NAME`.",
    "WORKER_NOT_FOUND": "Look at `penstock workers list`: the session has ended.",
    "TASK_TYPE_NOT_FOUND": "Make it first: `penstock types set TYPE`. Tasks need no record.",
    "TASK_TYPE_ALREADY_EXISTS": "Update it, or remove it first.",
    "NAMESPACE_ALREADY_EXISTS": "Use it, or choose another name.",
    "NAMESPACE_NOT_EMPTY": "Purge its queues and let what runs end. `default` always stays.",
    "TASK_ALREADY_EXISTS": "Use the task that the metadata names.",
    "IDEMPOTENCY_KEY_REUSED": "Use a new key for a new task.",
    "TASK_STATE_CONFLICT": "Read the task; its state does not allow the call.",
    "LEASE_LOST": "Stop the handler, drop its work, report nothing more on this lease.",
    "ETAG_MISMATCH": "Read it again, apply the change to what is there now, send it again.",
    "CROSS_PARTITION": "Use queues of one partition, or leave `all_or_none` out.",
    "BATCH_ABORTED": "Correct the item that has another reason, and send the batch again.",
    "LIMIT_REACHED": "Remove what is not used, or raise `limits.*`.",
    "BACKLOG_FULL": "Submit more slowly, add workers, or raise `limits.backlog_*`. Repeat later.",
    "OVERLOADED": "Repeat after the delay. If it stays, add servers.",
    "STORE_FULL": "Give the store memory, or let workers drain it. Repeat later.",
    "STORE_UNAVAILABLE": "Repeat with the same `request_id`. If it stays, look at the store.",
    "SHUTTING_DOWN": "Repeat; another server, or the next start of this one, answers.",
    "DEADLINE_EXCEEDED": "Give the call more time, or raise `limits.call_timeout`. "
    "Repeat with the same `request_id`.",
    "UNAUTHENTICATED": "Send a valid key: `authorization: Bearer KEY`, or `PENSTOCK_API_KEY`.",
    "PERMISSION_DENIED": "Use a key with the role and the namespace.",
    "UNIMPLEMENTED": "Upgrade the server, or use another method.",
    "INTERNAL": "Look for the `error_id` in the server's log, and report it.",
}
"""What somebody who meets the reason does next. A reason without an entry stops the script."""

_HEAD: Final = f"""\
# Errors

{REMARK}

A refused call carries a canonical gRPC code and a `google.rpc.Status` with these details:

- `google.rpc.ErrorInfo`: domain `penstock`, the reason below, every fact of the text as metadata;
- `google.rpc.BadRequest` where fields are wrong: the path of each field and what is allowed;
- `google.rpc.RetryInfo` where the same call may succeed later: how long to wait.

A batch answers item by item, with the same facts in an `ItemError`. Programs read the reason,
never the text.

**What a client repeats.** A call that ended with `UNAVAILABLE`, and one that ended with
`RESOURCE_EXHAUSTED` if it carries a `RetryInfo`; with the same `request_id`, after the delay, with
jitter. Nothing else. `RESOURCE_EXHAUSTED` without details comes from the transport: the message is
larger than it takes.

What a *handler* did wrong is never an error of a call. It is a `Failure` on the execution.

"""

_PYTHON: Final = """
## In Python

Each reason is a class below `PenstockError`, with `reason`, `code`, `facts`, `violations` and
`retry_delay`.

"""
