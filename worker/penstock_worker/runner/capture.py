"""Standard output, standard error and `logging` of handlers, as lines of their executions.

Which execution a line belongs to is read from the context variables, so it holds across awaits,
tasks and threads started with the caller's context. What is written outside of any execution
goes where it would have gone.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import Any, Protocol, TextIO

from penstock_worker.context import Context, current_context
from penstock_worker.lines import LOGGER, STDERR, STDOUT


class Lines(Protocol):
    """Takes what executions write."""

    def write(self, context: Context, stream: int, text: str) -> None:
        """Takes text of a standard stream."""

    def line(self, context: Context, stream: int, level: str, logger: str, text: str) -> None:
        """Takes whole lines."""


class CapturedStream(io.TextIOBase):
    """Stands for sys.stdout or sys.stderr."""

    def __init__(self, lines: Lines, stream: int, original: TextIO) -> None:
        super().__init__()
        self._lines = lines
        self._stream = stream
        self.original = original
        self._bytes = _CapturedBytes(self)

    def write(self, text: str) -> int:
        """Writes to the log of the current execution, else to the original stream."""
        context = current_context()
        if context is None:
            return self.original.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() takes str, not {type(text).__name__}")
        self._lines.write(context, self._stream, text)
        return len(text)

    def writable(self) -> bool:
        """Answers True."""
        return True

    def flush(self) -> None:
        """Flushes the original stream; lines of executions leave by themselves."""
        if not self.original.closed:
            self.original.flush()

    def fileno(self) -> int:
        """Answers the original's descriptor: what is written to it is not captured."""
        return self.original.fileno()

    @property
    def buffer(self) -> io.RawIOBase:
        """A stream that takes bytes of UTF-8."""
        return self._bytes

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8."""
        return "utf-8"


class _CapturedBytes(io.RawIOBase):
    def __init__(self, text: CapturedStream) -> None:
        super().__init__()
        self._text = text

    def write(self, data: Any) -> int:
        self._text.write(bytes(data).decode(errors="replace"))
        return len(data)

    def writable(self) -> bool:
        return True


class CapturedLogging(logging.Handler):
    """Sends log records to the current execution; others to standard error from WARNING on."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines
        self._outside = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._inside = logging.Formatter("%(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record."""
        context = current_context()
        try:
            if context is not None:
                text = self._inside.format(record)
                self._lines.line(context, LOGGER, _level(record.levelno), record.name[:128], text)
            elif record.levelno >= logging.WARNING:
                print(self._outside.format(record), file=sys.__stderr__)
        except Exception:
            self.handleError(record)


def _level(number: int) -> str:
    if number >= logging.CRITICAL:
        return "CRITICAL"
    if number >= logging.ERROR:
        return "ERROR"
    if number >= logging.WARNING:
        return "WARNING"
    return "INFO" if number >= logging.INFO else "DEBUG"


class Capture:
    """Installs the capture and takes it back.

    `streams=False` leaves standard output and error alone: an isolated runner's are pipes, and
    what is written to a pipe survives the death of its writer.
    """

    def __init__(self, lines: Lines, *, streams: bool) -> None:
        self._lines = lines
        self._streams = streams
        self._handler = CapturedLogging(lines)
        self._kept: tuple[TextIO, TextIO, int] | None = None

    def install(self) -> None:
        """Begins to capture. Once before the user's module is loaded."""
        root = logging.getLogger()
        self._kept = (sys.stdout, sys.stderr, root.level)
        if self._streams:
            sys.stdout = CapturedStream(self._lines, STDOUT, sys.stdout)
            sys.stderr = CapturedStream(self._lines, STDERR, sys.stderr)
        if root.level == logging.WARNING:  # nobody chose: people expect to see INFO
            root.setLevel(logging.INFO)
        root.addHandler(self._handler)

    def settle(self) -> None:
        """Repairs what the user's module set up meanwhile.

        A console handler that it made writes to our stand-in of standard error; every record
        would come twice. It gets the real stream, so that the console still shows it.
        """
        for handler in logging.getLogger().handlers:
            stream = getattr(handler, "stream", None)
            if isinstance(stream, CapturedStream) and isinstance(handler, logging.StreamHandler):
                handler.setStream(stream.original)

    def remove(self) -> None:
        """Ends the capture."""
        root = logging.getLogger()
        root.removeHandler(self._handler)
        if self._kept is not None:
            sys.stdout, sys.stderr, level = self._kept
            root.setLevel(level)
