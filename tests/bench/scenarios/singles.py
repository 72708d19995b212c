"""Single submits: one task per submit, from one caller and from many at once, nobody executes.

`shared` is the Python client's submit, which sends concurrent submits in shared calls; `alone`
makes one SubmitTask call for each, as a client that does not share calls does.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.figures import Figure, percentiles
from bench.scenario import Amount, Probe, Scenario, measured
from bench.site import site

_WARM_UP = 500


def run(callers: int, shared_calls: bool, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run: submits per second, their times, and the CPU that one costs in each part."""
    with site() as place:
        form = {"callers": callers, "shared_calls": shared_calls}
        place.ask("singles", tasks=_WARM_UP, seconds=amount.seconds, **form)
        with measured(place, probe) as result:
            told = place.ask("singles", tasks=amount.tasks, seconds=amount.seconds, **form)
            result.tasks = len(told["times"])
    rate = len(told["times"]) / (told["end"] - told["begin"])
    return [Figure("rate", rate, "submits/s"), *percentiles(told["times"]), *result.cpu]


SCENARIOS = [
    Scenario(
        name="singles",
        variant=f"{callers} {'shared' if shared else 'alone'}",
        executor="",
        run=partial(run, callers, shared),
    )
    for callers, shared in ((1, True), (64, True), (64, False))
]
