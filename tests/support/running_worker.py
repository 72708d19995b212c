"""Runs a worker within a test: its supervisor on the test's loop, its runners as processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psutil

from penstock.options import ClientOptions
from penstock_worker.options import WorkerOptions
from penstock_worker.run import WorkerProcess

HANDLERS = "support.worker_handlers:worker"


@asynccontextmanager
async def running_worker(
    address: str, target: str = HANDLERS, **options: Any
) -> AsyncIterator[WorkerProcess]:
    """Runs a worker against the server at `address`; drains it at the end, without grace."""
    started = asyncio.Event()
    defaults: dict[str, Any] = {"drain_grace": timedelta(0), "isolated_slots": 2}
    settings = WorkerOptions(client=ClientOptions(address=address), **(defaults | options))
    process = WorkerProcess(target, settings, on_started=lambda _: started.set())
    running = asyncio.ensure_future(process.run())
    waiting = asyncio.ensure_future(started.wait())
    try:
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield process
    finally:
        waiting.cancel()
        if not running.done():
            process.drain("the test is over")
        await running


async def eventually(condition: Callable[[], object]) -> None:
    """Waits until something outside of the test's loop holds; the test's own timeout bounds it."""
    while not condition():  # noqa: ASYNC110 - processes and files send no events
        await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Answers whether a process runs; one that only waits to be collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
