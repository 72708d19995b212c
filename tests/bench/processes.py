"""Starts the processes of a measurement and ends exactly those, whatever happens.

Every process carries the name of the run's folder in its command line, so that what a killed
measurement left behind can be found, and ends when the measurement dies (Linux).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from penstock_server.embedded.process import bound_to_this_process

FOLDER_PREFIX: Final = "penstock-bench-"
TESTS: Final = Path(__file__).resolve().parents[1]


class ProcessEnded(Exception):
    """A process of the measurement ended before its time; the text has the end of its output."""


class Process:
    """One process, started at once; what it writes goes to a file of its own."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        *,
        piped: bool,
        env: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                bound_to_this_process(command),
                cwd=folder,
                env=env or environment(),
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else log,
                stderr=log,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, line: str) -> None:
        """Writes a line to its standard input. Raises ProcessEnded."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def hear(self) -> str:
        """Waits for the next line that it prints. Raises ProcessEnded."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return line.rstrip("\n")

    def wait_until(self, holds: Callable[[], bool], *, within: float = 60.0) -> None:
        """Waits for something that this process is to bring about. Raises ProcessEnded."""
        give_up = time.monotonic() + within
        while not holds():
            self.check()
            if time.monotonic() > give_up:
                raise ProcessEnded(f"{self.name} was not ready within {within:g} s: {self._tail()}")
            time.sleep(0.02)

    def check(self) -> None:
        """Raises ProcessEnded if it does not run any more."""
        if self._process.poll() is not None:
            raise self._ended()

    def end(self, *, within: float = 30.0) -> None:
        """Asks it to end, then makes it."""
        for send in (self._process.terminate, self._process.kill):
            send()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(within)
                break
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _ended(self) -> ProcessEnded:
        status = self._process.wait()
        return ProcessEnded(f"{self.name} ended with status {status}: {self._tail()}")

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-2_000:].strip() or "it wrote nothing"


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with this Python."""
    return [sys.executable, "-m", module, *arguments]


def environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of measured processes: no setting of the person at the keyboard."""
    given = os.environ if environ is None else environ
    kept = {name: value for name, value in given.items() if not name.startswith("PENSTOCK_")}
    path = [str(TESTS), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(path)}
