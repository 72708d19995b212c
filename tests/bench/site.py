"""What one run of a scenario needs, started for it alone: store, server, producer, workers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import psutil

from bench.cluster import running_cluster
from bench.layout import USUAL, Layout
from bench.processes import FOLDER_PREFIX, Process, environment, python
from bench.store import MeasuredStore, running_store

Executor = Literal["default", "inline", "isolated"]
EXECUTORS: Final[dict[Executor, str]] = {
    "default": "supervisor and one runner, async handler",
    "inline": "supervisor alone, async handler inline",
    "isolated": "supervisor and isolated runners, plain handler",
}
_SLOTS: Final = 1_000


@dataclass
class Site:
    """The processes of one run. They end when the block of `site` is left."""

    folder: Path
    store: MeasuredStore
    servers: list[Process]
    addresses: list[str]
    producer: Process
    _stack: ExitStack
    workers: list[Process] = field(default_factory=list)
    layout: Layout = USUAL
    worker_env: dict[str, str] | None = None

    @property
    def address(self) -> str:
        """Where the producer calls."""
        return self.addresses[0]

    def order(self, do: str, **arguments: Any) -> None:
        """Gives the producer an order; `answer` waits for it."""
        self.producer.say(json.dumps({"do": do, **arguments}))

    def answer(self) -> dict[str, Any]:
        """Waits until the order is carried out."""
        told: dict[str, Any] = json.loads(self.producer.hear())
        return told

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Gives an order and waits for its answer."""
        self.order(do, **arguments)
        return self.answer()

    def start_worker(self, executor: Executor, *, slots: int = _SLOTS) -> None:
        """Starts a worker process; it need not be ready yet."""
        usual = "spread" if self.layout.spread else "shared"
        attribute = "isolated" if executor == "isolated" else usual
        command = python(
            "penstock_worker",
            f"bench.handlers:{attribute}",
            *("--address", self.addresses[-1], "--slots", str(slots), "--name", self.folder.name),
            *(["--inline"] if executor == "inline" else []),
        )
        name = f"worker{len(self.workers) or ''}"
        worker = Process(name, command, self.folder, piped=False, env=self.worker_env)
        self._stack.callback(worker.end)
        self.workers.append(worker)

    def wait_for_worker(self) -> None:
        """Waits until the server knows the workers that were started."""
        worker, wanted = self.workers[-1], len(self.workers)
        worker.wait_until(
            lambda: self.ask("workers", spread=self.layout.spread)["workers"] >= wanted
        )

    def pids(self) -> dict[str, int]:
        """Every process by the name of its part; runners are among the workers' children."""
        found = self.store.pids()
        found |= {f"server {number}": server.pid for number, server in enumerate(self.servers)}
        found["producer"] = self.producer.pid
        for number, worker in enumerate(self.workers):
            found[f"supervisor {number}"] = worker.pid
            found |= {f"runner {number}.{pid}": pid for pid in _runners(worker.pid)}
        return found


def _runners(worker: int) -> list[int]:
    """Not the guard: a shell beside each runner, which sleeps until the worker is gone."""
    found = []
    for child in psutil.Process(worker).children():
        with suppress(psutil.NoSuchProcess):
            if "penstock_worker.runner" in child.cmdline():
                found.append(child.pid)
    return found


@contextmanager
def site(layout: Layout = USUAL) -> Iterator[Site]:
    """Starts store, servers and producer; ends them, and the workers, with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX)))
        running = running_cluster(folder, layout) if layout.nodes else running_store(folder)
        store = stack.enter_context(running)
        traces = _start_receiver(folder, stack) if layout.sampled is not None else ""
        servers, addresses = [], []
        for number in range(layout.servers):
            server, address = _start_server(folder, number, store, layout, traces, stack)
            servers.append(server)
            addresses.append(address)
        env = environment() | ({"OTEL_EXPORTER_OTLP_ENDPOINT": traces} if traces else {})
        sampled = [str(layout.sampled), traces] if traces else []
        command = python("bench.producer", addresses[0], folder.name, *sampled)
        producer = Process("producer", command, folder, piped=True, env=env)
        stack.callback(producer.end)
        yield Site(
            folder, store, servers, addresses, producer, stack, layout=layout, worker_env=env
        )


def _start_server(
    folder: Path,
    number: int,
    store: MeasuredStore,
    layout: Layout,
    traces: str,
    stack: ExitStack,
) -> tuple[Process, str]:
    ready = folder / f"ready{number or ''}.json"
    command = python(
        "penstock_server",
        *("--listen", "127.0.0.1:0", "--metrics", "off"),
        *("--store", store.url, "--ready-file", str(ready)),
        *("--set", f"store.partitions={layout.partitions}"),
        *(["--set", f"telemetry.otlp_endpoint={traces}"] if traces else []),
    )
    server = Process(f"server{number or ''}", command, folder, piped=False)
    stack.callback(server.end)
    server.wait_until(ready.exists)
    return server, json.loads(ready.read_text())["address"]


def _start_receiver(folder: Path, stack: ExitStack) -> str:
    """A process that takes spans and throws them away; where it listens."""
    receiver = Process("receiver", python("bench.receiver", folder.name), folder, piped=True)
    stack.callback(receiver.end)
    return receiver.hear()
