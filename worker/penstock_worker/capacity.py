"""How many tasks may be asked for: no more than free slots can start at once.

Every call that asks for tasks holds its ask until it is answered, so that two calls under way
never bring more than there is room for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from penstock_worker.registry import HandlerInfo

REPORTS_AT_ONCE: Final = 2
"""Reports that are under way at a time; the slots are shared out among them."""

LARGE: Final = 200
"""An answer of so many tasks tells of more, even if more was asked for: a poll brings no more than
one call of the store does.
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one call asks for."""

    count: int
    types: tuple[str, ...]
    isolated: bool
    """True if the answer may hold isolated tasks."""


class Capacity:
    """The slots of a worker: running, asked for, free."""

    def __init__(self, slots: int, isolated_slots: int) -> None:
        self.slots = slots
        self.isolated_slots = min(slots, isolated_slots)
        self.running = 0
        self.isolated_running = 0
        self.asked = 0
        self.isolated_asked = 0
        self.open = True
        """False once the worker drains: nothing is asked for any more."""
        self.shared_ready = True
        """False while no shared runner is there to start anything."""
        self.more_waiting = False
        """True if the latest answer was full or large: more tasks may wait at the server."""
        self._shared_types: tuple[str, ...] = ()
        self._isolated_types: tuple[str, ...] = ()
        self._all_types: tuple[str, ...] = ()

    def serve(self, handlers: Iterable[HandlerInfo]) -> None:
        """Says which types there are."""
        infos = list(handlers)
        self._shared_types = tuple(h.task_type for h in infos if not h.isolated)
        self._isolated_types = tuple(h.task_type for h in infos if h.isolated)
        self._all_types = self._shared_types + self._isolated_types

    @property
    def types(self) -> tuple[str, ...]:
        """Every type that the worker serves."""
        return self._all_types

    @property
    def share(self) -> int:
        """Slots that one report may ask for, even if it ends fewer executions."""
        return -(-self.slots // REPORTS_AT_ONCE)

    @property
    def free(self) -> int:
        """Slots that are neither taken nor asked for."""
        return self.slots - self.running - self.asked if self.open else 0

    @property
    def isolated_free(self) -> int:
        """Isolated executions that could start, were they asked for now."""
        if not self._isolated_types:
            return 0
        return self.isolated_slots - self.isolated_running - self.isolated_asked

    def poll_ask(self, *, leave_shared: bool = False) -> Ask:
        """Answers what a poll should ask for now: all types where there is room for all.

        With `leave_shared` tasks of shared types alone are left to reports, as long as those can
        take what there is: while tasks wait, a poll asks for what is free beyond the share of the
        next report, and for all of it where nothing runs that could be reported next.
        """
        isolated = min(self.free, self.isolated_free)
        if isolated > 0:
            shared = self._shared_types if self.shared_ready else ()
            return Ask(isolated, shared + self._isolated_types, isolated=True)
        if not leave_shared:
            return self.report_ask(at_most=self.slots)
        spare = self.free - (self.share if self.running else 0)
        waits = self.more_waiting and spare >= self.share
        return self.report_ask(at_most=spare) if waits else NOTHING

    def report_ask(self, *, at_most: int) -> Ask:
        """Answers what a report should ask for now: shared types, which come in crowds.

        Room for isolated tasks is left, so that a poll for those need not wait for this answer.
        """
        count = min(at_most, self.free - max(0, self.isolated_free))
        if self._shared_types and self.shared_ready and count > 0:
            return Ask(count, self._shared_types, isolated=False)
        return NOTHING

    def is_worth_superseding(self, ask: Ask, *, leave_shared: bool = False) -> bool:
        """Answers whether a newer poll should take the place of an open one with this ask."""
        if ask.isolated:  # asks for all there is, unless no shared runner was ready then
            return self.shared_ready and len(ask.types) < len(self._all_types)
        better = self.poll_ask(leave_shared=leave_shared)
        return better.isolated or better.count >= max(1, 2 * ask.count)

    def take(self, ask: Ask) -> None:
        """Holds an ask while its call is under way."""
        self.asked += ask.count
        if ask.isolated:
            self.isolated_asked += ask.count

    def give_back(self, ask: Ask) -> None:
        """Ends an ask: its call was answered or failed."""
        self.asked -= ask.count
        if ask.isolated:
            self.isolated_asked -= ask.count

    def answered(self, ask: Ask, count: int) -> None:
        """Notes how many tasks an ask has brought."""
        if ask.count:
            self.more_waiting = count >= min(ask.count, self.share, LARGE)

    def started(self, *, isolated: bool) -> None:
        """Takes a slot."""
        self.running += 1
        self.isolated_running += isolated

    def ended(self, *, isolated: bool) -> None:
        """Frees a slot."""
        self.running -= 1
        self.isolated_running -= isolated


NOTHING = Ask(0, (), isolated=False)
