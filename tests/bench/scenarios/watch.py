"""Watch: one queue's events to many watchers at once, while tasks are submitted at an even pace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from bench.figures import Figure, percentiles
from bench.processes import Process, python
from bench.scenario import Amount, Probe, Scenario, measured
from bench.site import site

# Tasks per second for so many watchers: what one watching process can take in.
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
                lags = json.loads(watching.hear())
                result.tasks = len(lags)
        finally:
            watching.end()
    rate = len(lags) / (told["end"] - told["begin"])
    server = next(cost.value for cost in result.cpu if cost.name == "cpu server")
    return [
        Figure("delivered", rate, "events/s"),
        *(Figure(f"lag {figure.name}", figure.value, "ms") for figure in percentiles(lags)),
        Figure("cpu server", server, "µs/event"),
    ]


SCENARIOS = [
    Scenario(name="watch", variant=f"{count:,}", executor="", run=partial(run, count))
    for count in _PACES
]
