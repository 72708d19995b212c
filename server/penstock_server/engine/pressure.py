"""Back-pressure by the memory of the store.

A store that is full refuses new tasks by itself. What runs may still report, into memory beyond the
bound, and so would every task that is handed out: leasing stops before that takes the machine's
memory, and goes on by itself.
"""

from typing import Final

from penstock_server.store.store import Store

from .observer import Observer

_EASE: Final = 5
"""Percent below the bound at which leasing goes on."""


class Pressure:
    """Whether the store is so full that nothing may be leased, as of the latest look."""

    def __init__(self, store: Store, observer: Observer, *, percent: int) -> None:
        """`percent` of the store's `maxmemory` in use is where leasing stops. A store without a
        `maxmemory` never stops it.
        """
        self._store = store
        self._observer = observer
        self._percent = percent
        self.reason = ""
        """Why nothing is leased; empty while it is."""

    def may_lease(self) -> bool:
        """Whether tasks may be leased."""
        return not self.reason

    async def look(self) -> None:
        """Reads how full the fullest node of the store is."""
        used, most = await self._store.connection.memory()
        share = 100 * used / most if most else 0.0
        could_lease = self.may_lease()
        if share >= self._percent - (0 if could_lease else _EASE):
            self.reason = (
                f"the store uses {used:,} bytes, {share:.0f} % of its maxmemory; leasing stops at"
                f" {self._percent} %"
            )
        else:
            self.reason = ""
        if self.may_lease() != could_lease:
            self._observer.leasing_stopped(self.reason)
