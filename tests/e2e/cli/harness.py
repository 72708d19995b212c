"""Runs the installed `penstock` program in real processes."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

PENSTOCK: Final = (sys.executable, "-m", "penstock.cli")
Line = dict[str, Any]


def penstock(
    *words: str, address: str = "", stdin: str | None = None, timeout: float = 40, **env: str
) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    where = {"PENSTOCK_ADDRESS": address} if address else {}
    return subprocess.run(
        [*PENSTOCK, *words],
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **where, **env},
        check=False,
    )


class Command:
    """A command that goes on: its JSON lines are read as they come."""

    def __init__(self, *words: str, address: str = "", cwd: Path | None = None, **env: str) -> None:
        where = {"PENSTOCK_ADDRESS": address} if address else {}
        self.process = subprocess.Popen(
            [*PENSTOCK, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**os.environ, "PYTHONFAULTHANDLER": "1", **where, **env},
            start_new_session=True,
        )
        self.seen: list[Line] = []
        self._lines: queue.Queue[Line | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self._lines.put(json.loads(text))
        self._lines.put(None)

    def wait_for(self, fits: Callable[[Line], bool], timeout: float = 40) -> Line:
        """The next line that fits. Fails with what the command said if none comes."""
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except queue.Empty:
                raise AssertionError(f"no such line within {timeout} s, but {self.seen}") from None
            if line is None:
                raise AssertionError(f"it ended: {self.seen} {self.errors()}")
            self.seen.append(line)
            if fits(line):
                return line

    def errors(self) -> str:
        """What an ended command wrote to standard error."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def interrupt(self, timeout: float = 40) -> int:
        """Ctrl-C, and its exit status. Fails with where it stands if it does not end."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # writes the stacks of all threads
            self.process.wait(10)
            raise AssertionError(f"still there {timeout} s later: {self.errors()}") from None

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Ends it whatever happens; nothing that it started stays."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        self._reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class Up(Command):
    """A running `penstock up` on ports of its own."""

    def __init__(self, data: Path, *words: str, port: int = 0) -> None:
        self.data = data
        super().__init__("up", "--json", "--data", str(data), "--port", str(port), *words)
        self.parts: dict[str, Line] = {}
        self.address = str(self.wait_for(lambda line: "serving" in line)["serving"])

    def wait_for(self, fits: Callable[[Line], bool], timeout: float = 40) -> Line:
        """As Command.wait_for; remembers the latest state of each part."""

        def noted(line: Line) -> bool:
            if line.get("state") == "ready":
                self.parts[line["part"]] = line
            return fits(line)

        return super().wait_for(noted, timeout)

    def pid(self, part: str) -> int:
        """Process id of a part."""
        return int(self.parts[part]["pid"])

    def wait_for_part(self, part: str, state: str) -> Line:
        """Waits until a part changes to a state."""
        return self.wait_for(lambda line: line.get("part") == part and line["state"] == state)

    def penstock(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command against it."""
        return penstock(*words, address=self.address, **more)

    def json(self, *words: str, **more: Any) -> Any:
        """Runs a command that must succeed, and gives what it answers."""
        ran = self.penstock(*words, "--json", **more)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


def is_alive(pid: int) -> bool:
    """Whether a process runs. One that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
