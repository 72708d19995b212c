"""Shows operators what is in the queues: the numbers behind the gauges."""

from datetime import timedelta
from typing import ClassVar, Final

from penstock_server.engine.engine import Engine
from penstock_server.engine.observer import Observer

_MOST_QUEUES: Final = 1_000
"""Queues of a namespace that are shown: each one is a handful of time series."""


class Gauger:
    """Queue → gauges. Looks at every queue of every namespace from the first partition's turn."""

    name: ClassVar[str] = "gauger"
    every: ClassVar[timedelta] = timedelta(seconds=5)

    def __init__(self, engine: Engine, observer: Observer) -> None:
        self._engine = engine
        self._observer = observer

    async def run_once(self, partition: int) -> bool:
        """Looks at all queues; there is never more left."""
        self._observer.quarantined(partition, await self._engine.store.events.set_aside(partition))
        if partition == 0:
            for record in await self._engine.namespaces.list():
                queues = self._engine.queues
                views, _ = await queues.list(record.namespace, after="", limit=_MOST_QUEUES)
                for view in views:
                    self._observer.looked(view.record, unserved=bool(view.unserved))
        return False
