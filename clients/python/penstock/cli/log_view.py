"""One log line as text on a screen."""

from __future__ import annotations

from datetime import UTC
from typing import Final

from rich.text import Text

from penstock.cli.screen import styled
from penstock.cli.text import one_line
from penstock.v1.execution_pb2 import LogLine, LogStream

_LEVELS: Final = {
    "DEBUG": "dim",
    "WARNING": "yellow",
    "ERROR": "red",
    "CRITICAL": "bold red",
}


def log_line(line: LogLine, *, times: bool = False, execution: bool = False) -> Text:
    """The line, on request with its time and execution before it."""
    shown = Text()
    if times:
        moment = line.time.ToDatetime(tzinfo=UTC).astimezone()
        shown.append(f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d} ", style="dim")
    if execution:
        shown.append(f"execution {line.execution} ", style="dim")
    if line.level:
        shown.append(one_line(f"{line.level:<8}"), style=_LEVELS.get(line.level, "cyan"))
        shown.append(one_line(f"{line.logger}: ") if line.logger else "", style="dim")
    shown.append(styled(line.text.expandtabs(4), _style(line)))
    return shown


def _style(line: LogLine) -> str:
    if line.stream == LogStream.LOG_STREAM_STDERR:
        return "yellow"
    return "dim italic" if line.stream == LogStream.LOG_STREAM_SYSTEM else ""
