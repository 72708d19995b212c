"""What one run of a scenario needs, started for it alone: store, server, producer, workers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import psutil

from bench.processes import FOLDER_PREFIX, Process, python
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
    server: Process
    address: str
    producer: Process
    _stack: ExitStack
    workers: list[Process] = field(default_factory=list)

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
        attribute = "isolated" if executor == "isolated" else "shared"
        command = python(
            "penstock_worker",
            f"bench.handlers:{attribute}",
            *("--address", self.address, "--slots", str(slots), "--name", self.folder.name),
            *(["--inline"] if executor == "inline" else []),
        )
        worker = Process(f"worker{len(self.workers) or ''}", command, self.folder, piped=False)
        self._stack.callback(worker.end)
        self.workers.append(worker)

    def wait_for_worker(self) -> None:
        """Waits until the server knows the workers that were started."""
        worker, wanted = self.workers[-1], len(self.workers)
        worker.wait_until(lambda: self.ask("workers")["workers"] >= wanted)

    def pids(self) -> dict[str, int]:
        """Every process by the name of its part; runners are the workers' children."""
        found = {"store": self.store.process.pid, "server": self.server.pid}
        found["producer"] = self.producer.pid
        for number, worker in enumerate(self.workers):
            found[f"supervisor {number}"] = worker.pid
            children = psutil.Process(worker.pid).children()
            found |= {f"runner {number}.{child.pid}": child.pid for child in children}
        return found


@contextmanager
def site() -> Iterator[Site]:
    """Starts store, server and producer; ends them, and the workers, with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX)))
        store = stack.enter_context(running_store(folder))
        server, address = _start_server(folder, store, stack)
        command = python("bench.producer", address, folder.name)
        producer = Process("producer", command, folder, piped=True)
        stack.callback(producer.end)
        yield Site(folder, store, server, address, producer, stack)


def _start_server(folder: Path, store: MeasuredStore, stack: ExitStack) -> tuple[Process, str]:
    ready = folder / "ready.json"
    command = python(
        "penstock_server",
        *("--listen", "127.0.0.1:0", "--metrics", "off"),
        *("--store", store.url, "--ready-file", str(ready)),
    )
    server = Process("server", command, folder, piped=False)
    stack.callback(server.end)
    server.wait_until(ready.exists)
    return server, json.loads(ready.read_text())["address"]
