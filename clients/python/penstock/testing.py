"""A throw-away Penstock server for tests: a real server process with a store of its own.

    with penstock.testing.Server() as server:
        with BlockingClient(server.options()) as client:
            client.submit("images.resize", {"path": "a.png"})

It listens on a port that the system chooses, keeps its data in a temporary folder, and ends with
the test process, however that ends. Any number may run side by side. `penstock.pytest_plugin` has
the fixtures. Needs the `server` extra of this distribution.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from penstock.blocking import BlockingClient
from penstock.options import ClientOptions

START_TIMEOUT: Final = timedelta(seconds=30)
# Beyond the guardian's own grace, so that it is the one that kills.
STOP_TIMEOUT: Final = timedelta(seconds=20)
_TAIL_BYTES: Final = 8_192
_LOOK_SECONDS: Final = 0.02


class ServerNotStarted(RuntimeError):
    """The server did not come up; the text has the end of what it wrote."""


class Server:
    """One throw-away server. Starts when the `with` block is entered, is gone when it is left."""

    def __init__(
        self,
        *,
        arguments: Sequence[str] = (),
        python: str = sys.executable,
        start_timeout: timedelta = START_TIMEOUT,
    ) -> None:
        """`arguments` go to the server's command line, e.g. `["--config", "server.yaml"]`."""
        self._arguments = [*arguments]
        self._python = python
        self._start_timeout = start_timeout
        self._guardian: subprocess.Popen[bytes] | None = None
        self.address = ""
        self.pid = 0

    def __repr__(self) -> str:
        return f"Server({self.address or 'not started'})"

    def __enter__(self) -> Self:
        # Short, because the path of the store's socket must fit into about a hundred characters.
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-"))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def options(self, **changes: Any) -> ClientOptions:
        """Options of a client of this server; `changes` are fields of ClientOptions."""
        return ClientOptions(**({"address": self.address} | changes))

    def new_namespace(self) -> str:
        """Makes a namespace that nobody else uses, and answers its name."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        with BlockingClient(self.options()) as client:
            client.namespaces.create(name, description="made by penstock.testing")
        return name

    def restart(self, *, kill: bool = False) -> None:
        """Ends the server and starts it again with its data at its address.

        With `kill` it gets SIGKILL, and its store too: a crash of the machine but for the disk.
        """
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        self._end()
        self._ready_file.unlink(missing_ok=True)
        self._start()

    def stop(self) -> None:
        """Ends the server (SIGTERM, ten seconds later SIGKILL) and removes its data."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self) -> None:
        guardian, self._guardian = self._guardian, None
        if guardian is not None:
            if guardian.stdin is not None:
                guardian.stdin.close()
            guardian.wait(STOP_TIMEOUT.total_seconds())

    def log(self) -> str:
        """The end of what the server wrote to standard output and standard error."""
        try:
            written = (self.folder / "server.log").read_bytes()
        except FileNotFoundError:
            return ""
        return written[-_TAIL_BYTES:].decode(errors="replace")

    def _start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._guardian = subprocess.Popen(
                [self._python, "-m", "penstock._guardian", *self._command()],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
            )
        ready = self._until_ready(self._guardian)
        self.address, self.pid = ready["address"], ready["pid"]

    def _command(self) -> list[str]:
        return [
            *(self._python, "-m", "penstock_server"),
            *("--listen", self.address or "127.0.0.1:0"),
            *("--store", "embedded"),
            *("--data", str(self.folder / "data")),
            *("--metrics", "off"),
            *("--ready-file", str(self._ready_file)),
            *self._arguments,
        ]

    @property
    def _ready_file(self) -> Path:
        return self.folder / "ready.json"

    def _until_ready(self, guardian: subprocess.Popen[bytes]) -> dict[str, Any]:
        """Waits for the ready file; the server writes it in one move, so it is whole."""
        give_up = time.monotonic() + self._start_timeout.total_seconds()
        while not self._ready_file.exists():
            if (status := guardian.poll()) is not None:
                raise self._not_started(f"ended with status {status}")
            if time.monotonic() > give_up:
                raise self._not_started(f"was not ready within {self._start_timeout}")
            time.sleep(_LOOK_SECONDS)
        ready: dict[str, Any] = json.loads(self._ready_file.read_text())
        return ready

    def _not_started(self, what: str) -> ServerNotStarted:
        written = self.log().strip() or "nothing"
        return ServerNotStarted(
            f"the server {what}. It wrote: {written}\n"
            "If a module is missing, install the server extra: pip install 'penstock[server]'"
        )


def _environment() -> dict[str, str]:
    """This process's environment without settings of a Penstock that somebody uses for real."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
