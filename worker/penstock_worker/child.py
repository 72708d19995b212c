"""A runner process as its supervisor sees it: spawned, spoken to, killed, waited for."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Final, cast

import psutil

from penstock_worker import frames
from penstock_worker.frames import FrameError, FrameReader, Record
from penstock_worker.leash import Leash
from penstock_worker.lines import STDERR, STDOUT
from penstock_worker.runner.config import RunnerConfig

_PIPE_BYTES: Final = 256 * 1024
# Linux lets nobody but root make a pipe larger.
_MOST_IN_PIPE: Final = 1024 * 1024

OnRecords = Callable[["Child", list[Record]], None]
OnText = Callable[["Child", int, str], None]
OnDeath = Callable[["Child"], None]


class Child(asyncio.Protocol):
    """One runner process.

    `on_records` gets what it says, `on_text` what an isolated one writes to its standard streams,
    `on_death` is called once, after the process is gone and `returncode` is set.
    """

    def __init__(
        self, config: RunnerConfig, *, on_records: OnRecords, on_text: OnText, on_death: OnDeath
    ) -> None:
        self.is_isolated = config.isolated
        self.returncode: int | None = None
        self._config = config
        self._on_records, self._on_text, self._on_death = on_records, on_text, on_death
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader()
        self._outgoing: list[Record] = []
        self._transport: asyncio.Transport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._leash: Leash | None = None
        self._pipes: dict[int, tuple[int, codecs.IncrementalDecoder]] = {}
        self._dead = asyncio.Event()
        self._waiting: asyncio.Task[None] | None = None
        self._below: list[psutil.Process] = []
        self.has_lost_stream = False
        """True once an isolated runner has closed its standard output or error."""

    @property
    def pid(self) -> int:
        """Process id, and the id of its process group; 0 before it was spawned."""
        return self._process.pid if self._process is not None else 0

    # ---- life ----

    async def start(self) -> None:
        """Spawns the process. Raises OSError if the system does not let it."""
        ours, theirs = socket.socketpair()
        streams = self._open_pipes() if self.is_isolated else []
        try:
            self._spawn(theirs, [write for _, write in streams])
        except BaseException:
            ours.close()
            for read, _ in streams:
                os.close(read)
            raise
        finally:
            theirs.close()
            for _, write in streams:
                os.close(write)
        for stream, (read, _) in zip((STDOUT, STDERR), streams, strict=False):
            self._watch_pipe(stream, read)
        ours.setblocking(False)
        await self._loop.create_connection(lambda: self, sock=ours)

    @staticmethod
    def _open_pipes() -> list[tuple[int, int]]:
        return [os.pipe(), os.pipe()]

    def _spawn(self, theirs: socket.socket, streams: list[int]) -> None:
        config = dataclasses.replace(self._config, descriptor=theirs.fileno(), parent=os.getpid())
        stdout, stderr = streams or (None, None)
        # From the loop's thread, never from a pool: on Linux the child dies with the thread that
        # started it. The module path travels so that `-m` finds what this process found.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "penstock_worker.runner", config.to_argument()],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        self._leash = Leash(self._process.pid)

    def stop(self) -> None:
        """Lets the process end by itself: closes its socket."""
        if self._transport is not None:
            self._transport.close()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Sends a signal to the process and everything in its group."""
        if self._process is not None and self.returncode is None:
            self._below += self._descendants()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _descendants(self) -> list[psutil.Process]:
        """Answers what is below the process now: what has left its group dies with it too."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            return []

    async def wait(self) -> None:
        """Waits until the process is gone."""
        await self._dead.wait()

    # ---- speech ----

    def send(self, record: Record) -> None:
        """Sends a record, together with the others of this turn of the loop."""
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(record)

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frames.pack(self._outgoing))
            self._outgoing.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop once the socket is ready."""
        self._transport = cast(asyncio.Transport, transport)
        if self._outgoing:
            self._flush()

    def data_received(self, data: bytes) -> None:
        """Called by the loop with what came."""
        try:
            records = self._reader.feed(data)
        except FrameError:
            # User code wrote into our socket; nothing that comes after can be trusted.
            self.kill()
            return
        self._on_records(self, records)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the loop when the socket is closed, which is how a death is noticed."""
        self._waiting = self._loop.create_task(self._reap())

    # ---- standard streams of isolated runners ----

    def _watch_pipe(self, stream: int, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._pipes[stream] = (descriptor, codecs.getincrementaldecoder("utf-8")("replace"))
        self._loop.add_reader(descriptor, self._read_pipe, stream)

    def _read_pipe(self, stream: int) -> None:
        if self._read_some(stream) == 0:
            self.has_lost_stream = True
            self._close_pipe(stream)

    def _read_some(self, stream: int) -> int | None:
        """Takes what a pipe holds; answers how many bytes, None for nothing yet, 0 at its end."""
        descriptor, decoder = self._pipes[stream]
        try:
            data = os.read(descriptor, _PIPE_BYTES)
        except BlockingIOError:
            return None
        self._on_text(self, stream, decoder.decode(data))
        return len(data)

    def drain_pipes(self) -> None:
        """Reads what was written before the record that is handled now.

        No more than a pipe can hold: somebody may write on and on.
        """
        for stream in list(self._pipes):
            taken = 0
            while taken < _MOST_IN_PIPE and (count := self._read_some(stream)):
                taken += count
            if count == 0:
                self.has_lost_stream = True
                self._close_pipe(stream)

    def _close_pipe(self, stream: int) -> None:
        descriptor, _ = self._pipes.pop(stream)
        self._loop.remove_reader(descriptor)
        os.close(descriptor)

    # ---- death ----

    async def _reap(self) -> None:
        """Ends what is left of the process and its group, and tells the owner."""
        process = self._process
        if process is None:
            raise RuntimeError("a runner that was never spawned has lost its socket")
        try:
            await asyncio.wait_for(asyncio.to_thread(process.wait), 2.0)
        except TimeoutError:
            # It closed its socket or does not end by itself: nobody could reach it any more.
            self.kill()
            await asyncio.to_thread(process.wait)
        self.kill()  # what it started and left behind in its group
        for descendant in self._below:
            with contextlib.suppress(psutil.Error):  # most of them have gone with the group
                descendant.kill()
        self.returncode = process.returncode
        if self._leash is not None:
            self._leash.release()
        self.drain_pipes()
        for stream in list(self._pipes):
            self._close_pipe(stream)
        self._dead.set()
        self._on_death(self)

    def death_text(self) -> str:
        """Answers how the process ended, for people."""
        code = self.returncode
        if code is None:
            return "is still there"
        if code < 0:
            return f"was killed by signal {-code} ({_signal_name(-code)})"
        return f"ended with exit status {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
