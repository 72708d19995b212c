"""taskiq. Kept: a stream that is acknowledged, results in the store. Fast: a list, no results."""

from __future__ import annotations

import asyncio
from typing import Any

from orders import KEEPS, PAYLOAD, STORE, obey
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

_URL = f"unix://{STORE}"
broker = (
    # `0`: a worker that comes after the tasks is to see them too.
    RedisStreamBroker(_URL, consumer_id="0").with_result_backend(RedisAsyncResultBackend(_URL))
    if KEEPS
    else ListQueueBroker(_URL)
)
_CONCURRENT = 100


@broker.task(task_name="nothing")
async def nothing(payload: dict[str, Any]) -> None:
    """Takes its payload and answers nothing."""


async def _submit_many(count: int) -> None:
    for _ in range(0, count, _CONCURRENT):
        await asyncio.gather(*(nothing.kiq(PAYLOAD) for _ in range(_CONCURRENT)))


async def _submit() -> None:
    await nothing.kiq(PAYLOAD)


async def _run() -> None:
    task = await nothing.kiq(PAYLOAD)
    await task.wait_result(check_interval=0.001, timeout=30)


def main() -> None:
    """Takes orders."""
    with asyncio.Runner() as runner:
        runner.run(broker.startup())
        obey(
            lambda count: runner.run(_submit_many(count)),
            lambda: runner.run(_submit()),
            lambda: runner.run(_run()),
        )
        runner.run(broker.shutdown())
