"""What a run recorded: every call, execution, event and fault, each with its times.

One JSON object a line, so that a run that is cut off leaves all that came before. Times are seconds
of the machine's clock, which store, workers and clients of a run share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TextIO

OK: Final = "ok"
REFUSED: Final = "refused"
UNKNOWN: Final = "unknown"
"""Outcomes of a call. Of an unknown one nobody can say whether it took effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a client: `submit`, `run`, `cancel`, `retry`, `pause`, `resume`."""

    client: str
    op: str
    subject: str
    """What it was about: the marker of a submit, else the id of a task or the name of a queue."""
    invoked: float
    returned: float
    outcome: str
    reason: str = ""
    """Of a refusal."""
    task: str = ""
    """Id that a submit answered."""
    key: str = ""
    """Idempotency key of a submit, with its queue."""
    state: int = 0
    """State that was answered; 0 if none was."""
    existing: bool = False
    batch: str = ""
    """Names the all-or-none batch that a submit was part of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A handler began (`start`) or came to its end (`end`), written by the handler itself."""

    phase: str
    task: str
    execution: int
    fence: int
    attempt: int
    worker: int
    """Process id of the supervisor."""
    pid: int
    """Process id of the runner."""
    at: float
    lines: int = 0
    """Log lines that it wrote, at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """The hand-made worker was given a lease."""

    session: str
    task: str
    execution: int
    fence: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The hand-made worker reported, with a token that may be stale on purpose."""

    session: str
    task: str
    execution: int
    what: str
    """`accept`, `heartbeat`, `complete`, `fail`, `release`."""
    invoked: float
    returned: float
    outcome: str
    reason: str = ""
    stale: bool = False
    """The worker knew that the lease was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of a task, as the store kept it or a watch told it. Numbers as in the contract."""

    task: str
    kind: int
    sequence: int
    state: int
    execution: int
    outcome: int
    attempt: int
    at: float
    queue: str = ""
    type: str = ""
    reason: int = 0
    session: str = ""
    partition: int = 0
    watch: str = ""
    """Watch and how often it was begun; empty: read from the store itself, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A watch was begun without a cursor, or its cursor was refused (`reason`)."""

    watch: str
    at: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A log line that a tail gave. With `end` the tail is over instead, after `number` lines."""

    tail: str
    task: str
    execution: int
    number: int
    end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something was broken on purpose, from `began` to `ended`."""

    name: str
    target: str
    began: float
    ended: float
    workers: list[int] = field(default_factory=list)
    """Supervisors (process ids) that it kept from renewing their leases, or killed."""
    runners: list[int] = field(default_factory=list)
    """Runners (process ids) that it killed."""
    loses_writes: bool = False
    """Whether what was acknowledged a moment before may be lost: see P1."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A task when everything was over. `state` 0: there is no such task."""

    task: str
    state: int
    marker: str = ""
    attempt: int = 0
    executions: int = 0
    crashes: int = 0
    result_execution: int = 0
    """Execution that the result names; 0 if there is none."""
    result_fence: int = 0
    kept: list[list[int]] = field(default_factory=list)
    """[number, outcome, fence] of each execution that is kept."""
    lines: list[list[int]] = field(default_factory=list)
    """[execution, lines] of the log, where it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A fact about the run: what it was told, what the store's own check said."""

    name: str
    value: Any


Entry = Call | Mark | Leased | Report | Event | Opened | Line | Fault | Standing | Note

_KINDS: Final = {
    kind.__name__.lower(): kind
    for kind in (Call, Mark, Leased, Report, Event, Opened, Line, Fault, Standing, Note)
}


@dataclass(slots=True)
class History:
    """Everything that was recorded, by kind, in the order of recording."""

    calls: list[Call] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    leases: list[Leased] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    """As the store has them in the end."""
    watched: list[Event] = field(default_factory=list)
    opened: list[Opened] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    finals: list[Standing] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Takes one entry."""
        match entry:
            case Call():
                self.calls.append(entry)
            case Mark():
                self.marks.append(entry)
            case Leased():
                self.leases.append(entry)
            case Report():
                self.reports.append(entry)
            case Event():
                (self.watched if entry.watch else self.events).append(entry)
            case Opened():
                self.opened.append(entry)
            case Line():
                self.lines.append(entry)
            case Fault():
                self.faults.append(entry)
            case Standing():
                self.finals.append(entry)
            case Note():
                self.notes[entry.name] = entry.value


class Recorder:
    """Takes entries while the run goes on: in memory, and at once into a file."""

    def __init__(self, path: Path) -> None:
        self.history = History()
        self._file: TextIO = path.open("a", encoding="utf-8")

    def add(self, entry: Entry) -> None:
        """Records one entry."""
        self.history.add(entry)
        self._file.write(spell(entry))

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()


def now() -> float:
    """The clock of all entries."""
    return time.time()


def spell(entry: Entry) -> str:
    """An entry as a line; what has its default is left out."""
    names = fields(entry)
    values = {f.name: v for f in names if (v := getattr(entry, f.name)) != f.default}
    return json.dumps({"entry": type(entry).__name__.lower()} | values) + "\n"


def read(path: Path) -> Iterator[Entry]:
    """The entries of a file. A last line that was cut off is left out."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                values = json.loads(line)
                yield _KINDS[values.pop("entry")](**values)


def load(path: Path) -> History:
    """A recorded run."""
    history = History()
    for entry in read(path):
        history.add(entry)
    return history


def as_dict(entry: Entry) -> dict[str, Any]:
    """All values of an entry, for reports."""
    return asdict(entry)
