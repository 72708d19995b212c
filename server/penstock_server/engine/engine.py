"""The engine: the rules of one server process over one store."""

import secrets
from datetime import timedelta
from typing import Final

from penstock_server.model.ids import TaskIds
from penstock_server.store.notes import Notes
from penstock_server.store.store import Store

from .background import Background
from .endings import Endings
from .logs import Logs
from .namespaces import Namespaces
from .observer import Observer
from .pressure import Pressure
from .queues import Queues
from .refills import Refills
from .reports import Reports
from .sessions import Polls
from .task_types import TaskTypes
from .tasks import Tasks
from .watch import WatchHub
from .workers import Workers

_LOOK_AGAIN: Final = timedelta(seconds=1)
_NAMESPACES_AGE: Final = timedelta(seconds=2)


class Engine:
    """Everything that a service may ask for, by noun.

    `start` and `stop` frame its life; `drain` ends what waits.
    """

    def __init__(
        self, store: Store, observer: Observer, *, leasing_memory_percent: int = 110
    ) -> None:
        self.server_id = secrets.token_hex(4)
        self.store = store
        self.background = background = Background()
        self.pressure = Pressure(store, observer, percent=leasing_memory_percent)
        self.polls = store.hand_off.takers = Polls(
            store, self.server_id, background, self.pressure.may_lease
        )
        self.endings = Endings(store, self.server_id, background)
        self.tasks = Tasks(store, self.server_id, self.endings, self.polls, observer, TaskIds())
        self.reports = Reports(store.leases, observer, self.endings, self.server_id)
        self.refills = Refills(store, self.reports, self.polls)
        self.watches = WatchHub(store, background)
        self.logs = Logs(store, self.server_id, self.endings)
        self.workers = Workers(store)
        self.queues = Queues(store, self.workers, self.pressure)
        self.namespaces = Namespaces(store)
        self.task_types = TaskTypes(store)

    async def start(self) -> None:
        """Begins to listen to the store."""
        await self.namespaces.start()
        notes = Notes(
            self.store.connection,
            self.server_id,
            on_queue=self.polls.on_queue,
            on_task=self.endings.on_task,
            on_directive=self.polls.on_directive,
            on_subscribed=self._look_again,
        )
        self.background.forever(notes.listen())
        self.background.repeat("look again", self._look_again_later, _LOOK_AGAIN)
        self.background.repeat("pressure", self.pressure.look, _LOOK_AGAIN)
        self.background.repeat("namespaces", self.namespaces.refresh, _NAMESPACES_AGE)
        self.background.repeat("sessions", self.polls.write_seen, _LOOK_AGAIN)

    def _look_again(self) -> None:
        self.polls.look_again()
        self.endings.look_again()

    async def _look_again_later(self) -> None:
        self._look_again()

    def drain(self) -> None:
        """Answers whatever waits: polls with RECONNECT, waits and streams with `ShuttingDown`."""
        self.polls.drain()
        self.logs.drain()
        self.endings.drain()
        self.watches.drain()

    async def stop(self) -> None:
        """Ends what runs in the background. The store stays open."""
        await self.background.stop()
