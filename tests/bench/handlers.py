"""The workers that are measured: one handler each, which does nothing."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from penstock_worker import Context, Worker

QUEUE: Final = "bench"
TASK_TYPE: Final = "bench.nothing"

SPREAD: Final = tuple(f"bench-{number}" for number in range(16))
"""Queues of a measurement that is to reach every partition: each queue lives in one."""
LOG_TYPE: Final = "bench.lines"
LINES: Final = 2_000
"""Lines of each execution of it, 100 bytes each."""

shared = Worker("bench", queues=[QUEUE])
isolated = Worker("bench", queues=[QUEUE])
spread = Worker("bench", queues=SPREAD)


@shared.task(TASK_TYPE)
async def nothing(payload: dict[str, Any]) -> None:
    """Takes its payload, decoded, and answers nothing."""


@spread.task(TASK_TYPE)
async def nothing_spread(payload: dict[str, Any]) -> None:
    """The same from many queues."""


@shared.task(LOG_TYPE)
async def lines(payload: dict[str, Any], context: Context) -> None:
    """Writes its lines, and lets others on now and then."""
    for number in range(LINES):
        context.log(f"{number:06}" + "x" * 94)
        if number % 100 == 0:
            await asyncio.sleep(0)


@isolated.task(TASK_TYPE, isolated=True)
def nothing_isolated(payload: dict[str, Any]) -> None:
    """The same in a process of its own."""
