"""Cuts texts that people wrote and that may be cut: failures, progress, log lines.

What a worker says about an execution is never refused for being long where the contract says that
it is cut: a refused report would lose the ending. All cuts count bytes of UTF-8 and fall between
characters. The messages are changed in place; those with nothing to cut cost a few reads.
"""

from typing import Final

from penstock.v1.execution_pb2 import LogLine
from penstock.v1.task_pb2 import Failure, Progress
from penstock_server.service.validate.report import DEEPEST_CAUSE

MARK: Final = "…"
"""Stands where a text was cut."""

KIND_BYTES: Final = 128
MESSAGE_BYTES: Final = 4 << 10
STACK_TRACE_BYTES: Final = 16 << 10
PROGRESS_MESSAGE_BYTES: Final = 256
LOG_TEXT_BYTES: Final = 16 << 10


def keep_start(text: str, most: int, mark: str = MARK) -> str:
    """Gives a text of at most `most` bytes: the text itself, or its start and the mark."""
    if len(text) * 4 <= most:
        return text
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return encoded[: most - len(mark.encode())].decode(errors="ignore") + mark


def keep_end(text: str, most: int, mark: str = MARK) -> str:
    """Gives a text of at most `most` bytes: the text itself, or the mark and its end."""
    if len(text) * 4 <= most:
        return text
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return mark + encoded[len(encoded) - most + len(mark.encode()) :].decode(errors="ignore")


def trim_failure(failure: Failure) -> None:
    """Cuts the texts of a failure and of its causes, and the causes below the eighth.

    `kind` is cut without a mark, since programs compare it; of a stack trace the end stays.
    """
    for depth in range(DEEPEST_CAUSE + 1):
        _trim_texts(failure)
        if not failure.HasField("cause"):
            return
        if depth == DEEPEST_CAUSE:
            failure.ClearField("cause")
        else:
            failure = failure.cause


def _trim_texts(failure: Failure) -> None:
    # A message is never smaller than its texts: one that is small has nothing to cut.
    if failure.ByteSize() <= KIND_BYTES:
        return
    failure.kind = keep_start(failure.kind, KIND_BYTES, mark="")
    failure.message = keep_start(failure.message, MESSAGE_BYTES)
    failure.stack_trace = keep_end(failure.stack_trace, STACK_TRACE_BYTES)


def trim_progress(progress: Progress) -> None:
    """Cuts the message of a progress report."""
    message = progress.message
    if len(message) * 4 > PROGRESS_MESSAGE_BYTES:
        progress.message = keep_start(message, PROGRESS_MESSAGE_BYTES)


def trim_log_line(line: LogLine) -> None:
    """Cuts the text of a log line."""
    text = line.text
    if len(text) * 4 > LOG_TEXT_BYTES:
        line.text = keep_start(text, LOG_TEXT_BYTES)
