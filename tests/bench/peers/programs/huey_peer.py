"""huey: at most once in both forms. Kept: with its results, told of by the store."""

from __future__ import annotations

from typing import Any

from huey import RedisHuey
from orders import KEEPS, PAYLOAD, STORE, obey

huey = RedisHuey(
    "peer", url=f"unix://{STORE}", results=KEEPS, store_none=KEEPS, notify_result=KEEPS
)


@huey.task(name="nothing")
def nothing(payload: dict[str, Any]) -> None:
    """Takes its payload and answers nothing."""


def submit_many(count: int) -> None:
    """huey has no call for many messages."""
    for _ in range(count):
        nothing(PAYLOAD)


def main() -> None:
    """Takes orders."""
    obey(
        submit_many,
        lambda: nothing(PAYLOAD),
        lambda: nothing(PAYLOAD).get(blocking=True, timeout=30),
    )
