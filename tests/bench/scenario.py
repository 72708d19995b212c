"""What a scenario is: a name, who executes, and how one run of it gives figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from bench import cpu
from bench.figures import Figure, cpu_figures
from bench.store import MeasuredStore

QUICK_TASKS: Final = 5_000
WARM_UP_TASKS: Final = 5_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Amount:
    """How much one run measures: whichever is reached first."""

    tasks: int = 200_000
    seconds: float = 30.0
    calls: int = 2_000
    """Calls of the scenarios that time each call."""
    backlogs: Sequence[int] = (1_000, 100_000, 1_000_000)
    """Backlogs of `lease_cost`."""

    def of(self, share: float) -> Amount:
        """The same with fewer tasks, for what is slower by nature."""
        tasks = max(1, int(self.tasks * share))
        return Amount(tasks=tasks, seconds=self.seconds, calls=self.calls, backlogs=self.backlogs)


QUICK: Final = Amount(tasks=QUICK_TASKS, seconds=5.0, calls=200, backlogs=(1_000, 20_000))


class TooFew(Exception):
    """There was not enough to measure."""


class Place(Protocol):
    """Where a run takes place: its store, and its other processes."""

    store: MeasuredStore

    def pids(self) -> dict[str, int]:
        """Every process by the name of its part."""


class Probe(Protocol):
    """Looks at a place while it is measured, e.g. with a profiler."""

    def begin(self, site: Place) -> None:
        """The measured part begins."""

    def end(self, site: Place, tasks: int) -> None:
        """The measured part is over; it ended or took so many tasks."""


class NoProbe:
    """Looks at nothing."""

    def begin(self, site: Place) -> None:
        """Nothing to begin."""

    def end(self, site: Place, tasks: int) -> None:
        """Nothing to end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenario:
    """Something to measure."""

    name: str
    variant: str
    executor: str
    """Who runs the handlers; empty if nobody does."""
    run: Callable[[Amount, Probe], Sequence[Figure]]
    """Starts what it needs, measures once, ends what it started."""

    @property
    def title(self) -> str:
        return f"{self.name} {self.variant}".strip()


class Measured:
    """The measured part of a run: what it cost, once it is over."""

    def __init__(self) -> None:
        self.tasks = 0
        self.cpu: list[Figure] = []


@contextmanager
def measured(site: Place, probe: Probe) -> Iterator[Measured]:
    """Counts the CPU seconds of every part over the block, which sets `tasks`."""
    result = Measured()
    probe.begin(site)
    before = cpu.seconds_of(site.pids())
    yield result
    after = cpu.seconds_of(site.pids())
    probe.end(site, result.tasks)
    nodes = cpu.apart(before, after, "store")
    result.cpu = cpu_figures(cpu.spent(before, after), result.tasks, apart=nodes)
