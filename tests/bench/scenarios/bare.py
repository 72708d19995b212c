"""Bare round trip: the messages and store calls of `round_trip`, with nothing of Penstock in them.

`calls` is the form of the contract, `stream` would be one open stream in place of polls and
reports. `round_trip` comes as near to `calls` as Penstock's own work allows.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from bench.bare import FORMS, Form
from bench.figures import Figure, percentiles
from bench.processes import FOLDER_PREFIX, Process, python
from bench.scenario import Amount, Probe, Scenario, measured
from bench.store import MeasuredStore, running_store

_WARM_UP = 200


@dataclass
class BarePlace:
    """The processes of one run."""

    store: MeasuredStore
    server: Process
    worker: Process
    caller: Process

    def pids(self) -> dict[str, int]:
        """Every process by the name of its part."""
        (runner,) = psutil.Process(self.worker.pid).children()
        parts = {"server": self.server, "producer": self.caller, "supervisor": self.worker}
        found = {name: process.pid for name, process in parts.items()}
        return self.store.pids() | found | {"runner": runner.pid}

    def round_trips(self, count: int) -> list[float]:
        """Seconds of each of so many round trips, one after the other."""
        self.worker.check()
        self.caller.say(str(count))
        times: list[float] = json.loads(self.caller.hear())
        return times


def run(form: Form, amount: Amount, probe: Probe) -> Sequence[Figure]:
    """One run: p50 and p99, and the CPU that a round trip costs in each part."""
    with ExitStack() as stack:
        place = _start(form, stack)
        place.round_trips(_WARM_UP)
        with measured(place, probe) as result:
            times = place.round_trips(amount.calls)
            result.tasks = len(times)
    return [*percentiles(times), *result.cpu]


def _start(form: Form, stack: ExitStack) -> BarePlace:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX)))
    store = stack.enter_context(running_store(folder))
    path = store.url.removeprefix("unix://")

    def start(name: str, *arguments: str, piped: bool) -> Process:
        command = python("bench.bare", name, *arguments, folder.name)
        process = Process(name, command, folder, piped=piped)
        stack.callback(process.end)
        return process

    server = start("server", path, piped=True)
    port = server.hear()
    worker = start("worker", port, form, piped=False)
    return BarePlace(store, server, worker, start("caller", port, piped=True))


SCENARIOS = [
    Scenario(
        name="bare",
        variant=form,
        executor="supervisor and one runner, nothing of Penstock",
        run=partial(run, form),
    )
    for form in FORMS
]
