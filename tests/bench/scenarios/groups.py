"""Groups: what a call that leases 100 tasks costs when they belong to many fairness keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.figures import Figure, percentiles
from bench.scenario import Amount, Probe, Scenario
from bench.scenarios.lease_cost import PER_CALL
from bench.site import site


def run(groups: int, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run: p50 and p99 of the calls, with a task per group and 10,000 at least waiting."""
    with site() as place:
        waiting = min(max(groups, 10_000), amount.backlogs[-1])
        place.ask("batches", tasks=waiting, groups=groups)
        probe.begin(place)
        told = place.ask("leases", calls=amount.calls, count=PER_CALL, groups=groups)
        probe.end(place, amount.calls * PER_CALL)
    return percentiles(told["times"])


SCENARIOS = [
    Scenario(name="groups", variant=f"{count:,}", executor="", run=partial(run, count))
    for count in (1, 1_000, 100_000)
]
