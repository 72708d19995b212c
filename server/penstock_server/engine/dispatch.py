"""Hands ready tasks to waiting polls: one dispatcher for each queue, which gathers polls into few
lease calls.

A poll may wait in several dispatchers, but takes part in one store call at a time. What was leased
for a call that has gone away meanwhile is given back at once.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final

from penstock_server.model.records import Directive, LeaseRecord
from penstock_server.store.leases import LeaseStore, PollAnswer, PollOffer

MOST_LEASES: Final = 256
"""Most tasks that one store call hands out."""

Spawn = Callable[[Coroutine[Any, Any, None]], object]


@dataclass(slots=True)
class Delivery:
    """What a poll is answered with."""

    leases: list[LeaseRecord] = field(default_factory=list)
    queue: str = ""
    now_ms: int = 0
    directives: list[Directive] = field(default_factory=list)
    superseded: bool = False
    reconnect: bool = False


class Poll:
    """One call of a worker session that waits for tasks."""

    __slots__ = (
        "answer",
        "busy",
        "expired",
        "heir",
        "most_bytes",
        "namespace",
        "poll_seq",
        "queues",
        "session_id",
        "slots",
        "task_types",
        "told",
        "unlooked",
    )

    def __init__(
        self,
        namespace: str,
        session_id: str,
        poll_seq: int,
        *,
        queues: Sequence[str] = (),
        task_types: Sequence[str] = (),
        slots: int = 0,
        most_bytes: int = 0,
    ) -> None:
        self.namespace = namespace
        self.session_id = session_id
        self.poll_seq = poll_seq
        self.queues = queues
        self.task_types = task_types
        self.slots = slots
        self.most_bytes = most_bytes
        self.answer: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        self.busy = False
        """Takes part in a store call right now."""
        self.expired = False
        """Its wait ran out during a store call: it is answered with whatever that brings."""
        self.told = False
        """A directive came during a store call."""
        self.heir: Poll | None = None
        """The newer poll of the same session, which gets what this one is about to lease."""
        self.unlooked: list[Dispatcher] = []
        """Dispatchers that passed it over because it was busy."""

    def resolve(self, delivery: Delivery) -> bool:
        """Answers the call. False if it has gone away or was answered before."""
        if self.answer.done():
            return False
        self.answer.set_result(delivery)
        return True

    def settle_waiting(self) -> None:
        """Answers what came up during a store call that brought nothing for the poll."""
        if self.heir is not None:
            self.resolve(Delivery(superseded=True))
        elif self.expired:
            self.resolve(Delivery())

    def offer(self, most: int) -> PollOffer:
        """What the poll brings into a lease call."""
        slots = min(self.slots, most)
        return PollOffer(self.session_id, self.poll_seq, slots, self.most_bytes, self.task_types)


class Turn:
    """Polls that take part in one store call; until it is over they take part in no other."""

    def __init__(self, dispatcher: "Dispatcher", polls: Sequence[Poll], room: int) -> None:
        self.server_id = dispatcher.server_id
        self.offers: list[PollOffer] = []
        self._dispatcher = dispatcher
        self._polls = polls
        for poll in polls:
            poll.busy = True
            self.offers.append(poll.offer(room))
            room -= self.offers[-1].slots

    def deliver(self, now_ms: int, answers: Sequence[PollAnswer]) -> None:
        """Answers the polls with what the call gave for each."""
        for poll, answer in zip(self._polls, answers, strict=True):
            self._dispatcher.deliver(poll, answer, now_ms)
        self._end()

    def fail(self, error: Exception) -> None:
        """Answers the polls with what kept the call from being made."""
        for poll in self._polls:
            if not poll.answer.done():
                poll.answer.set_exception(error)
        self._end()

    def abandon(self) -> None:
        """Sets the polls free and looks for tasks in a call of its own."""
        for poll in self._polls:
            poll.settle_waiting()
        self._end()
        self._dispatcher.kick()

    def _end(self) -> None:
        for poll in self._polls:
            poll.busy = False
            if poll.told and not poll.answer.done():
                # The call may have looked for directives just before this one came.
                poll.told = False
                self._dispatcher.kick()
            unlooked, poll.unlooked = poll.unlooked, []
            if not poll.answer.done():
                for dispatcher in unlooked:
                    dispatcher.kick()


class Dispatcher:
    """Leases from one queue for the polls that wait here."""

    def __init__(
        self,
        namespace: str,
        queue: str,
        server_id: str,
        store: LeaseStore,
        spawn: Spawn,
        give_back: Callable[[str, Sequence[LeaseRecord]], None],
        may_lease: Callable[[], bool] = lambda: True,
    ) -> None:
        self.namespace = namespace
        self.queue = queue
        self.polls: dict[Poll, None] = {}
        self.server_id = server_id
        self._store = store
        self._spawn = spawn
        self._give_back = give_back
        self._may_lease = may_lease
        self._running = False
        self._again = False

    def serves(self, task_type: str) -> bool:
        """Whether a poll waits here that takes tasks of the type."""
        return any(task_type in poll.task_types and not poll.answer.done() for poll in self.polls)

    def kick(self) -> None:
        """Looks for tasks, now or right after the look that is under way."""
        if self._running:
            self._again = True
        elif self.polls and self._may_lease():
            self._running = True
            self._spawn(self._run())

    async def _run(self) -> None:
        try:
            self._again = True
            while self._again:
                self._again = False
                waiting = deque(self.polls)
                while waiting:
                    polls = self._take_polls(waiting)
                    if polls:
                        await self._lease(polls)
        finally:
            self._running = False
            if self._again:
                self.kick()

    def _take_polls(self, waiting: deque[Poll], room: int = MOST_LEASES) -> list[Poll]:
        """As many of them as one store call can serve. In one look everybody has one turn."""
        polls: list[Poll] = []
        while waiting and room > 0:
            poll = waiting.popleft()
            if poll.busy:
                poll.unlooked.append(self)
            elif not poll.answer.done():
                polls.append(poll)
                room -= poll.slots
        return polls

    async def _lease(self, polls: list[Poll]) -> None:
        turn = Turn(self, polls, MOST_LEASES)
        try:
            now_ms, answers = await self._store.lease(
                self.namespace, self.queue, self.server_id, turn.offers
            )
        except Exception as error:
            # Also a fault of ours: its polls must not wait for ever. The edge tells and logs it.
            turn.fail(error)
        else:
            turn.deliver(now_ms, answers)

    def begin(self, task_types: Set[str], most: int) -> Turn | None:
        """Holds idle polls for these types, with room for `most` tasks, for a call that submits
        them. None if there are none, if a look is under way, or if nothing may be leased.
        """
        if self._running or not self._may_lease():
            return None
        fitting = deque(poll for poll in self.polls if not task_types.isdisjoint(poll.task_types))
        polls = self._take_polls(fitting, most)
        return Turn(self, polls, most) if polls else None

    def deliver(self, poll: Poll, answer: PollAnswer, now_ms: int) -> None:
        """Answers a poll with what a call gave for it, or leaves it waiting."""
        poll.busy = False
        if answer.leases:
            receiver = self._receiver(poll, len(answer.leases))
            delivery = Delivery(answer.leases, self.queue, now_ms, answer.directives)
            if receiver is None or not receiver.resolve(delivery):
                self._give_back(self.namespace, answer.leases)
        elif answer.directives:
            poll.resolve(Delivery(now_ms=now_ms, directives=answer.directives))
        if answer.superseded:
            poll.resolve(Delivery(superseded=True))
        poll.settle_waiting()

    def _receiver(self, poll: Poll, count: int) -> Poll | None:
        """Who gets the leases: the poll itself, or the newer one of its session if that has room
        and is not leasing too.
        """
        if poll.heir is None:
            return poll
        heir = poll.heir
        while heir.heir is not None:
            heir = heir.heir
        return heir if not heir.busy and heir.slots >= count else None
