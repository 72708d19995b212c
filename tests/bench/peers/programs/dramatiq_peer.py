"""dramatiq. Acknowledged after the actor returned in both forms; kept: with its results."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from orders import KEEPS, PAYLOAD, STORE, obey

broker = RedisBroker(url=f"unix://{STORE}")
if KEEPS:
    broker.add_middleware(Results(backend=RedisBackend(url=f"unix://{STORE}")))
dramatiq.set_broker(broker)


def _nothing(payload: dict[str, Any]) -> None:
    """Takes its payload and answers nothing."""


nothing = dramatiq.actor(
    _nothing, actor_name="nothing", **({"store_results": True} if KEEPS else {})
)


def submit_many(count: int) -> None:
    """dramatiq has no call for many messages."""
    for _ in range(count):
        nothing.send(PAYLOAD)


def main() -> None:
    """Takes orders."""
    obey(
        submit_many,
        lambda: nothing.send(PAYLOAD),
        lambda: nothing.send(PAYLOAD).get_result(block=True, timeout=30_000),
    )
