"""What a handler may raise to say how it failed, and what the runtime raises when it cannot start.

Fail                     the handler did not succeed; says so in its own words
└── NonRetryableError    … and another attempt would be pointless
ExecutionCancelled       raised by `Context.check_cancelled`
WorkerStartError         the worker cannot start; the text says what to do
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Fail(Exception):
    """The execution did not succeed, in the handler's own words.

    `kind` names the class of failure (default: the exception's qualified name), `retryable` says
    whether another attempt makes sense, `details` is for programs: JSON-able, at most 16 KiB.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str | None = None,
        retryable: bool = True,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable
        self.details = details


class NonRetryableError(Fail):
    """The execution did not succeed and another attempt would be pointless."""

    def __init__(
        self,
        message: str,
        *,
        kind: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, kind=kind, retryable=False, details=details)


class PayloadError(NonRetryableError):
    """The payload is not what the handler's parameter asks for."""


class ResultError(NonRetryableError):
    """What the handler returned cannot be put into a payload."""


class ExecutionCancelled(BaseException):
    """The execution was told to stop, and its handler asked whether it was.

    A BaseException, so that a handler's `except Exception` does not take it for a failure.
    """


class WorkerStartError(Exception):
    """The worker cannot start. The text says why and what to do."""
