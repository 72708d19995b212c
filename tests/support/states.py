"""Tasks in any state, made the way tasks get there."""

from __future__ import annotations

from typing import Any

from support.stores import NAMESPACE, Bench

STATES = ["scheduled", "retrying", "ready", "running", "succeeded", "failed", "cancelled"]
WAITING = STATES[:3]
ENDED = STATES[4:]


async def make(bench: Bench, state: str, **fields: Any) -> str:
    """A task in a state."""
    task_id = await bench.add(
        **({"delay_ms": 60_000} if state == "scheduled" else {}),
        **({"policy": {"max_attempts": 1}} if state == "failed" else {}),
        **fields,
    )
    if state in ("retrying", "failed"):
        await bench.fail(await bench.lease())
    elif state == "running":
        await bench.accept(await bench.lease())
    elif state == "succeeded":
        await bench.complete(await bench.lease())
    elif state == "cancelled":
        await bench.store.tasks.cancel(NAMESPACE, task_id)
    return task_id
