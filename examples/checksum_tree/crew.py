"""Worker processes of the example: started, one of them killed, all of them ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).resolve().parent


class Crew:
    """Some worker processes, for as long as the `with` block runs."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for _ in range(self.size):
            self.processes.append(start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill_one(self) -> int:
        """Kills a worker as `kill -9` does: it can say goodbye to nobody. Starts another."""
        victim = self.processes.pop(0)
        victim.kill()
        victim.wait()
        self.processes.append(start())
        return victim.pid


def start() -> subprocess.Popen[bytes]:
    """Starts one worker. It finds the server as this process does, by PENSTOCK_ADDRESS."""
    return subprocess.Popen(
        [sys.executable, "-m", "penstock.cli", "worker", "worker.py:worker", "--slots", "16"],
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
