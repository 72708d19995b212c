"""Flow: a producer submits in bulk while a worker runs. From the first submit to the last end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.figures import Figure
from bench.layout import USUAL, Layout
from bench.scenario import WARM_UP_TASKS, Amount, Probe, Scenario, measured
from bench.site import EXECUTORS, Executor, Site, site
from bench.store import Countdown

# An isolated execution hands over to another process and back, so it gets fewer.
_SHARES: dict[Executor, float] = {"default": 1.0, "inline": 1.0, "isolated": 0.05}


def run(
    executor: Executor, amount: Amount, probe: Probe, layout: Layout = USUAL
) -> Sequence[Figure]:
    """One run: tasks per second and the CPU that a task costs in each part."""
    amount = amount.of(_SHARES[executor])
    with site(layout) as place:
        place.start_worker(executor)
        place.wait_for_worker()
        _warm_up(place, min(WARM_UP_TASKS, amount.tasks))
        with measured(place, probe) as result:
            place.order("batches", tasks=amount.tasks, seconds=amount.seconds, spread=layout.spread)
            told = place.answer()
            end = _when_empty(place)
            result.tasks = told["tasks"]
    took = end - told["begin"]
    produced = told["tasks"] / (told["end"] - told["begin"])
    return [
        Figure("rate", told["tasks"] / took, "tasks/s"),
        Figure("submitted", produced, "tasks/s"),
        *result.cpu,
    ]


def _warm_up(place: Site, tasks: int) -> None:
    place.ask("batches", tasks=tasks, spread=place.layout.spread)
    _when_empty(place)


def _when_empty(place: Site) -> float:
    return next(now for now, left in Countdown(place.store).samples() if left == 0)


SCENARIOS = [
    Scenario(name="flow", variant=name, executor=text, run=partial(run, name))
    for name, text in EXECUTORS.items()
]
