"""Drain: the backlog first, then the worker. From the first end to the last, start-up left out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.figures import Figure
from bench.scenario import Amount, Probe, Scenario, TooFew, measured
from bench.site import EXECUTORS, Executor, Site, site
from bench.store import Countdown

_SHARES: dict[Executor, float] = {"default": 1.0, "inline": 1.0, "isolated": 0.05}


def run(executor: Executor, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run: tasks per second and the CPU that a task costs in each part."""
    amount = amount.of(_SHARES[executor])
    with site() as place:
        place.ask("batches", tasks=amount.tasks)
        place.start_worker(executor)
        first, left = _first_end(place, amount.tasks)
        with measured(place, probe) as result:
            last = _last_end(place)
            result.tasks = left
    return [Figure("rate", left / (last - first), "tasks/s"), *result.cpu]


def _first_end(place: Site, tasks: int) -> tuple[float, int]:
    samples = Countdown(place.store).samples()
    now, left = next((now, left) for now, left in samples if left < tasks)
    if left == 0:
        raise TooFew(f"{tasks} tasks ended before they could be timed: give more with --tasks")
    return now, left


def _last_end(place: Site) -> float:
    return next(now for now, left in Countdown(place.store).samples() if left == 0)


SCENARIOS = [
    Scenario(name="drain", variant=name, executor=text, run=partial(run, name))
    for name, text in EXECUTORS.items()
]
