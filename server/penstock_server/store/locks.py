"""Locks that spread duties over servers. They save work; correctness never rests on them."""

from datetime import timedelta

from . import keys
from .connection import Connection


class DutyLocks:
    """Locks held by one server, each for a short term that holding again prolongs."""

    def __init__(self, connection: Connection, server_id: str, term: timedelta) -> None:
        self._connection = connection
        self._server_id = server_id
        self._term_ms = round(term / timedelta(milliseconds=1))

    async def hold(self, name: str, partition: int) -> bool:
        """Takes the lock, or keeps it. False while another server has it."""
        key = keys.key(partition, "duty", name=name)
        if await self._connection.write("SET", key, self._server_id, "NX", "PX", self._term_ms):
            return True
        if await self._connection.read("GET", key) != self._server_id.encode():
            return False
        return bool(await self._connection.write("PEXPIRE", key, self._term_ms))
