"""From what a handler writes to the numbered lines of its log, within bounds.

`LineCutter` makes lines of written text and stops at the execution's bounds with a line that says
so: a handler that prints in a loop must not fill a server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from penstock.v1 import execution_pb2
from penstock_worker.text import cut

LINE_BYTES: Final = 16 * 1024

STDOUT: Final = execution_pb2.LOG_STREAM_STDOUT
STDERR: Final = execution_pb2.LOG_STREAM_STDERR
LOGGER: Final = execution_pb2.LOG_STREAM_LOGGER
SYSTEM: Final = execution_pb2.LOG_STREAM_SYSTEM

# execution id, time in ns, stream, level, logger, text
Emit: TypeAlias = Callable[[int, int, int, str, str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBounds:
    """How much one execution may log."""

    lines: int = 10_000
    """Lines of one execution."""
    size: int = 4 * 1024 * 1024
    """Bytes of text of one execution."""

    def cut_note(self) -> str:
        """Answers the line that stands where the log was cut."""
        return (
            f"output cut here: an execution may log {self.lines} lines"
            f" and {self.size} bytes (worker options log_lines and log_bytes)"
        )


class LineState:
    """What a cutter keeps of one execution's log between writes."""

    __slots__ = ("execution_id", "lines_left", "partial", "size_left")

    def __init__(self, execution_id: int) -> None:
        self.execution_id = execution_id
        self.partial: dict[int, str] = {}
        """Text after the last line end, by stream."""
        self.lines_left = -1
        self.size_left = 0

    @property
    def is_cut(self) -> bool:
        """True once the log has reached a bound: nothing more is taken."""
        return self.lines_left < 0


class LineCutter:
    """Makes lines of text written by executions. Its methods may be called from any thread."""

    def __init__(self, emit: Emit, bounds: LineBounds) -> None:
        self._emit = emit
        self._bounds = bounds
        self._lock = threading.Lock()

    def begin(self, execution_id: int) -> LineState:
        """Answers the state of a new log."""
        state = LineState(execution_id)
        state.lines_left, state.size_left = self._bounds.lines, self._bounds.size
        return state

    def write(self, state: LineState, stream: int, text: str) -> None:
        """Takes text of a stream; what follows the last line end waits for more."""
        with self._lock:
            if state.is_cut:  # at once: who prints without end must cost next to nothing
                return
            *whole, rest = self._split(state, state.partial.pop(stream, "") + text)
            if len(rest) > LINE_BYTES:  # somebody writes without line ends
                whole.append(rest)
                rest = ""
            for line in whole:
                self._put(state, stream, "", "", line)
            if rest and not state.is_cut:
                state.partial[stream] = rest

    def line(self, state: LineState, stream: int, level: str, logger: str, text: str) -> None:
        """Takes whole lines."""
        with self._lock:
            if state.is_cut:
                return
            for line in self._split(state, text):
                self._put(state, stream, level, logger, line)

    def finish(self, state: LineState) -> None:
        """Takes what is left of unfinished lines: the execution has ended."""
        with self._lock:
            for stream, text in state.partial.items():
                self._put(state, stream, "", "", text)
            state.partial.clear()

    @staticmethod
    def _split(state: LineState, text: str) -> list[str]:
        """Makes one line more than may be logged at most: a text can hold millions of them."""
        return text.split("\n", state.lines_left + 1)

    def _put(self, state: LineState, stream: int, level: str, logger: str, text: str) -> None:
        if state.is_cut:
            return
        text = cut(text.rstrip("\r"), LINE_BYTES)
        state.lines_left -= 1
        state.size_left -= len(text)
        if state.lines_left < 0 or state.size_left < 0:
            state.lines_left = -1
            stream, level, logger, text = SYSTEM, "", "", self._bounds.cut_note()
        self._emit(state.execution_id, time.time_ns(), stream, level, logger, text)
