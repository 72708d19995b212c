"""Owns the embedded store: takes the folder, starts the program, restarts it when it dies."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from penstock_server.embedded import wire
from penstock_server.embedded.binary import find_binary
from penstock_server.embedded.errors import EmbeddedStoreError, EmbeddedStoreInUse
from penstock_server.embedded.folder import DataFolder, try_lock
from penstock_server.embedded.process import StoreProcess, last_line, start_process
from penstock_server.telemetry import events
from penstock_server.telemetry.logging import get_logger

_log = get_logger(__name__)

_FIRST_BACKOFF: Final = timedelta(milliseconds=100)
_LONGEST_BACKOFF: Final = timedelta(seconds=10)
# A store that ran this long was well; the next restart begins with the first backoff again.
_WELL_AFTER: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedOptions:
    """How the embedded store is run."""

    folder: Path
    """The data folder. Made if it does not exist."""
    appendfsync: Literal["everysec", "always"] = "everysec"
    """When writes reach the disk: once a second, or before each answer."""
    binary: Path | None = None
    """The program to run. Default: found by `find_binary`."""
    silence: timedelta = timedelta(seconds=20)
    """How long the program may say nothing at all while it starts."""
    patience: timedelta = timedelta(seconds=10)
    """How long it is given to end, before each stronger means."""


class EmbeddedStore:
    """The store of one data folder, for as long as the `async with` block runs.

    Entering raises EmbeddedStoreInUse, StoreBinaryMissing, EmbeddedStoreFailed, UnsafeFolder.
    """

    def __init__(
        self, options: EmbeddedOptions, *, on_restart: Callable[[], None] = lambda: None
    ) -> None:
        self.folder = DataFolder(options.folder)
        self._options = options
        self._on_restart = on_restart
        self._lock: int | None = None
        self._process: StoreProcess | None = None
        self._watch: asyncio.Task[None] | None = None
        self.restarts = 0
        """How often the program was restarted because it died."""

    @property
    def url(self) -> str:
        """What a Redis client connects to. The same after a restart."""
        return self.folder.url

    @property
    def pid(self) -> int:
        """Process id of the program that runs now."""
        if self._process is None:
            raise RuntimeError("the store is not running")
        return self._process.pid

    async def __aenter__(self) -> Self:
        binary = self._options.binary or find_binary()
        self.folder.prepare()
        self._lock = self.folder.lock()
        try:
            await end_orphan(self.folder, patience=self._options.patience)
            self._process = await self._start(binary)
        except BaseException:
            self._unlock()
            raise
        self._watch = asyncio.create_task(self._keep_running(binary), name="embedded store")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._end_watch()
            if self._process is not None:
                status = await self._process.stop(patience=self._options.patience)
                _log.info(events.STORE_STOPPED, pid=self._process.pid, status=status)
        finally:
            self._process = None
            self._unlock()

    async def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _start(self, binary: Path) -> StoreProcess:
        process = await start_process(self.folder, binary, appendfsync=self._options.appendfsync)
        try:
            await process.wait_until_serving(silence=self._options.silence)
            facts = await wire.info(self.folder.socket, "server")
        except BaseException:
            await process.stop(patience=self._options.patience)
            raise
        version = facts.get("valkey_version") or facts.get("redis_version", "unknown")
        _log.info(
            events.STORE_STARTED, pid=process.pid, folder=str(self.folder.path), version=version
        )
        return process

    async def _keep_running(self, binary: Path) -> None:
        loop = asyncio.get_running_loop()
        backoff, started = _FIRST_BACKOFF, loop.time()
        while True:
            await self._report_death()
            if loop.time() - started > _WELL_AFTER.total_seconds():
                backoff = _FIRST_BACKOFF
            await asyncio.sleep(backoff.total_seconds())
            backoff, started = min(backoff * 2, _LONGEST_BACKOFF), loop.time()
            await self._restart(binary)

    async def _report_death(self) -> None:
        if self._process is None:
            return  # the latest restart failed, and has been reported
        status = await self._process.wait()
        _log.error(
            events.STORE_DIED,
            pid=self._process.pid,
            status=status,
            last_line=last_line(self.folder.log),
        )
        self._process = None

    async def _restart(self, binary: Path) -> None:
        self.restarts += 1
        self._on_restart()
        try:
            await end_orphan(self.folder, patience=self._options.patience)
            self._process = await self._start(binary)
        except (EmbeddedStoreError, OSError) as error:
            _log.error(events.STORE_DIED, status="cannot be restarted", error=str(error))


async def end_orphan(folder: DataFolder, *, patience: timedelta) -> None:
    """Ends a store process that an earlier owner left behind in the folder, if there is one.

    Only called by the owner of the folder, so no living server that keeps to the lock uses it. It
    is ended and not taken over: its settings may be those of an older version, and a new process
    reads everything back from the append-only file, which the old one completes when it shuts down.
    Raises EmbeddedStoreInUse if it has clients or does not end.
    """
    lock = folder.open_process_lock()
    try:
        if try_lock(lock):
            return
        pid = await _ask_to_end(folder)
        await _wait_for(lock, folder, pid, patience)
        _log.warning(events.STORE_ORPHAN_ENDED, pid=pid, folder=str(folder.path))
    finally:
        os.close(lock)


async def _ask_to_end(folder: DataFolder) -> str:
    """Asks the orphan to shut down and gives its process id; `unknown` if it does not talk."""
    try:
        server = await wire.info(folder.socket, "server")
        pid = server.get("process_id", "unknown")
        await _refuse_if_used(folder, pid)
        await wire.ask(folder.socket, "SHUTDOWN")
    except (wire.NotListening, TimeoutError):
        return "unknown"  # it is on its way out already, or hangs: the wait will tell
    return pid


async def _refuse_if_used(folder: DataFolder, pid: str) -> None:
    # Somebody may have deleted the lock file of a living server. Connections of a dead one are
    # closed by the kernel, but the store may need a moment to see that.
    for _ in range(10):
        clients = await wire.info(folder.socket, "clients")
        if int(clients.get("connected_clients", "1")) <= 1:
            return
        await asyncio.sleep(0.1)
    raise EmbeddedStoreInUse(
        folder.path,
        holder=f"store process {pid}, which has clients",
        remedy="stop the server that uses it, or choose another folder with --data",
    )


async def _wait_for(lock: int, folder: DataFolder, pid: str, patience: timedelta) -> None:
    loop = asyncio.get_running_loop()
    give_up = loop.time() + patience.total_seconds()
    while not try_lock(lock):
        if loop.time() > give_up:
            find = "lsof" if sys.platform != "linux" else "fuser"
            raise EmbeddedStoreInUse(
                folder.path,
                holder=f"store process {pid}, left over from an earlier server, which does not end",
                remedy=f"end it by hand (`{find} {folder.process_lock_file}` names it)",
            )
        await asyncio.sleep(0.02)
