"""The processes under test: a store, servers, workers. Each can be killed, stopped and started."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from penstock_server.embedded.binary import find_binary
from penstock_server.embedded.process import bound_to_this_process
from penstock_server.embedded.wire import NotListening, ask
from robustness.handlers import RECORD

WITHIN: Final = 40.0
TESTS: Final = Path(__file__).resolve().parents[1]


class PartFailed(Exception):
    """A process did not come up; the text has the end of its log."""


class Part:
    """A process that is started again and again."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.process: asyncio.subprocess.Process | None = None
        self.starts = 0

    @property
    def pid(self) -> int:
        """Of the process that runs now; 0 if none does."""
        alive = self.process is not None and self.process.returncode is None
        return self.process.pid if alive and self.process is not None else 0

    async def command(self) -> Sequence[str]:
        """What to run."""
        raise TypeError

    def environ(self) -> dict[str, str]:
        """What to add to the environment."""
        return {}

    async def ready(self) -> bool:
        """Whether it serves."""
        raise TypeError

    async def start(self) -> None:
        """Starts it if it does not run, and waits until it serves. Raises PartFailed."""
        if self.pid:
            return
        command = await self.command()
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *bound_to_this_process(command),
                cwd=TESTS,
                env={**os.environ, **self.environ()},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.starts += 1
        await self._until_ready()

    async def _until_ready(self) -> None:
        try:
            async with asyncio.timeout(WITHIN):
                while not await self.ready():
                    if not self.pid:
                        raise PartFailed(f"{self.name} ended: {self._tail()}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise PartFailed(f"{self.name} does not serve: {self._tail()}") from None

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-2_000:]

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, if it runs."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def kill(self) -> None:
        """kill -9."""
        self.send(signal.SIGKILL)
        if self.process is not None:
            await self.process.wait()

    async def end(self) -> None:
        """Asks it to end; kills it if it does not."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        if self.process is None:
            return
        try:
            await asyncio.wait_for(self.process.wait(), WITHIN)
        except TimeoutError:
            await self.kill()


class StoreNode(Part):
    """A Valkey with an append-only file, on a unix socket that stays the same."""

    def __init__(self, folder: Path, data: Path, appendfsync: str) -> None:
        super().__init__("store", folder)
        self.data = data
        self.socket = folder / "s"
        self._appendfsync = appendfsync

    async def command(self) -> Sequence[str]:
        options = {"port": "0", "unixsocket": str(self.socket), "dir": str(self.data), "save": ""}
        options |= {"appendonly": "yes", "appendfsync": self._appendfsync, "daemonize": "no"}
        options |= {"maxmemory-policy": "noeviction"}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [str(find_binary()), *words]

    async def ready(self) -> bool:
        return (await self.ask("PING")).startswith("+PONG")

    def append_file(self) -> Path | None:
        """The file that it appends to now; None before there is one."""
        return max(self.data.glob("appendonlydir/*.incr.aof"), key=_mtime, default=None)

    async def ask(self, command: str) -> str:
        """What it answers to a command; empty if it does not."""
        try:
            return await ask(self.socket, command)
        except (NotListening, TimeoutError):
            return ""


def _mtime(path: Path) -> int:
    return path.stat().st_mtime_ns


class ServerNode(Part):
    """A Penstock server. It has a new port after each start; `address` is the present one."""

    def __init__(self, name: str, folder: Path, store: str, settings: Sequence[str]) -> None:
        super().__init__(name, folder)
        self._store = store
        self._settings = settings
        self._ready = folder / f"{name}.json"

    @property
    def address(self) -> tuple[str, int] | None:
        """Where it serves; None if it does not."""
        if not self.pid or not self._ready.exists():
            return None
        host, _, port = json.loads(self._ready.read_text())["address"].rpartition(":")
        return host, int(port)

    async def command(self) -> Sequence[str]:
        self._ready.unlink(missing_ok=True)
        flags = ["--listen", "127.0.0.1:0", "--metrics", "off", "--store", self._store]
        flags += ["--data", str(self.folder / self.name), "--ready-file", str(self._ready)]
        sets = [word for setting in self._settings for word in ("--set", setting)]
        return [sys.executable, "-m", "penstock_server", *flags, *sets]

    async def ready(self) -> bool:
        return self.address is not None


class WorkerNode(Part):
    """A Python worker with the handlers of this suite."""

    def __init__(
        self, name: str, folder: Path, address: str, *, queues: Sequence[str], slots: int
    ) -> None:
        super().__init__(name, folder)
        self._address = address
        self._queues = queues
        self._slots = slots
        self._ready = folder / f"{name}.json"

    async def command(self) -> Sequence[str]:
        self._ready.unlink(missing_ok=True)
        flags = ["--ready-file", str(self._ready), "--name", self.name, "--drain-grace", "1s"]
        flags += ["--slots", str(self._slots), "--isolated-slots", "2"]
        queues = [word for queue in self._queues for word in ("--queue", queue)]
        target = "robustness.handlers:worker"
        return [sys.executable, "-m", "penstock.cli", "worker", target, *flags, *queues]

    def environ(self) -> dict[str, str]:
        return {"PENSTOCK_ADDRESS": self._address, RECORD: str(self.folder)}

    async def ready(self) -> bool:
        return self._ready.exists()

    def runners(self) -> list[int]:
        """Process ids of its runners."""
        if not self.pid:
            return []
        try:
            return [child.pid for child in psutil.Process(self.pid).children()]
        except psutil.NoSuchProcess:
            return []
