"""Lease cost: what a call that leases 100 tasks costs at several backlogs, random priorities.

The store rewrites its append-only file when that has doubled, in a child process that shares its
memory: calls of that time pay for copies of what they change, the more the larger the backlog. So
the calls at each backlog begin with a file just written anew, and those beside a rewrite of the
largest backlog are measured apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.figures import Figure, percentiles
from bench.scenario import Amount, Probe, Scenario
from bench.site import Site, site

PER_CALL = 100
_REWRITING_SHARE: Final = 20  # a rewrite takes seconds


def run(amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run: p50 and p99 at each backlog, one store for all, from the smallest on."""
    figures: list[Figure] = []
    waiting = 0
    with site() as place:
        for backlog in sorted(amount.backlogs):
            place.ask("batches", tasks=backlog - waiting, priorities=True)
            waiting = backlog
            place.store.settle()
            probe.begin(place)
            figures += _calls(place, amount.calls, f"at {backlog:,}")
            probe.end(place, amount.calls * PER_CALL)
        place.store.begin_rewriting()
        calls = max(10, amount.calls // _REWRITING_SHARE)
        figures += _calls(place, calls, f"beside a rewrite of {waiting:,}")
    return figures


def _calls(place: Site, calls: int, when: str) -> list[Figure]:
    told = place.ask("leases", calls=calls, count=PER_CALL)
    return [
        Figure(f"{figure.name} {when}", figure.value, figure.unit)
        for figure in percentiles(told["times"])
    ]


SCENARIOS = [Scenario(name="lease_cost", variant="", executor="", run=run)]
