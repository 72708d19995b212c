"""Checks of what workers report: progress, usage, failures, log lines."""

from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from penstock.v1.execution_pb2 import ExecutionOutcome, LogLine, LogStream, ReleaseReason, Usage
from penstock.v1.task_pb2 import Failure, Progress
from penstock.v1.worker_service_pb2 import (
    AcceptReport,
    CompleteReport,
    FailReport,
    HeartbeatReport,
    ReleaseReport,
    ReportItem,
)
from penstock_server.service.validate import names
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.payload import is_plain_payload, result
from penstock_server.service.validate.rules import (
    SAFE_INTEGER,
    MessageRules,
    anything,
    choice,
    not_negative,
    number,
    shown,
    text,
)
from penstock_server.service.validate.times import LONGEST, NOTHING, instant, span
from penstock_server.service.validate.values import details

DEEPEST_CAUSE: Final = 8
"""Causes below a failure that are kept."""

MOST_LINES: Final = 1_000
MOST_LINE_BYTES: Final = 256 << 10

_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_A_DECADE: Final = 315_360_000

_details = details(16 << 10)

progress = MessageRules(
    Progress,
    {
        "fraction": number(0.0, 1.0),
        "message": anything,  # cut
        "details": _details,
        "update_time": anything,  # output only
    },
)

usage = MessageRules(
    Usage,
    {
        "wall_time": span(NOTHING, LONGEST),
        "cpu_time": span(NOTHING, LONGEST),
        "peak_memory_bytes": not_negative,
        "read_bytes": not_negative,
        "write_bytes": not_negative,
    },
)


def failure(value: Failure, path: str, found: Found) -> None:
    """Takes failures whose details are within bounds, causes included. Texts and deeper causes are
    cut, not judged."""
    for _ in range(DEEPEST_CAUSE + 1):
        if value.HasField("details"):
            _details(value.details, f"{path}.details", found)
        if not value.HasField("cause"):
            return
        value, path = value.cause, f"{path}.cause"


def _level(value: str, path: str, found: Found) -> None:
    if value not in _LEVELS:
        found.add(path, f"is {shown(value)}, allowed are {', '.join(_LEVELS)}, or none")


log_line = MessageRules(
    LogLine,
    {
        "execution": anything,  # output only
        "number": number(1, SAFE_INTEGER),
        "time": instant,
        "stream": choice(LogStream.DESCRIPTOR),
        "level": _level,
        "logger": text(128),
        "text": anything,  # cut
    },
    required=["number"],
)


def _log_lines(lines: Any, path: str, found: Found) -> None:
    """Takes lines whose numbers rise by 1. Their size is judged with the item."""
    if len(lines) > MOST_LINES:
        found.add(path, f"has {len(lines):,} lines, at most {MOST_LINES:,} are allowed")
        return
    before = lines[0].number - 1
    for index, line in enumerate(lines):
        log_line(line, f"{path}[{index}]", found)
        if line.number != before + 1:
            found.add(f"{path}[{index}].number", f"is {line.number} after {before}, must rise by 1")
        before = line.number


def _lines_are_not_too_large(item: Any, prefix: str, found: Found) -> None:
    # The item is never smaller than its lines, so the common case needs no sum.
    if item.log_lines and item.ByteSize() > MOST_LINE_BYTES:
        size = sum(line.ByteSize() for line in item.log_lines)
        if size > MOST_LINE_BYTES:
            found.add_oversize(f"{prefix}log_lines", size, MOST_LINE_BYTES)


report_item = MessageRules(
    ReportItem,
    {
        "lease_token": names.LEASE_TOKEN,
        "log_lines": _log_lines,
        "accept": MessageRules(AcceptReport, {}),
        "heartbeat": MessageRules(HeartbeatReport, {"progress": progress, "usage": usage}),
        "complete": MessageRules(CompleteReport, {"result": result, "usage": usage}),
        "fail": MessageRules(
            FailReport,
            {
                "failure": failure,
                "outcome": choice(
                    ExecutionOutcome.DESCRIPTOR,
                    without=[
                        "EXECUTION_OUTCOME_SUCCEEDED",
                        "EXECUTION_OUTCOME_LOST",
                        "EXECUTION_OUTCOME_RELEASED",
                    ],
                ),
                "usage": usage,
            },
        ),
        "release": MessageRules(
            ReleaseReport,
            {"reason": choice(ReleaseReason.DESCRIPTOR), "message": names.REASON},
            required=["reason"],
        ),
    },
    required=["lease_token"],
    also=_lines_are_not_too_large,
)


def is_plain(complete: CompleteReport, most_bytes: int) -> bool:
    """True for most reports of success: bytes of some content type or none, and usage, all in
    bounds.
    """
    if complete.HasField("result") and not is_plain_payload(complete.result, most_bytes):
        return False
    return not complete.HasField("usage") or _is_plain_usage(complete.usage)


def _is_plain_usage(usage: Usage) -> bool:
    return (
        _is_plain_time(usage.wall_time)
        and (not usage.HasField("cpu_time") or _is_plain_time(usage.cpu_time))
        and usage.peak_memory_bytes >= 0
        and usage.read_bytes >= 0
        and usage.write_bytes >= 0
    )


def _is_plain_time(time: Duration) -> bool:
    return 0 <= time.nanos < 1_000_000_000 and 0 <= time.seconds < _A_DECADE
