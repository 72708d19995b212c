"""One execution that this worker holds a lease of, and all of them.

An execution has two lives. While its handler runs it takes a slot (`by_id`); while its lease has
something to report it is known by its token (`by_token`). A handler that ignores its stop lives on
in its slot after its lease is over; an ended one waits for its report after its slot is free.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final

from penstock.v1 import execution_pb2
from penstock_worker.text import cut

if TYPE_CHECKING:
    from penstock_worker.runners import Runner


# Progress goes to the server this often at most, in seconds.
PROGRESS_INTERVAL: Final = 1.0


class Stop(enum.Enum):
    """Why a handler was told to stop. The value is what it is told."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    LOST = "lost"
    SHUTDOWN = "shutdown"
    MEMORY = "memory"


class Held:
    """One execution and its lease. Times are monotonic seconds."""

    __slots__ = (
        "accepted",
        "beat_time",
        "deadline",
        "execution",
        "expire_time",
        "grace",
        "heartbeat",
        "id",
        "in_flight",
        "is_isolated",
        "item",
        "kill_time",
        "lines",
        "lines_number",
        "lines_time",
        "memory_limit",
        "memory_text",
        "outcome",
        "progress",
        "progress_interval",
        "progress_time",
        "queue",
        "renew_time",
        "report_time",
        "runner",
        "running",
        "span",
        "start_time",
        "stop",
        "task_id",
        "task_type",
        "term",
        "timeout_name",
        "token",
        "warn_time",
        "was_terminated",
    )

    def __init__(self, number: int, token: str, term: float, now: float) -> None:
        self.id = number
        self.token = token
        self.term = term
        self.task_id = ""
        self.execution = 0
        self.task_type = ""
        self.queue = ""
        self.is_isolated = False
        self.runner: Runner | None = None
        self.running = True
        self.start_time = now

        self.accepted = False
        self.in_flight = False
        self.expire_time = now
        self.renew_time = now

        self.deadline: float | None = None
        self.heartbeat: float | None = None
        self.beat_time = now
        self.grace = 10.0

        self.progress: bytes | None = None
        self.progress_time = 0.0
        self.progress_interval = PROGRESS_INTERVAL
        self.lines: list[execution_pb2.LogLine] = []
        self.lines_number = 0
        self.lines_time = 0.0

        self.memory_limit: int | None = None
        self.memory_text = ""

        self.stop: Stop | None = None
        self.timeout_name = ""
        self.report_time: float | None = None
        self.kill_time: float | None = None
        self.was_terminated = False
        self.warn_time: float | None = None

        self.outcome = 0
        self.item: bytes | None = None
        """The ending to report: a ReportItem without its token. None while there is none."""
        self.span: Any = None

    def set_term(self, term: float, since: float) -> None:
        """Begins the lease's term anew, counted from `since`."""
        self.term = term
        self.expire_time = since + term
        self.renew_time = since + term / 3

    def add_line(self, time_ns: int, stream: int, level: str, logger: str, text: str) -> None:
        """Numbers a log line and keeps it for the next report."""
        self.lines_number += 1
        line = execution_pb2.LogLine(
            number=self.lines_number,
            stream=stream,  # type: ignore[arg-type]
            level=level,
            logger=cut(logger, 128),
            text=text,
        )
        line.time.FromNanoseconds(time_ns)
        self.lines.append(line)


class HeldTable:
    """Every execution that this worker runs or has to report."""

    def __init__(self) -> None:
        self.by_id: dict[int, Held] = {}
        """Takes a slot: its handler runs."""
        self.by_token: dict[str, Held] = {}
        """Has a lease that is not settled."""

    def add(self, held: Held) -> None:
        """Takes a new execution."""
        self.by_id[held.id] = held
        self.by_token[held.token] = held

    def __len__(self) -> int:
        """Executions that run or have something to report."""
        return len(self.by_id.keys() | {held.id for held in self.by_token.values()})

    def __bool__(self) -> bool:
        return bool(self.by_id or self.by_token)
