"""Several server processes that share one port: the parent owns the port and the embedded store.

The kernel spreads connections over the processes (SO_REUSEPORT). A process that dies is started
again, with a growing delay and a log line; a signal to the parent drains all of them. The parent
serves nothing itself, and a process never outlives it.
"""

import asyncio
import ctypes
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from penstock_server.config import Address, Config
from penstock_server.embedded import EmbeddedOptions, EmbeddedStore
from penstock_server.telemetry import events
from penstock_server.telemetry.logging import get_logger

_log = get_logger(__name__)

_FIRST_BACKOFF: Final = 0.5
_LONGEST_BACKOFF: Final = 30.0
_WELL_AFTER: Final = 30.0


class ProcessesFailed(Exception):
    """The processes cannot be started; the text is one line and says what to do."""


def run(config: Config, arguments: Sequence[str], *, ready_file: Path | None) -> None:
    """Runs `config.processes` servers until a signal ends them. `arguments` are the parent's own.

    Raises ProcessesFailed and the errors of `penstock_server.embedded`.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ProcessesFailed("this system has no SO_REUSEPORT: run with --processes 1")
    uvloop.run(_Parent(config, arguments, ready_file).run())


def end_with(parent: int) -> None:
    """Makes this process drain when its parent dies, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


@dataclass(slots=True)
class _Child:
    number: int
    ready_file: Path
    process: asyncio.subprocess.Process | None = None


class _Parent:
    def __init__(self, config: Config, arguments: Sequence[str], ready_file: Path | None) -> None:
        self._config = config
        self._arguments = list(arguments)
        self._ready_file = ready_file
        self._stopping = asyncio.Event()
        self._children: list[_Child] = []
        self._store: list[str] = []
        self._address = config.listen

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signal)
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-")))
            self._reserve_port(stack.enter_context(ExitStack()))
            await self._start_store(stack)
            self._children = [
                _Child(n, folder / f"{n}.json") for n in range(self._config.processes)
            ]
            async with asyncio.TaskGroup() as group:
                for child in self._children:
                    group.create_task(self._keep(child))
                group.create_task(self._announce())

    def _signal(self) -> None:
        self._stopping.set()
        for child in self._children:
            if child.process is not None and child.process.returncode is None:
                with suppress(ProcessLookupError):
                    child.process.send_signal(signal.SIGTERM)

    def _reserve_port(self, stack: ExitStack) -> None:
        # Bound and never listened on: it gets no connections, and keeps others off the port.
        host, port = self._config.listen.host, self._config.listen.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        reserved = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        try:
            self._refuse_if_taken(family)
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reserved.bind((host, port))
        except OSError as error:
            raise ProcessesFailed(
                f"address {self._config.listen} cannot be used ({error.strerror}): stop what "
                "listens there, or choose another with --listen"
            ) from error
        self._address = Address(host, reserved.getsockname()[1])

    def _refuse_if_taken(self, family: socket.AddressFamily) -> None:
        # With SO_REUSEPORT a second parent would share the port without a word.
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((self._config.listen.host, self._config.listen.port))

    async def _start_store(self, stack: AsyncExitStack) -> None:
        if not self._config.store.url.is_embedded:
            return
        options = EmbeddedOptions(
            folder=self._config.data, appendfsync=self._config.store.appendfsync
        )
        store = await stack.enter_async_context(EmbeddedStore(options))
        self._store = ["--store", store.url]

    async def _keep(self, child: _Child) -> None:
        loop = asyncio.get_running_loop()
        backoff = _FIRST_BACKOFF
        while not self._stopping.is_set():
            started = loop.time()
            child.process = await self._start(child)
            status = await child.process.wait()
            if self._stopping.is_set():
                return
            _log.error(events.PROCESS_DIED, number=child.number, status=status)
            if loop.time() - started > _WELL_AFTER:
                backoff = _FIRST_BACKOFF
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff)
            backoff = min(backoff * 2, _LONGEST_BACKOFF)

    async def _start(self, child: _Child) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "penstock_server",
            *self._arguments,
            *self._flags_of(child),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches it once, through the parent
        )
        _log.info(events.PROCESS_STARTED, number=child.number, pid=process.pid)
        return process

    def _flags_of(self, child: _Child) -> list[str]:
        metrics = self._config.metrics
        # Where the first port is chosen by the system, so are the others.
        port = 0 if metrics is None or not metrics.port else metrics.port + child.number
        page = "off" if metrics is None else str(Address(metrics.host, port))
        return [
            *("--processes", "1", "--share-port", "--parent", str(os.getpid())),
            *("--listen", str(self._address), "--metrics", page),
            *("--ready-file", str(child.ready_file)),
            *self._store,
        ]

    async def _announce(self) -> None:
        """Once every process serves, says so in the parent's own ready file."""
        while not all(child.ready_file.exists() for child in self._children):
            if self._stopping.is_set():
                return
            await asyncio.sleep(0.05)
        first = json.loads(self._children[0].ready_file.read_text(encoding="utf-8"))
        _log.info(events.SERVER_READY, address=first["address"], processes=len(self._children))
        if self._ready_file is not None:
            draft = self._ready_file.with_name(f"{self._ready_file.name}.{os.getpid()}")
            draft.write_text(json.dumps({**first, "pid": os.getpid()}), encoding="utf-8")
            draft.replace(self._ready_file)
