"""The store as the engine sees it: its verbs by noun, over one set of connections."""

import random
from collections.abc import Callable

from penstock_server.model.records import StoreLimits

from .audit import Audit
from .connection import Connection
from .hand_off import HandOff
from .lanes import Lanes
from .leases import LeaseStore, PollOffer
from .meta import Meta, open_meta
from .namespaces import NamespaceStore
from .queues import QueueStore
from .refill import Refill
from .script_library import load_scripts
from .sessions import SessionStore
from .streams import EventStream, LogStream
from .task_types import TaskTypeStore
from .tasks import TaskStore


class Store:
    """Everything that is kept. Made by `open_store`, closed by `close`."""

    def __init__(
        self,
        connection: Connection,
        meta: Meta,
        limits: StoreLimits,
        random_share: Callable[[], float],
    ) -> None:
        lanes = Lanes(connection, load_scripts(limits), meta.partitions)
        self.connection = connection
        self.meta = meta
        self.limits = limits
        self.leases = LeaseStore(lanes, random_share=random_share)
        self.hand_off = HandOff(lanes, self.leases)
        self.tasks = TaskStore(lanes, limits, self.hand_off)
        self.queues = QueueStore(lanes, limits)
        self.sessions = SessionStore(lanes)
        self.task_types = TaskTypeStore(lanes, limits)
        self.namespaces = NamespaceStore(lanes, most=limits.namespaces)
        self.events = EventStream(lanes)
        self.logs = LogStream(lanes)
        self.audit = Audit(lanes)
        self._lanes = lanes

    def refill(self, namespace: str, queue: str, offer: PollOffer) -> Refill:
        """For one report that asks for tasks of a queue, whose ends are all of its partition."""
        return Refill(self._lanes, self.leases, namespace, queue, offer)

    def home(self, namespace: str, queue: str) -> int:
        """The partition that a queue lives in."""
        return self._lanes.home(namespace, queue)

    async def now_ms(self) -> int:
        """The store's clock, milliseconds since the epoch."""
        seconds, micros = await self.connection.read("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def close(self) -> None:
        """Waits for what is under way, then closes the connections."""
        await self._lanes.drain()
        await self.connection.close()


async def open_store(
    url: str,
    *,
    partitions: int = 1,
    limits: StoreLimits | None = None,
    clock: Callable[[], str] | None = None,
    on_call: Callable[[str, float], None] = lambda _verb, _seconds: None,
    random_share: Callable[[], float] = random.random,
) -> Store:
    """Connects to a store and checks that it is ours.

    `clock` gives the milliseconds that scripts take for now, for tests; by default the store's own
    clock decides. `on_call` hears the verb and the seconds of every script call. Raises
    `StoreUnavailable` if the store does not answer, `WrongStore` if it has another layout.
    """
    connection = Connection(url, clock=clock, on_call=on_call)
    await connection.open()
    try:
        meta = await open_meta(connection, partitions)
    except BaseException:
        await connection.close()
        raise
    return Store(connection, meta, limits or StoreLimits(), random_share)
