"""One run of the store program: how it is started, and how it is ended.

The program gets a signal from the kernel when the process that started it dies (Linux), so that a
server killed with -9 leaves no store behind. Where the kernel does not offer that, the next owner
of the folder ends what was left over.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from penstock_server.embedded import wire
from penstock_server.embedded.allocator import store_environment
from penstock_server.embedded.errors import EmbeddedStoreFailed
from penstock_server.embedded.folder import DataFolder, try_lock

# Becomes another program after asking for a SIGTERM at its parent's death. A small program of its
# own, because code that runs between fork and exec in a process with threads may hang.
_LAUNCHER: Final = """
import ctypes, os, signal, sys
parent, program = int(sys.argv[1]), sys.argv[2:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")
os.execv(program[0], program)
"""

_LARGEST_LOG: Final = 1 << 20


def bound_to_this_process(program: Sequence[str]) -> list[str]:
    """The command that runs a program, given by its path, which ends when this process dies.

    Ends it with SIGTERM, on Linux; elsewhere the program runs on.
    """
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *program]


class StoreProcess:
    """A running store program."""

    def __init__(self, folder: DataFolder, process: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Waits for its end and gives its exit status."""
        return await self._process.wait()

    async def wait_until_serving(self, *, silence: timedelta) -> None:
        """Waits until it answers, also while it still reads a long append-only file.

        Raises EmbeddedStoreFailed if it ends, or says nothing at all for `silence`.
        """
        ended = asyncio.ensure_future(self._process.wait())
        try:
            await self._ping_until(ended, silence)
        finally:
            ended.cancel()

    async def _ping_until(self, ended: "asyncio.Future[int]", silence: timedelta) -> None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + silence.total_seconds()
        while not ended.done():
            answer = await self._ping()
            if answer.startswith("+PONG"):
                return
            if answer.startswith("-LOADING"):
                give_up = loop.time() + silence.total_seconds()
            if loop.time() > give_up:
                raise self.failure(f"did not answer for {silence.total_seconds():g} s")
            await asyncio.wait([ended], timeout=0.02)
        raise self.failure(f"ended with status {ended.result()}")

    async def _ping(self) -> str:
        try:
            return await wire.ask(self.folder.socket, "PING")
        except (wire.NotListening, TimeoutError):
            return ""

    async def stop(self, *, patience: timedelta) -> int:
        """Ends it with everything on disk; waits `patience` before force. Gives its exit status."""
        with contextlib.suppress(wire.NotListening, TimeoutError):
            await wire.ask(self.folder.socket, "SHUTDOWN", within=patience.total_seconds())
        for send in (signal.SIGTERM, signal.SIGKILL):
            try:
                return await asyncio.wait_for(self._process.wait(), patience.total_seconds())
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(send)
        return await self._process.wait()

    def failure(self, what: str) -> EmbeddedStoreFailed:
        """The error that tells what happened, with the last line of the log."""
        return EmbeddedStoreFailed(what, log=self.folder.log, tail=last_line(self.folder.log))


async def start_process(
    folder: DataFolder, binary: Path, *, appendfsync: Literal["everysec", "always"]
) -> StoreProcess:
    """Starts the program in the folder. Nothing of an earlier run may be alive. Raises OSError."""
    program = [str(binary), *_arguments(folder, appendfsync)]
    lock = folder.open_process_lock()
    log = _open_log(folder.log)
    try:
        # Inherited, so the lock is held until the program and all that it forked have ended.
        try_lock(lock)
        process = await asyncio.create_subprocess_exec(
            *bound_to_this_process(program),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            env=store_environment(),
            start_new_session=True,  # Ctrl-C is for the server, which ends the store last
        )
    finally:
        os.close(lock)
        os.close(log)
    return StoreProcess(folder, process)


def settings(appendfsync: Literal["everysec", "always"]) -> dict[str, str]:
    """How an embedded store keeps what it is given, as settings of Redis and Valkey."""
    return {
        "appendonly": "yes",
        "appendfsync": appendfsync,
        "save": "",
        # Compressing the file as it is rewritten took 4 % of a busy store's time.
        "rdbcompression": "no",
        # A full store must refuse, never forget.
        "maxmemory-policy": "noeviction",
    }


def _arguments(folder: DataFolder, appendfsync: Literal["everysec", "always"]) -> Sequence[str]:
    options = {
        "port": "0",
        "unixsocket": str(folder.socket),
        "unixsocketperm": "700",
        "dir": str(folder.store),
        "daemonize": "no",
        "loglevel": "notice",
    }
    options |= settings(appendfsync)
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _open_log(log: Path) -> int:
    if log.exists() and log.stat().st_size > _LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def last_line(log: Path) -> str:
    """The last line that was written to the log; empty if there is none."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1].strip() if lines else ""
