"""Starts the parts of `penstock up` in order, keeps them running, ends them in reverse.

    store    first up, last down: nothing is lost that a server acknowledged
    server   drains after the workers, so that they can still report how their last tasks ended
    workers  last up, first down: what they run ends or is given back

The store belongs to this process and not to the server, so that a server that dies comes back to a
store that runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.cli.exits import CommandFailed, Exit
from penstock.cli.screen import Screen
from penstock.cli.supervise.board import Board
from penstock.cli.supervise.part import Part, PartFailed, Plan, open_log, trim_log
from penstock.cli.supervise.stage import UpOptions, check_free
from penstock.cli.supervise.worker_key import worker_key

if TYPE_CHECKING:
    from penstock_server.embedded import EmbeddedStore

_LOOK_EVERY: Final = timedelta(milliseconds=200)
_TRIM_EVERY: Final = timedelta(seconds=30)


class Up:
    """One run of `penstock up`."""

    def __init__(self, options: UpOptions, screen: Screen) -> None:
        self.options = options
        self.screen = screen
        self.board = Board(screen)
        self.address = str(options.config.listen)
        self.metrics = str(options.config.metrics or "off")
        self._stop = asyncio.Event()
        self._force = asyncio.Event()
        self._parts: list[Part] = []

    async def run(self) -> Exit:
        """Runs until Ctrl-C, or until the example has ended. Raises CommandFailed."""
        config = self.options.config
        embedded = config.store.url.is_embedded
        check_free(config, embedded=embedded)
        self._listen_to_signals()
        async with AsyncExitStack() as stack:
            self._log_to_file(stack)
            runtime = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-up-")))
            store = await self._start_store(stack) if embedded else None
            url = store.url if store else config.store.url.secret_text
            try:
                await self._start_server(url, runtime)
                key = await stack.enter_async_context(worker_key(config))
                await self._start_workers(runtime, key)
                return await self._serve(store)
            except PartFailed as error:
                name = self._parts[-1].plan.name
                log = self._parts[-1].plan.log
                raise CommandFailed(
                    f"the {name} did not start: {error}", remedy=f"read {log}"
                ) from None
            finally:
                await self._end_parts()

    def stop(self) -> None:
        """Ends the run in order; the second call ends it at once."""
        if self._stop.is_set():
            self._force.set()
        self._stop.set()

    def _log_to_file(self, stack: AsyncExitStack) -> None:
        """What the embedded store's keeper logs stands beside the logs of the other parts."""
        from penstock_server.telemetry.logging import LogOptions, configure_logging

        file = stack.enter_context(os.fdopen(open_log(self._log("up")), "a", buffering=1))
        configure_logging(LogOptions(stream=file, format="console"))

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)

    # ---- start -------------------------------------------------------------------------------

    async def _start_store(self, stack: AsyncExitStack) -> EmbeddedStore:
        from penstock_server.embedded import EmbeddedOptions, EmbeddedStore, EmbeddedStoreError

        config, loop = self.options.config, asyncio.get_running_loop()
        began = loop.time()
        options = EmbeddedOptions(folder=config.data, appendfsync=config.store.appendfsync)
        try:
            store = await stack.enter_async_context(EmbeddedStore(options))
        except EmbeddedStoreError as error:
            raise CommandFailed(str(error), reason=type(error).__name__) from None
        except OSError as error:
            what = f"the store cannot be started in {config.data}: {error.strerror}"
            raise CommandFailed(what, remedy="choose another folder with --data") from None
        stack.callback(self.board.stopping, "store")
        took = timedelta(seconds=loop.time() - began)
        self.board.ready(
            "store",
            f"append-only file in {config.data}, fsync {config.store.appendfsync}",
            store.pid,
            took,
        )
        return store

    async def _start_server(self, url: str, runtime: Path) -> None:
        ready_file = runtime / "server.json"
        part = Part(self._server_plan(url, ready_file), self.board)
        self._parts.append(part)
        await part.start()
        served = json.loads(ready_file.read_text())
        self.address, self.metrics = served["address"], served.get("metrics") or "off"
        # A port that the system chose is kept: workers must find the server again after a restart.
        part.plan = self._server_plan(url, ready_file)

    def _server_plan(self, url: str, ready_file: Path) -> Plan:
        arguments = (
            "--listen",
            self.address,
            "--metrics",
            self.metrics,
            "--ready-file",
            str(ready_file),
        )
        return Plan(
            name="server",
            module="penstock_server",
            # The store's URL may hold a password, which a command line would show to everybody.
            environment={"PENSTOCK_STORE__URL": url},
            arguments=(*arguments, *self.options.server_flags),
            log=self._log("server"),
            ready=_served(ready_file, lambda found: f"{found['address']}, metrics {_page(found)}"),
            # It holds no state, and its port must be free for the next run.
            orphan_signal=signal.SIGKILL,
            patience=self.options.config.drain.grace + timedelta(seconds=10),
        )

    async def _start_workers(self, runtime: Path, key: str) -> None:
        environment = {
            "PENSTOCK_ADDRESS": self.address,
            **({"PENSTOCK_API_KEY": key} if key else {}),
        }
        for number, target in enumerate(self.options.workers):
            name = "worker" if number == 0 else f"worker-{number + 1}"
            ready_file = runtime / f"{name}.json"
            plan = Plan(
                name=name,
                module="penstock.cli",
                arguments=("worker", target, "--ready-file", str(ready_file)),
                environment=environment,
                log=self._log(name),
                ready=_served(ready_file, lambda found: str(found["about"])),
            )
            part = Part(plan, self.board)
            self._parts.append(part)
            await part.start()

    def _log(self, name: str) -> Path:
        return self.options.config.data / "logs" / f"{name}.log"

    # ---- run ---------------------------------------------------------------------------------

    async def _serve(self, store: EmbeddedStore | None) -> Exit:
        async with asyncio.TaskGroup() as group:
            watches = [group.create_task(part.keep_running()) for part in self._parts]
            watches.append(group.create_task(self._trim_logs()))
            if store is not None:
                watches.append(group.create_task(self._watch_store(store)))
            try:
                return await self._main_act()
            finally:
                for watch in watches:
                    watch.cancel()

    async def _main_act(self) -> Exit:
        """The example if there is one, then, unless that was all, waiting for Ctrl-C."""
        from penstock.cli.supervise.hints import print_hints

        if self.options.example is not None:
            status = await self._run_example(self.options.example)
            if self.options.once or self._stop.is_set():
                return status
        print_hints(self.screen, self.address, self.metrics, self.options.config)
        await self._stop.wait()
        return Exit.OK

    async def _run_example(self, folder: Path) -> Exit:
        """Runs the example in the foreground.

        Ctrl-C reaches it by the terminal, as it reaches us.
        """
        self.board.note("")
        child = ["penstock.cli.supervise.program", str(os.getpid()), str(folder)]
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", *child],
            env={**os.environ, "PENSTOCK_ADDRESS": self.address},
        )
        ended = asyncio.ensure_future(process.wait())
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait([ended], timeout=10.0)
        stopped.cancel()
        if not ended.done():
            process.kill()
        status = await ended
        if self._stop.is_set():
            return Exit.INTERRUPTED
        return Exit.OK if status == 0 else Exit.FAILED

    async def _trim_logs(self) -> None:
        """Keeps the logs within bounds for as long as the parts run."""
        while True:
            await asyncio.sleep(_TRIM_EVERY.total_seconds())
            for part in self._parts:
                await asyncio.to_thread(trim_log, part.plan.log)

    async def _watch_store(self, store: EmbeddedStore) -> None:
        """Says when the store died and when it is back; it is started again where it lives."""
        seen, down = store.restarts, False
        while True:
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
            pid = _pid_of(store)
            if pid is None and not down:
                self.board.died("store", "ended", "", timedelta(milliseconds=100))
                down = True
            elif pid is not None and (down or store.restarts != seen):
                self.board.ready("store", "running again", pid, _LOOK_EVERY)
                seen, down = store.restarts, False

    # ---- end ---------------------------------------------------------------------------------

    async def _end_parts(self) -> None:
        for part in reversed(self._parts):
            if part.pid is not None:
                self.board.stopping(part.plan.name)
            await part.stop(force=self._force)


def _served(
    ready_file: Path, about: Callable[[dict[str, object]], str]
) -> Callable[[int], Awaitable[str | None]]:
    """A check that reads a part's ready file; one that another process wrote does not count."""

    async def check(pid: int) -> str | None:
        found = _read(ready_file)
        return about(found) if found.get("pid") == pid else None

    return check


def _read(ready_file: Path) -> dict[str, object]:
    """A ready file's content; empty until it is there."""
    try:
        found: dict[str, object] = json.loads(ready_file.read_text())
    except FileNotFoundError:
        return {}
    return found


def _page(found: dict[str, object]) -> str:
    metrics = found.get("metrics")
    return f"http://{metrics}/metrics" if metrics and metrics != "off" else "off"


def _pid_of(store: EmbeddedStore) -> int | None:
    try:
        return store.pid
    except RuntimeError:
        return None
