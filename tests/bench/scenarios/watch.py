"""Watch: one queue's events to many watchers at once, while tasks are submitted at an even pace.

200 tasks per second for 1 watcher, 20 for 100 and 2 for 1,000: more events than that would measure
the one process that holds all watchers. The lag is from the submit to the event's arrival there.
What the server spends on the submits is part of its CPU, and most of it where one watches alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from bench.figures import Figure, percentiles
from bench.processes import Process, python
from bench.scenario import Amount, Probe, Scenario, measured
from bench.site import site

# Tasks per second for so many watchers.
_PACES = {1: 200.0, 100: 20.0, 1_000: 2.0}
_SECONDS = 10.0


def run(watchers: int, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run: events that arrived per second, how late they were, what each cost the server."""
    seconds = min(_SECONDS, amount.seconds)
    tasks = max(2, int(_PACES[watchers] * seconds))
    with site() as place:
        command = python("bench.watching", place.address, str(watchers), str(tasks))
        watching = Process("watching", command, place.folder, piped=True)
        try:
            watching.hear()
            with measured(place, probe) as result:
                told = place.ask("paced", tasks=tasks, seconds=seconds)
                arrivals = json.loads(watching.hear())
                result.tasks = len(arrivals)
        finally:
            watching.end()
    times = lags(told["sent"], arrivals)
    # Each submit has its share of the time, the last one too.
    took = max(seconds, max(arrived for _, arrived in arrivals) - told["begin"])
    server = next(cost.value for cost in result.cpu if cost.name == "cpu server")
    return [
        Figure("delivered", len(times) / took, "events/s"),
        *(Figure(f"lag {figure.name}", figure.value, "ms") for figure in percentiles(times)),
        Figure("cpu server", server, "µs/event"),
    ]


def lags(sent: Mapping[str, float], arrivals: Iterable[tuple[str, float]]) -> list[float]:
    """How long after its submit each event arrived, in seconds."""
    return [arrived - sent[task_id] for task_id, arrived in arrivals]


SCENARIOS = [
    Scenario(name="watch", variant=f"{count:,}", executor="", run=partial(run, count))
    for count in _PACES
]
