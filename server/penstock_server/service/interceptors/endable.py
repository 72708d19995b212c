"""Streams of the standard companions, which nothing but their reader would ever end.

A balancer that watches health would hold every drain for its whole grace; so they are ended like
the waiting calls of the contract, in a typed way.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from penstock_server.model.errors import ShuttingDown


class EndableStreams:
    """The companions' streams that are open now."""

    def __init__(self) -> None:
        self._scopes: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Frames one stream. Raises ShuttingDown when `end` is called."""
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scopes.add(scope)
                yield
        except TimeoutError:
            if scope.expired():
                raise ShuttingDown from None
            raise
        finally:
            self._scopes.discard(scope)

    def end(self) -> None:
        """Ends every stream that is open."""
        now = asyncio.get_running_loop().time()
        for scope in tuple(self._scopes):
            scope.reschedule(now)
