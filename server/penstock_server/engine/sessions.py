"""The polls of worker sessions: one at a time for each, answered with leases, with directives,
or empty.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence, Set
from datetime import timedelta
from time import monotonic
from typing import Any, Final

import structlog

from penstock_server.model.errors import PenstockError
from penstock_server.model.lease_token import LeaseToken
from penstock_server.model.lifecycle import ReleaseReason
from penstock_server.model.records import Directive, LeaseRecord, SessionRecord
from penstock_server.store.leases import PollOffer
from penstock_server.store.store import Store

from .background import Background
from .dispatch import MOST_LEASES, Delivery, Dispatcher, Poll, Turn

log = structlog.get_logger(__name__)

_SEEN_AGE: Final = 5.0
"""Seconds after which a session whose poll waits here is stored as seen again."""
_FORGET_AFTER: Final = 600.0
"""Seconds after which a session that was not heard of is forgotten here."""


class Polls:
    """All polls that wait in this process."""

    def __init__(
        self,
        store: Store,
        server_id: str,
        background: Background,
        may_lease: Callable[[], bool] = lambda: True,
    ) -> None:
        """`may_lease` says whether the store has room for what leased tasks bring."""
        self._may_lease = may_lease
        self._store = store
        self._server_id = server_id
        self._background = background
        self._dispatchers: dict[tuple[str, str], Dispatcher] = {}
        self._current: dict[tuple[str, str], Poll] = {}
        self._seen: dict[tuple[str, str], SessionRecord] = {}
        self._known: dict[tuple[str, str], float] = {}
        self._draining = False

    def waits_for(self, namespace: str, queue: str, task_types: Iterable[str]) -> bool:
        """Whether polls wait here for all these types of the queue, so that a submit here needs to
        wake nobody else.
        """
        dispatcher = self._dispatchers.get((namespace, queue))
        return dispatcher is not None and all(map(dispatcher.serves, task_types))

    async def lease(
        self, poll: Poll, wait: timedelta, *, acknowledged: Sequence[str] = ()
    ) -> Delivery:
        """Answers a poll: at once if there is something for it, else within `wait`."""
        if acknowledged:
            await self._store.sessions.acknowledge(
                poll.namespace, poll.session_id, acknowledged, self._partitions(poll)
            )
        if self._draining:
            return Delivery(reconnect=True)
        if not self._supersede(poll):
            return Delivery(superseded=True)
        try:
            delivery = await self._wait(poll, wait)
            # It looked for tasks when the drain began, and found none.
            delivery.reconnect |= self._draining and not delivery.leases
            return delivery
        except asyncio.CancelledError:
            self.give_back(poll.namespace, _not_taken(poll.answer))
            raise
        finally:
            self._forget(poll)

    @property
    def may_lease(self) -> bool:
        """Whether tasks may be handed out here now."""
        return not self._draining and self._may_lease()

    async def lease_now(self, namespace: str, queues: Sequence[str], offer: PollOffer) -> Delivery:
        """Leases without waiting, for a session that reports: from the first queue that has
        something.
        """
        if self._draining:
            return Delivery(reconnect=True)
        if not self._may_lease():
            return Delivery()
        limited = offer._replace(slots=min(offer.slots, MOST_LEASES))
        return await self.deliver(namespace, self._lease_first(namespace, queues, limited))

    async def deliver(self, namespace: str, leasing: Coroutine[Any, Any, Delivery]) -> Delivery:
        """Leases to the end, also for a call that goes away meanwhile: what was leased for it is
        given back at once.
        """
        answer: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        self._background.spawn(self._lease_for(answer, namespace, leasing))
        try:
            return await answer
        except asyncio.CancelledError:
            self.give_back(namespace, _not_taken(answer))
            raise

    async def _lease_for(
        self,
        answer: asyncio.Future[Delivery],
        namespace: str,
        leasing: Coroutine[Any, Any, Delivery],
    ) -> None:
        try:
            delivery = await leasing
        except Exception as error:
            if not answer.done():
                answer.set_exception(error)
            return
        if not answer.done():
            answer.set_result(delivery)
        elif delivery.leases:
            self.give_back(namespace, delivery.leases)

    async def _lease_first(
        self, namespace: str, queues: Sequence[str], offer: PollOffer
    ) -> Delivery:
        found = Delivery()
        told: dict[str, Directive] = {}
        for queue in queues:
            # No server id: nobody will wait here, so nobody need be woken here.
            found.now_ms, (answer,) = await self._store.leases.lease(namespace, queue, "", [offer])
            told |= {directive.directive_id: directive for directive in answer.directives}
            if answer.leases:
                found.leases, found.queue = answer.leases, queue
                break
        found.directives = list(told.values())
        return found

    def give_back(self, namespace: str, leases: Sequence[LeaseRecord]) -> None:
        """Releases leases that nobody received."""
        if not leases:
            return
        self._background.spawn(self._release(namespace, leases))

    async def _release(self, namespace: str, leases: Sequence[LeaseRecord]) -> None:
        rows = [
            (
                namespace,
                LeaseToken(lease.task_id, lease.kind.fence, lease.random),
                ReleaseReason.LOST_REPLY,
                b"",
            )
            for lease in leases
        ]
        try:
            await self._store.leases.release(rows)
        except PenstockError as error:
            # Nothing is lost: unaccepted leases run out by themselves within their short first
            # term.
            log.warning("leases.not_given_back", count=len(leases), reason=error.reason)

    def _supersede(self, poll: Poll) -> bool:
        name = (poll.namespace, poll.session_id)
        older = self._current.get(name)
        if older is not None:
            if older.poll_seq > poll.poll_seq:
                return False
            older.heir = poll
            if not older.busy:
                older.resolve(Delivery(superseded=True))
        self._current[name] = poll
        return True

    async def _wait(self, poll: Poll, wait: timedelta) -> Delivery:
        for queue in poll.queues if poll.slots else ():
            dispatcher = self._dispatcher(poll.namespace, queue)
            dispatcher.polls[poll] = None
            dispatcher.kick()
        if not poll.slots:
            await self._look_for_directives(poll)
        elif self._store.meta.partitions > 1:
            # A lease call sees only what its own partition is to tell.
            self._background.spawn(self._look_for_directives(poll))
        timer = asyncio.get_running_loop().call_later(wait.total_seconds(), self._expire, poll)
        try:
            return await poll.answer
        finally:
            timer.cancel()

    def _expire(self, poll: Poll) -> None:
        if poll.busy:
            poll.expired = True
        else:
            poll.resolve(Delivery())

    def _forget(self, poll: Poll) -> None:
        for queue in poll.queues:
            dispatcher = self._dispatchers.get((poll.namespace, queue))
            if dispatcher is not None:
                dispatcher.polls.pop(poll, None)
                if not dispatcher.polls:
                    del self._dispatchers[poll.namespace, queue]
        if self._current.get((poll.namespace, poll.session_id)) is poll:
            del self._current[poll.namespace, poll.session_id]

    def _dispatcher(self, namespace: str, queue: str) -> Dispatcher:
        dispatcher = self._dispatchers.get((namespace, queue))
        if dispatcher is None:
            dispatcher = self._dispatchers[namespace, queue] = Dispatcher(
                namespace,
                queue,
                self._server_id,
                self._store.leases,
                self._background.spawn,
                self.give_back,
                self._may_lease,
            )
        return dispatcher

    def _partitions(self, poll: Poll) -> list[int]:
        if not poll.queues:
            return list(range(self._store.meta.partitions))
        return [self._store.home(poll.namespace, queue) for queue in poll.queues]

    # ---- what the store tells -----------------------------------------------------------------

    def on_queue(self, namespace: str, queue: str) -> None:
        """A queue may have tasks."""
        dispatcher = self._dispatchers.get((namespace, queue))
        if dispatcher is not None:
            dispatcher.kick()
        else:
            # The poll that waited here is gone: somebody elsewhere may be waiting.
            self._background.spawn(self._store.leases.pass_on(namespace, queue))

    def begin(self, namespace: str, queue: str, task_types: Set[str], most: int) -> Turn | None:
        """Holds polls that wait here for these types of a queue, for a call that submits `most`
        such tasks. None if there are none to hold now.
        """
        dispatcher = self._dispatchers.get((namespace, queue))
        return dispatcher.begin(task_types, most) if dispatcher is not None and most else None

    def on_directive(self, namespace: str, session_id: str) -> None:
        """A session may have a directive."""
        poll = self._current.get((namespace, session_id))
        if poll is not None and not poll.answer.done():
            self._background.spawn(self._look_for_directives(poll))

    async def _look_for_directives(self, poll: Poll) -> None:
        directives = await self.directives(poll)
        if directives and poll.busy:
            poll.told = True
        elif directives:
            poll.resolve(Delivery(directives=directives))

    async def directives(self, poll: Poll) -> list[Directive]:
        """What the session of a poll is to be told."""
        return await self._store.sessions.directives(
            poll.namespace, poll.session_id, self._partitions(poll)
        )

    def look_again(self) -> None:
        """Looks for tasks and directives of everything that waits: notes from the store may have
        been lost.
        """
        for dispatcher in list(self._dispatchers.values()):
            dispatcher.kick()
        everybody = self._store.meta.partitions > 1 or not self._may_lease()
        for poll in list(self._current.values()):
            if (everybody or not poll.slots) and not poll.answer.done():
                self._background.spawn(self._look_for_directives(poll))

    # ---- what is known of sessions ------------------------------------------------------------

    async def note(self, record: SessionRecord) -> None:
        """A session polls. A new one is stored at once, so that operators see it; others soon."""
        name = (record.namespace, record.session_id)
        if name not in self._known:
            await self._store.sessions.touch([record])
            self._known[name] = monotonic()
        self._seen[name] = record

    def note_report(self, namespace: str, session_id: str) -> None:
        """A session reports: it lives, even if it does not poll."""
        name = (namespace, session_id)
        if name not in self._seen:
            self._seen[name] = SessionRecord(namespace, session_id, b"", (), (), 0, 0, False)

    async def write_seen(self) -> None:
        """Stores which sessions were heard of, or wait here, since the last time."""
        now = monotonic()
        for name in self._current:
            if name not in self._seen and now - self._known.get(name, 0) > _SEEN_AGE:
                self.note_report(*name)
        records, self._seen = list(self._seen.values()), {}
        self._known.update(((record.namespace, record.session_id), now) for record in records)
        for start in range(0, len(records), 100):
            await self._store.sessions.touch(records[start : start + 100])
        for name in [name for name, at in self._known.items() if now - at > _FORGET_AFTER]:
            del self._known[name]

    def drain(self) -> None:
        """Answers every poll with the wish to reconnect elsewhere, and every later one too."""
        self._draining = True
        for poll in list(self._current.values()):
            if poll.busy:
                poll.expired = True  # answered with what it is about to lease; the next one is told
            else:
                poll.resolve(Delivery(reconnect=True))


def _not_taken(answer: asyncio.Future[Delivery]) -> Sequence[LeaseRecord]:
    """Leases for a call that went away after it was answered, and before it took the answer."""
    if not answer.done() or answer.cancelled() or answer.exception() is not None:
        return ()
    return answer.result().leases
