"""The workers that are measured: one handler each, which does nothing."""

from __future__ import annotations

from typing import Any, Final

from penstock_worker import Worker

QUEUE: Final = "bench"
TASK_TYPE: Final = "bench.nothing"

shared = Worker("bench", queues=[QUEUE])
isolated = Worker("bench", queues=[QUEUE])


@shared.task(TASK_TYPE)
async def nothing(payload: dict[str, Any]) -> None:
    """Takes its payload, decoded, and answers nothing."""


@isolated.task(TASK_TYPE, isolated=True)
def nothing_isolated(payload: dict[str, Any]) -> None:
    """The same in a process of its own."""
