"""Logs: lines that handlers write, from the first to the last one kept in the store."""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Figure
from bench.handlers import LINES, LOG_TYPE
from bench.scenario import Amount, Probe, Scenario, measured
from bench.site import EXECUTORS, site
from bench.store import Countdown


def run(amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run: lines per second, and the CPU that a line costs in each part."""
    tasks = max(2, amount.tasks // LINES)
    with site() as place:
        place.start_worker("default")
        place.wait_for_worker()
        with measured(place, probe) as result:
            begin = place.ask("batches", tasks=tasks, task_type=LOG_TYPE)["begin"]
            end = next(now for now, left in Countdown(place.store).samples() if left == 0)
            result.tasks = tasks * LINES
    rate = Figure("rate", tasks * LINES / (end - begin), "lines/s")
    return [rate, *(Figure(cost.name, cost.value, "µs/line") for cost in result.cpu)]


SCENARIOS = [Scenario(name="logs", variant="", executor=EXECUTORS["default"], run=run)]
