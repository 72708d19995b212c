"""When a call may be repeated, and how long to wait before.

Only what says "not now" is repeated: UNAVAILABLE, a call that the server's end cancelled, and
RESOURCE_EXHAUSTED when the server names a delay (without one it is a size limit, which no repeat
can help). A repeat never starts a mutation anew: the caller sends the same `request_id`, or the
method is idempotent by its contract.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from penstock.errors import PenstockError, ServerUnavailable
from penstock.options import BackoffOptions

RESOURCE_EXHAUSTED: Final = 8
UNAVAILABLE: Final = 14
_LARGEST_EXPONENT: Final = 32  # far beyond any `longest`, and short of a float's end


def may_help(error: PenstockError) -> bool:
    """Whether the same call may succeed later."""
    if error.code == UNAVAILABLE or isinstance(error, ServerUnavailable):
        return True
    return error.code == RESOURCE_EXHAUSTED and error.retry_delay is not None


class Backoff:
    """Waits between repeats: exponential with full jitter, on top of what the server asks for."""

    def __init__(
        self, options: BackoffOptions, random_share: Callable[[], float] = random.random
    ) -> None:
        self._options = options
        self._random_share = random_share

    def seconds(self, repeat: int, asked: timedelta | None = None) -> float:
        """The wait before repeat number `repeat` (from 0), at least `asked`."""
        growth = self._options.multiplier ** min(repeat, _LARGEST_EXPONENT)
        ceiling = min(
            self._options.initial.total_seconds() * growth, self._options.longest.total_seconds()
        )
        # The server's delay comes first and the jitter after it, so that no client is early and
        # those that were refused together do not come back together.
        return (asked.total_seconds() if asked else 0.0) + self._random_share() * ceiling
