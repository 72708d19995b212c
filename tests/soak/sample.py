"""What the processes of a soak hold at a moment."""

from __future__ import annotations

import json
import os
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import psutil

from soak.judge import Bound

MIB: Final = 1024 * 1024

Key = tuple[str, str]
"""Part and what was counted of it."""

BOUNDS: Final[dict[str, Bound]] = {
    "MiB": Bound(at_once=2.0, per_minute=0.1),
    "descriptors": Bound(at_once=4.0, per_minute=0.05),
    "sockets": Bound(at_once=4.0, per_minute=0.05),
    "threads": Bound(at_once=2.0, per_minute=0.02),
    "calls": Bound(at_once=4.0, per_minute=0.1),
}
"""How much each count of a part may grow, by its unit."""


class Sampler:
    """Takes samples; `series` has all of them, by part and unit."""

    def __init__(self, server: int, worker: int, metrics: str) -> None:
        self._server, self._worker = psutil.Process(server), psutil.Process(worker)
        self._metrics = f"http://{metrics}/metrics"
        self._client = psutil.Process(os.getpid())
        self.series: dict[Key, list[tuple[float, float]]] = defaultdict(list)

    def take(self, seconds: float) -> None:
        """Takes one sample."""
        for name, process in self._parts():
            self._count(name, process, seconds)
        for lane, number in self._calls():
            self._note("server", f"calls ({lane})", seconds, number)

    def _parts(self) -> Iterator[tuple[str, psutil.Process]]:
        yield "client", self._client
        yield "server", self._server
        yield "supervisor", self._worker
        for child in self._server.children():
            if "valkey" in child.name():
                yield "store", child
        for child in self._worker.children():
            # Isolated runners are replaced now and then, so nothing can gather in them.
            if is_shared_runner(child):
                yield "runner", child

    def _count(self, name: str, process: psutil.Process, seconds: float) -> None:
        self._note(name, "MiB", seconds, process.memory_info().rss / MIB)
        self._note(name, "descriptors", seconds, process.num_fds())
        self._note(name, "sockets", seconds, len(process.net_connections("all")))
        self._note(name, "threads", seconds, process.num_threads())

    def _calls(self) -> Iterator[tuple[str, float]]:
        with urllib.request.urlopen(self._metrics, timeout=10) as page:
            for line in page.read().decode().splitlines():
                if line.startswith("penstock_calls_under_way{"):
                    lane = line.partition('lane="')[2].partition('"')[0]
                    yield lane, float(line.rpartition(" ")[2])

    def _note(self, part: str, unit: str, seconds: float, value: float) -> None:
        self.series[part, unit].append((seconds, value))


def is_shared_runner(process: psutil.Process) -> bool:
    """True for the runner of `async def` and `def` handlers."""
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    if "penstock_worker.runner" not in command:
        return False
    return not json.loads(command[-1])["isolated"]
