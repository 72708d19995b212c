"""Starts a worker anew when a source file changes: for development.

The supervisor never loads user code, so it suffices to drain and to start with fresh runners.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Final, Protocol

import structlog

from penstock_worker import events
from penstock_worker.errors import WorkerStartError

INTERVAL: Final = 0.5
_SKIPPED: Final = frozenset({".git", ".venv", "__pycache__", "node_modules", "site-packages"})

log = structlog.stdlib.get_logger("penstock_worker")


class Run(Protocol):
    """One run of a worker."""

    async def run(self) -> None:
        """Runs until it is drained."""

    def drain(self, reason: str) -> None:
        """Asks it to end."""


class Make(Protocol):
    """Makes the next run of a worker."""

    def __call__(self) -> Run:
        """Answers a new one."""


def snapshot(folder: str) -> dict[str, float]:
    """Answers when each Python file below the folder was last written."""
    return {path: written for path in _sources(folder) if (written := _written(path)) is not None}


def _sources(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        yield from (os.path.join(place, name) for name in files if name.endswith(".py"))


def _written(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:  # deleted between the walk and now
        return None


async def changed(folder: str, before: dict[str, float]) -> None:
    """Waits until a Python file below the folder is new, gone, or written again."""
    while True:
        await asyncio.sleep(INTERVAL)
        if await asyncio.to_thread(snapshot, folder) != before:
            return


async def run_reloading(make: Make, folder: str) -> None:
    """Runs a worker, and a new one after each change, until one ends by itself."""
    while True:
        before = snapshot(folder)
        worker = make()
        running = asyncio.ensure_future(worker.run())
        changing = asyncio.ensure_future(changed(folder, before))
        await asyncio.wait((running, changing), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            try:
                running.result()
            except WorkerStartError as error:
                log.error(events.RUNNER_BROKEN, reason=str(error), waits_for="a change")
                await changing
                continue
            changing.cancel()
            return
        worker.drain("a source file has changed")
        await running
