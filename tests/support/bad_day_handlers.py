"""Handlers for tests of bad days."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from penstock_worker import Context, Worker

worker = Worker("bad-days")


@worker.task("kill.worker")
async def kill_worker() -> None:
    """Kills the process that it runs in: in inline mode, the whole worker."""
    os.kill(os.getpid(), signal.SIGKILL)


@worker.task("answer")
async def answer(size: int) -> str:
    return "x" * size


@worker.task("once.for.ever")
async def once_for_ever(context: Context) -> str:
    """Hangs in its first execution."""
    if context.execution == 1:
        await asyncio.sleep(3600)
    return "the second time"


@worker.task("during.the.outage")
async def during_the_outage(path: str) -> str:
    """Says that it runs, and succeeds a little later, when nobody can be told."""
    await asyncio.to_thread(Path(path).touch)
    await asyncio.sleep(2)
    return "done"
