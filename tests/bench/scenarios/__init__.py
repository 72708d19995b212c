"""What is measured, one file per noun."""

from __future__ import annotations

from collections.abc import Sequence

from bench.scenario import Scenario
from bench.scenarios import (
    bare,
    drain,
    flow,
    groups,
    lease_cost,
    logs,
    memory,
    peers,
    round_trip,
    scale,
    singles,
    spans,
    watch,
)


def all_scenarios() -> Sequence[Scenario]:
    """Every scenario, in the order of the table."""
    return [
        *flow.SCENARIOS,
        *drain.SCENARIOS,
        *singles.SCENARIOS,
        *round_trip.SCENARIOS,
        *bare.SCENARIOS,
        *memory.SCENARIOS,
        *lease_cost.SCENARIOS,
        *groups.SCENARIOS,
        *watch.SCENARIOS,
        *logs.SCENARIOS,
        *spans.SCENARIOS,
        *scale.SCENARIOS,
        *peers.SCENARIOS,
    ]
