"""Exceptions to the contract's Failure.

The bounds are the contract's; longer texts are cut here so that they do not travel first.
Leading stack frames of the runtime itself are left out: people look for their own code.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

from google.protobuf import struct_pb2

from penstock.v1 import task_pb2
from penstock_worker.errors import Fail
from penstock_worker.registry import Retry
from penstock_worker.text import cut, cut_front

KIND_BYTES: Final = 128
MESSAGE_BYTES: Final = 4096
STACK_BYTES: Final = 16 * 1024
DETAILS_BYTES: Final = 16 * 1024
CAUSES: Final = 8

_OWN_FOLDER: Final = os.path.dirname(__file__) + os.sep
# Handlers of the built-in types live under the runtime's folder and are user code all the same.
_BUILTIN_FOLDER: Final = os.path.join(_OWN_FOLDER, "builtin") + os.sep


def kind_of(error: BaseException) -> str:
    """Answers the exception's qualified name, without `builtins.`."""
    if isinstance(error, Fail) and error.kind:
        return cut(str(error.kind), KIND_BYTES)
    cls = type(error)
    name = cls.__qualname__
    return cut(name if cls.__module__ == "builtins" else f"{cls.__module__}.{name}", KIND_BYTES)


def failure_of(
    error: BaseException, *, retry: Retry | None = None, attempt: int = 0
) -> task_pb2.Failure:
    """Answers the Failure of an exception, its causes included."""
    failure = _one(error)
    if _is_final(error, retry, attempt):
        failure.retryable = False
    seen, place = {id(error)}, failure
    for _ in range(CAUSES - 1):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in seen:
            break
        seen.add(id(cause))
        place.cause.CopyFrom(_one(cause))
        error, place = cause, place.cause
    return failure


def _is_final(error: BaseException, retry: Retry | None, attempt: int) -> bool:
    if isinstance(error, Fail) and not error.retryable:
        return True
    if retry is None:
        return False
    if retry.max_attempts is not None and attempt >= retry.max_attempts:
        return True
    return isinstance(error, retry.non_retryable)


def _one(error: BaseException) -> task_pb2.Failure:
    failure = task_pb2.Failure(
        kind=kind_of(error),
        message=cut(_text(error), MESSAGE_BYTES),
        stack_trace=cut_front(_stack(error), STACK_BYTES),
    )
    if isinstance(error, Fail) and error.details:
        failure.details.CopyFrom(details_of(error.details))
    return failure


def details_of(details: Mapping[str, Any]) -> struct_pb2.Struct:
    """Answers the details as a Struct; what does not fit is replaced by a note that says so."""
    struct = struct_pb2.Struct()
    try:
        struct.update(details)
    except (TypeError, ValueError) as error:
        struct.Clear()
        struct.update({"penstock": f"details left out: {error}"})
    if struct.ByteSize() > DETAILS_BYTES:
        note = f"details left out: {struct.ByteSize()} bytes, at most {DETAILS_BYTES}"
        struct.Clear()
        struct.update({"penstock": note})
    return struct


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as broken:  # the exception's own code, which may do anything
        return f"<its text cannot be made: {type(broken).__name__}>"


def _stack(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(
            type(error), error, own_frames_trimmed(error.__traceback__), chain=False
        )
    except BaseException as broken:  # as above
        return f"<the stack trace cannot be made: {type(broken).__name__}>"
    return "".join(lines)


def own_frames_trimmed(trace: TracebackType | None) -> TracebackType | None:
    """Answers the traceback from the first frame on that is not the runtime's."""
    place = trace
    while place is not None:
        name = place.tb_frame.f_code.co_filename
        if not name.startswith(_OWN_FOLDER) or name.startswith(_BUILTIN_FOLDER):
            return place
        place = place.tb_next
    return trace
