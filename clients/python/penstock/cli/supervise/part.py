"""One process that `penstock up` keeps running: started, waited for, restarted when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from penstock.cli.supervise.board import Board
from penstock.cli.text import one_line

#: Shortest and longest wait before a part is started again.
_FIRST_BACKOFF: Final = timedelta(milliseconds=500)
_LONGEST_BACKOFF: Final = timedelta(seconds=30)
#: A part that ran this long was well: its next restart begins with the shortest wait again.
_WELL_AFTER: Final = timedelta(seconds=30)
_LARGEST_LOG: Final = 8 * 1024 * 1024
_LOOK_EVERY: Final = timedelta(milliseconds=50)


class PartFailed(Exception):
    """A part did not become ready when it was first started."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a part is run."""

    name: str
    """Word in front of its lines: `server`, `worker`."""
    module: str
    """Python module that is run as a program."""
    arguments: tuple[str, ...]
    log: Path
    """File that takes what it writes."""
    ready: Callable[[int], Awaitable[str | None]]
    """Given its process id: what to say about it once it serves, None before."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment of `up`."""
    orphan_signal: signal.Signals = signal.SIGTERM
    """What it gets if `up` dies without ending it."""
    start_within: timedelta = timedelta(seconds=30)
    patience: timedelta = timedelta(seconds=30)
    """How long it may take to end after SIGTERM, before SIGKILL."""


class Part:
    """A part and the process that is it at the moment."""

    def __init__(self, plan: Plan, board: Board) -> None:
        self.plan = plan
        self.restarts = 0
        self._board = board
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Id of the process that runs now."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def start(self) -> None:
        """Starts the part for the first time and waits until it is ready. Raises PartFailed."""
        if not await self._launch():
            raise PartFailed(self._last_words())

    async def keep_running(self) -> None:
        """Starts the part again whenever it dies, until `stop` is called."""
        loop = asyncio.get_running_loop()
        backoff = _FIRST_BACKOFF
        while not self._stopping.is_set():
            began = loop.time()
            assert self._process is not None, "start() comes first"
            status = await self._process.wait()
            if self._stopping.is_set():
                return
            if loop.time() - began > _WELL_AFTER.total_seconds():
                backoff = _FIRST_BACKOFF
            # A process that was killed could not say why; its last line would mislead.
            said = self._last_words() if status >= 0 else ""
            self._board.died(self.plan.name, describe(status), said, backoff)
            if await self._stopped_within(backoff):
                return
            backoff = min(backoff * 2, _LONGEST_BACKOFF)
            self.restarts += 1
            await self._launch()

    async def stop(self, *, force: asyncio.Event) -> None:
        """Ends the part: SIGTERM, then SIGKILL after its patience or once `force` is set."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await _first_of(process.wait(), force.wait(), timeout=self.plan.patience)
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            self._board.note(f"{self.plan.name} did not end in time and was killed")
        await process.wait()

    async def _launch(self) -> bool:
        """Starts the process and waits until it serves. False if it ended, or took too long."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        process = self._process = await self._spawn()
        while process.returncode is None and not self._stopping.is_set():
            said = await self.plan.ready(process.pid)
            took = timedelta(seconds=loop.time() - began)
            if said is not None:
                self._board.ready(self.plan.name, said, process.pid, took)
                return True
            if took > self.plan.start_within:
                process.kill()
                await process.wait()
                return False
            await _first_of(process.wait(), timeout=_LOOK_EVERY)
        return False

    async def _spawn(self) -> asyncio.subprocess.Process:
        plan = self.plan
        log = open_log(plan.log)
        child = ["penstock.cli.supervise.child", str(os.getpid()), str(int(plan.orphan_signal))]
        try:
            return await asyncio.create_subprocess_exec(
                *[sys.executable, "-m", *child, plan.module, *plan.arguments],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **plan.environment},
                # Ctrl-C is for `up`, which ends its parts in order.
                start_new_session=True,
            )
        finally:
            os.close(log)

    async def _stopped_within(self, span: timedelta) -> bool:
        await _first_of(self._stopping.wait(), timeout=span)
        return self._stopping.is_set()

    def _last_words(self) -> str:
        return last_line(self.plan.log)


def describe(status: int) -> str:
    """How a process ended: `status 1`, `killed by SIGKILL`."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def open_log(path: Path) -> int:
    """Opens a part's log for appending. A large one becomes the old one, of which one is kept."""
    # The folder of the folder too: `parents` alone would open it to everybody.
    path.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.mkdir(exist_ok=True, mode=0o700)
    if path.exists() and path.stat().st_size > _LARGEST_LOG:
        path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def trim_log(path: Path) -> None:
    """Empties a log that grew too large while its part runs; what it held becomes the old one.

    The part writes at the end of the file wherever that is, so it need not be told. Lines written
    between copy and cut are lost; it is the price of not standing between the part and its log.
    """
    try:
        if path.stat().st_size <= _LARGEST_LOG:
            return
        shutil.copyfile(path, path.with_suffix(".log.1"))
        os.truncate(path, 0)
    except FileNotFoundError:
        return


def last_line(path: Path) -> str:
    """The last line of a log that says something, safe to print; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 8192, 0))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return one_line(lines[-1].strip(), limit=300) if lines else ""


async def _first_of(*waits: Awaitable[object], timeout: timedelta) -> None:
    """Waits for the first of several things, at most `timeout`; none of them is left running."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(
            tasks, timeout=timeout.total_seconds(), return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
