"""Logs: lines of 100 bytes that handlers write, from the first submit to the last line kept.

A task ends after its lines are kept, so its end is theirs too; the lines are counted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.figures import Figure
from bench.handlers import LINES, LOG_TYPE
from bench.scenario import Amount, Probe, Scenario, TooFew, measured
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
        if (kept := place.store.lines()) != tasks * LINES:
            raise TooFew(f"{kept} of {tasks * LINES} log lines were kept")
    rate = Figure("rate", tasks * LINES / (end - begin), "lines/s")
    return [rate, *(Figure(cost.name, cost.value, "µs/line") for cost in result.cpu)]


SCENARIOS = [Scenario(name="logs", variant="", executor=EXECUTORS["default"], run=run)]
