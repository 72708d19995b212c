"""Round trip: RunTask from the submit to the result, one after the other, nothing else to do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.figures import Figure, percentiles
from bench.scenario import Amount, Probe, Scenario, measured
from bench.site import EXECUTORS, Executor, site

_WARM_UP = 200


def run(executor: Executor, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run: p50 and p99, and the CPU that a round trip costs in each part."""
    with site() as place:
        place.start_worker(executor)
        place.wait_for_worker()
        place.ask("round_trips", tasks=_WARM_UP, seconds=amount.seconds)
        with measured(place, probe) as result:
            told = place.ask("round_trips", tasks=amount.calls, seconds=amount.seconds)
            result.tasks = len(told["times"])
    return [*percentiles(told["times"]), *result.cpu]


SCENARIOS = [
    Scenario(name="round_trip", variant=name, executor=EXECUTORS[name], run=partial(run, name))
    for name in EXECUTORS
]
