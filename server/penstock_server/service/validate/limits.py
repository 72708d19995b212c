"""The bounds that an operator can move. Every other bound is part of the contract."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What requests are held against; the defaults are those that the contract names."""

    payload_bytes: int = 1 << 20
    """Most bytes of a task's payload content."""
    result_bytes: int = 1 << 20
    """Most bytes of a result's content."""
    batch_items: int = 1_000
    """Most items of one SubmitTasks or ReportExecutions."""
    atomic_items: int = 256
    """Most items of one all-or-none batch: what one script call of the store takes."""
    atomic_bytes: int = 1 << 20
    """Most bytes of one all-or-none batch."""
    now: Callable[[], float] = time.time
    """Seconds since 1970, to judge how far ahead a time is. Read only where a time is given."""

    def __post_init__(self) -> None:
        for name in ("payload_bytes", "result_bytes", "batch_items", "atomic_items"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, must be at least 1")
