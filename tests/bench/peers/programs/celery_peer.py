"""Celery. Kept: acknowledged late, results in the store. Fast: neither, and a long prefetch.

The fast form follows Celery's own page on optimising: results ignored, transient messages, a high
prefetch multiplier.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from orders import KEEPS, PAYLOAD, STORE, obey

app = Celery(
    "peer",
    broker=f"redis+socket://{STORE}",
    backend=f"redis+socket://{STORE}" if KEEPS else None,
)
app.conf.update(
    task_acks_late=KEEPS,
    task_ignore_result=not KEEPS,
    worker_prefetch_multiplier=64,
    broker_pool_limit=10,
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task(name="nothing")
def nothing(payload: dict[str, Any]) -> None:
    """Takes its payload and answers nothing."""


def submit_many(count: int) -> None:
    """One channel for all: Celery has no call for many messages on this transport."""
    with app.producer_or_acquire() as producer:
        for _ in range(count):
            nothing.apply_async((PAYLOAD,), producer=producer)


def main() -> None:
    """Takes orders."""
    obey(
        submit_many,
        lambda: nothing.delay(PAYLOAD),
        lambda: nothing.delay(PAYLOAD).get(timeout=30),
    )
