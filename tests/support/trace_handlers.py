"""Handlers whose executions go well, fail once, or hang until their worker is killed."""

from __future__ import annotations

import asyncio

from penstock_worker import Context, Worker

worker = Worker("traced")


@worker.task("traced.double")
async def double(number: int) -> int:
    return 2 * number


@worker.task("traced.fail_once")
async def fail_once(context: Context) -> str:
    if context.attempt == 1:
        raise LookupError("not there yet")
    return "there"


@worker.task("traced.hang_once")
async def hang_once(context: Context) -> str:
    if context.execution == 1:
        # The report that carries it proves to whoever watches that the lease was accepted.
        context.progress(0.5)
        await asyncio.sleep(3600)
    return "done"
