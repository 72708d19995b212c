"""Locks that spread duties over servers. They save work; correctness never rests on them."""

from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Final

from . import keys
from .connection import Connection

_SURE: Final = 0.25
"""Share of the term for which a lock that was just held is taken to be ours still. Duties turn many
times in a term, and asking takes three calls of the store.
"""


class DutyLocks:
    """Locks held by one server, each for a short term that holding again prolongs."""

    def __init__(
        self,
        connection: Connection,
        server_id: str,
        term: timedelta,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`clock` tells seconds, and goes on while the process is stopped."""
        self._connection = connection
        self._server_id = server_id
        self._term = term
        self._clock = clock
        self._sure_until: dict[str, float] = {}

    async def hold(self, name: str, partition: int) -> bool:
        """Takes the lock, or keeps it. False while another server has it.

        For a quarter of its term the store is not asked again: a server that has lost the lock in
        some other way than by time may still take it for its own for so long.
        """
        key, now = keys.key(partition, "duty", name=name), self._clock()
        if now < self._sure_until.get(key, now):
            return True
        held = await self._ask(key)
        if held:
            self._sure_until[key] = now + _SURE * self._term.total_seconds()
        return held

    async def _ask(self, key: str) -> bool:
        term_ms = round(self._term / timedelta(milliseconds=1))
        if await self._connection.write("SET", key, self._server_id, "NX", "PX", term_ms):
            return True
        if await self._connection.read("GET", key) != self._server_id.encode():
            return False
        return bool(await self._connection.write("PEXPIRE", key, term_ms))
