"""Groups: what a call that leases 100 tasks costs when they belong to many fairness keys.

The backlog is the same for every count, so that only the groups differ. With a backlog of fewer
tasks than groups (--quick) there are as many groups as tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.figures import Figure, percentiles
from bench.scenario import Amount, Probe, Scenario
from bench.scenarios.lease_cost import PER_CALL
from bench.site import site

_BACKLOG = 100_000


def run(groups: int, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run: p50 and p99 of the calls, with the backlog spread evenly over the groups."""
    with site() as place:
        place.ask("batches", tasks=min(_BACKLOG, max(amount.backlogs)), groups=groups)
        probe.begin(place)
        told = place.ask("leases", calls=amount.calls, count=PER_CALL, groups=groups)
        probe.end(place, amount.calls * PER_CALL)
    return percentiles(told["times"])


SCENARIOS = [
    Scenario(name="groups", variant=f"{count:,}", executor="", run=partial(run, count))
    for count in (1, 1_000, 100_000)
]
