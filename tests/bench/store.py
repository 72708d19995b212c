"""A throw-away store: its own process on a unix socket, append-only file at everysec, on disk."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import redis

from bench.processes import Process, environment
from penstock_server.embedded.allocator import store_environment
from penstock_server.embedded.binary import find_binary
from penstock_server.embedded.process import settings
from penstock_server.store.keys import key

DURABILITY: Final = "append-only file, fsync every second"
_UNENDED_KEY: Final = key(0, "backlog")
UNENDED_FIELD: Final = "default:n"
_LOGS: Final = key(0, "logs", namespace="default", id="*")


class MeasuredStore:
    """A store that serves, a client that looks into it, and one for each of its nodes."""

    def __init__(self, process: Process, path: Path) -> None:
        self.process = process
        self.url = f"unix://{path}"
        self.client: redis.Redis = redis.Redis(unix_socket_path=str(path))
        self.nodes: Sequence[redis.Redis] = [self.client]

    def pids(self) -> dict[str, int]:
        """Its processes."""
        return {"store": self.process.pid}

    def info(self, section: str) -> list[dict[str, Any]]:
        """A section of each node's own report."""
        told: list[Any] = [node.info(section) for node in self.nodes]
        return told

    def unended(self) -> int:
        """Tasks of the default namespace that have not ended."""
        return int(self.client.hget(_UNENDED_KEY, UNENDED_FIELD) or 0)

    def lines(self) -> int:
        """Log lines that it keeps of the default namespace."""
        logs = self.client.scan_iter(match=_LOGS, count=1_000)
        return sum(int(self.client.xlen(name)) for name in logs)

    def begin_rewriting(self) -> None:
        """Makes each node write its append-only file anew, beside its other work."""
        for node in self.nodes:
            with suppress(redis.ResponseError):  # one is under way
                node.bgrewriteaof()

    def settle(self) -> None:
        """Waits until every file is written anew and nothing is left to rewrite of what was kept
        so far.
        """
        self._wait_for_rewriting()  # one that is under way may miss what came last
        self.begin_rewriting()
        self._wait_for_rewriting()

    def _wait_for_rewriting(self) -> None:
        while any(
            facts["aof_rewrite_in_progress"] or facts["aof_rewrite_scheduled"]
            for facts in self.info("persistence")
        ):
            time.sleep(0.05)

    def memory(self) -> int:
        """Bytes that its data takes; buffers of the append-only file are left out."""
        return sum(
            int(facts["used_memory"]) - int(facts.get("mem_aof_buffer", 0))
            for facts in self.info("memory")
        )


@contextmanager
def running_store(folder: Path) -> Iterator[MeasuredStore]:
    """Starts a store with its data in `folder`; ends it with the block."""
    path, data = folder / "store.sock", folder / "store"
    data.mkdir()
    process = Process(
        "store",
        store_command({"unixsocket": str(path), "dir": str(data)}),
        folder,
        piped=False,
        env=store_environment(environment()),
    )
    try:
        store = MeasuredStore(process, path)
        process.wait_until(lambda: _answers(path))
        with store.client:
            yield store
    finally:
        process.end()


def store_command(options: dict[str, str]) -> list[str]:
    """The command that starts a store which keeps its data as an embedded one does, at everysec.
    Those of other libraries are no others.
    """
    given = {"port": "0"} | settings("everysec") | options
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    return [str(find_binary()), *words]


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(path))
            wire.sendall(b"PING\r\n")
            return wire.recv(64).startswith(b"+PONG")
    except OSError:
        return False


class Counts(Protocol):
    """Whatever knows how many tasks have not ended."""

    def unended(self) -> int:
        """Tasks that have not ended."""


class Countdown:
    """Watches how many tasks have not ended: one small read every few milliseconds."""

    def __init__(self, store: Counts, *, every: float = 0.01) -> None:
        self._store = store
        self._every = every

    def samples(self, *, patience: float = 60.0) -> Iterator[tuple[float, int]]:
        """Monotonic time and unended tasks, again and again. Raises TimeoutError if nothing ends
        for `patience` seconds.
        """
        last, give_up = -1, time.monotonic() + patience
        while True:
            now, left = time.monotonic(), self._store.unended()
            yield now, left
            if left != last:
                last, give_up = left, now + patience
            elif now > give_up:
                raise TimeoutError(f"{left} tasks have not ended and nothing moves")
            time.sleep(self._every)
