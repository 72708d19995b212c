"""Lease cost: what a call that leases 100 tasks costs at several backlogs, random priorities."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Figure, percentiles
from bench.scenario import Amount, Probe, Scenario
from bench.site import site

PER_CALL = 100


def run(amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run: p50 and p99 at each backlog, one store for all, from the smallest on."""
    figures: list[Figure] = []
    waiting = 0
    with site() as place:
        for backlog in sorted(amount.backlogs):
            place.ask("batches", tasks=backlog - waiting, priorities=True)
            waiting = backlog
            probe.begin(place)
            told = place.ask("leases", calls=amount.calls, count=PER_CALL)
            probe.end(place, amount.calls * PER_CALL)
            figures += [
                Figure(f"{figure.name} at {backlog:,}", figure.value, figure.unit)
                for figure in percentiles(told["times"])
            ]
    return figures


SCENARIOS = [Scenario(name="lease_cost", variant="", executor="", run=run)]
