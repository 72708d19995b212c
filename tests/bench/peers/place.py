"""What one run of a peer needs, started for it alone: a store as Penstock's, producer, worker."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.peers.peer import HOME, PROGRAMS, Form, Peer
from bench.processes import FOLDER_PREFIX, Process
from bench.store import MeasuredStore, running_store


@dataclass
class PeerPlace:
    """The processes of one run. They end when the block of `peer_place` is left."""

    peer: Peer
    form: Form
    folder: Path
    store: MeasuredStore
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

    def start_worker(self) -> None:
        """Starts the workers; they need not be ready yet."""
        worker = _process("worker", self.peer.worker, self.folder, self.form, piped=False)
        self._stack.callback(worker.end)
        self.workers.append(worker)

    def unended(self) -> int:
        """Tasks that have not ended."""
        return self.peer.left(self.store.client, self.form)

    def pids(self) -> dict[str, int]:
        """Every process by the name of its part."""
        found = self.store.pids() | {"producer": self.producer.pid}
        for worker in self.workers:
            found["worker"] = worker.pid
            children = psutil.Process(worker.pid).children(recursive=True)
            found |= {f"worker {child.pid}": child.pid for child in children}
        return found


@contextmanager
def peer_place(peer: Peer, form: Form) -> Iterator[PeerPlace]:
    """Starts store and producer; ends them, and the workers, with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX)))
        store = stack.enter_context(running_store(folder))
        _bring(folder)
        producer = _process("producer", peer.producer, folder, form, piped=True)
        stack.callback(producer.end)
        yield PeerPlace(peer, form, folder, store, producer, stack)


def _bring(folder: Path) -> None:
    """The programs, where the run may write what it likes beside them."""
    for program in PROGRAMS.iterdir():
        if program.is_file():
            (folder / program.name).write_bytes(program.read_bytes())
    (folder / "node_modules").symlink_to(HOME / "node_modules")


def _process(name: str, command: Any, folder: Path, form: Form, *, piped: bool) -> Process:
    # The socket's path is among the words too, so that what is left behind can be found.
    where = {"PEER_STORE": str(folder / "store.sock"), "PEER_FORM": form}
    env = {**os.environ, **where, "PYTHONPATH": str(folder)}
    return Process(name, command, folder, piped=piped, env=env)
