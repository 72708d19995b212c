"""What is measured, one file per noun."""

from __future__ import annotations

from collections.abc import Sequence

from bench.scenario import Scenario
from bench.scenarios import drain, flow, lease_cost, memory, peers, round_trip, singles


def all_scenarios() -> Sequence[Scenario]:
    """Every scenario, in the order of the table."""
    return [
        *flow.SCENARIOS,
        *drain.SCENARIOS,
        *singles.SCENARIOS,
        *round_trip.SCENARIOS,
        *memory.SCENARIOS,
        *lease_cost.SCENARIOS,
        *peers.SCENARIOS,
    ]
