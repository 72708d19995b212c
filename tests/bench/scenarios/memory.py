"""Memory: bytes of the store for each READY task with a payload of 200 bytes."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Figure
from bench.scenario import Amount, Probe, Scenario
from bench.site import site

MOST_TASKS = 100_000


def run(amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run. The first few tasks are left out: with them come queue, scripts and buffers."""
    tasks = min(amount.tasks, MOST_TASKS)
    with site() as place:
        place.ask("batches", tasks=1_000)
        before = place.store.memory()
        probe.begin(place)
        place.ask("batches", tasks=tasks)
        probe.end(place, tasks)
        after = place.store.memory()
    return [Figure("memory", (after - before) / tasks, "bytes/task")]


SCENARIOS = [Scenario(name="memory", variant="", executor="", run=run)]
