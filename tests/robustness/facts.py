"""A history in the order in which the rules of the checker ask for it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from penstock_server.model.lifecycle import EventKind, TaskState
from robustness.history import OK, Call, Event, Fault, History, Standing

LOSES: Final = 2.5
"""Seconds before a crash of a store with `everysec` in which writes may be lost. P1: about 2 s."""
TOLERANCE: Final = 0.005
"""Seconds by which times of different processes of one machine may differ: the store counts
milliseconds."""

ENDINGS: Final = (
    EventKind.SUCCEEDED,
    EventKind.RETRY_SCHEDULED,
    EventKind.FAILED,
    EventKind.RELEASED,
    EventKind.CANCELLED,
)
"""Kinds of events with which an execution ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that was not kept."""

    rule: str
    subject: str
    text: str
    forgiven: bool = False
    """The store lost its latest writes, as P1 says that it may."""

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.text}"


Findings = Iterable[Violation]


@dataclass(slots=True)
class Held:
    """One execution as the store's events tell it."""

    leased: Event
    ended: Event | None = None


class Facts:
    """One history, indexed."""

    def __init__(self, history: History) -> None:
        self.history = history

    @cached_property
    def by_task(self) -> dict[str, list[Event]]:
        """The store's events of each task, in order."""
        found: dict[str, list[Event]] = defaultdict(list)
        for event in self.history.events:
            found[event.task].append(event)
        return found

    @cached_property
    def finals(self) -> dict[str, Standing]:
        """Each task when everything was over."""
        return {final.task: final for final in self.history.finals}

    @cached_property
    def executions(self) -> dict[tuple[str, int], Held]:
        """Each execution by task and number, from its lease to its end."""
        found: dict[tuple[str, int], Held] = {}
        for task, events in self.by_task.items():
            holder = 0
            for event in events:
                if event.kind == EventKind.LEASED:
                    holder = event.execution
                    found[task, holder] = Held(event)
                elif holder and event.kind in ENDINGS:
                    found[task, holder].ended = event
                    holder = 0
        return found

    @cached_property
    def worker_of(self) -> dict[str, int]:
        """Session → process id of its supervisor, as most of its handlers told.

        A store that lost writes counts some executions anew: a few marks then belong to another
        session than the one whose events were kept.
        """
        told: dict[str, Counter[int]] = defaultdict(Counter)
        for mark in self.history.marks:
            held = self.executions.get((mark.task, mark.execution))
            if held is not None:
                told[held.leased.session][mark.worker] += 1
        return {session: counts.most_common(1)[0][0] for session, counts in told.items()}

    @cached_property
    def runners_of(self) -> dict[int, set[int]]:
        """Supervisor → its runners that ran a handler."""
        found: dict[int, set[int]] = defaultdict(set)
        for mark in self.history.marks:
            found[mark.worker].add(mark.pid)
        return found

    @cached_property
    def raw_sessions(self) -> set[str]:
        """Sessions of the hand-made worker."""
        return {lease.session for lease in self.history.leases}

    @cached_property
    def losses(self) -> list[Fault]:
        """Faults after which the store's latest writes may be gone."""
        return [fault for fault in self.history.faults if fault.loses_writes]

    def may_be_lost(self, at: float) -> bool:
        """Whether what was acknowledged then may be lost."""
        return self.lost_writes_during(at, at + LOSES)

    def done_may_be_lost(self, call: Call) -> bool:
        """Whether what an acknowledged call did may be lost: it took effect at any time of it."""
        return self.lost_writes_during(call.invoked, call.returned + LOSES)

    def lost_writes_during(self, since: float, until: float) -> bool:
        """Whether the store may have lost writes between two times."""
        return any(fault.began <= until and since <= fault.ended for fault in self.losses)

    @cached_property
    def shaken(self) -> set[str]:
        """Tasks to which something happened at a time of which the store may know nothing."""
        history = self.history
        times = [(mark.task, mark.at) for mark in history.marks]
        times += [(lease.task, lease.at) for lease in history.leases]
        times += [(report.task, report.returned) for report in history.reports]
        times += [(event.task, event.at) for event in (*history.watched, *history.events)]
        for call in history.calls:
            times += [(call.task, call.returned), (call.subject, call.returned)]
        if not self.losses:
            return set()
        return {task for task, at in times if task and self.may_be_lost(at)}

    def found(self, rule: str, task: str, text: str) -> Violation:
        """Something about a task; forgiven if the store may have forgotten what it did with it."""
        return Violation(rule=rule, subject=task, text=text, forgiven=task in self.shaken)

    @property
    def submits(self) -> list[tuple[str, float]]:
        """Task and time of each submit that was acknowledged."""
        calls = self.history.calls
        return [
            (c.task, c.returned) for c in calls if c.op in ("submit", "run") and c.outcome == OK
        ]


def ended(state: int) -> bool:
    """Whether a task in this state is over."""
    return state >= TaskState.SUCCEEDED
