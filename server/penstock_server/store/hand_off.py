"""Submits, and leases in the same step what a poll waits for here.

A task that is submitted where a poll waits for it needs no second call of the store, and no waking.
"""

from collections.abc import Sequence, Set
from typing import Any, Final, NamedTuple, Protocol

from .lanes import Lanes
from .leases import LeaseStore, PollAnswer, PollOffer, lease_answers

_MOST_ITEMS: Final = 32
"""Larger batches take their time in the store: their tasks are leased by calls of their own."""


Kind = tuple[str, str, int, str, int, int]
"""What tasks share: queue, type, priority, fairness key, when they are due and their delay, ms."""


class SubmitCall(NamedTuple):
    """One call, its fields in the order in which the script `submit` takes them."""

    namespace: str
    request_id: str
    all_or_none: bool
    ids: Sequence[str]
    kinds: Sequence[Kind]
    items: Sequence[list[Any]]
    """For each task the number of its kind, from 1, its spec, and what else there is."""
    here: Sequence[str]
    """Queues with a poll that waits here."""
    waiting_server: str
    """Told when one of the tasks ends; empty: nobody."""


class Turn(Protocol):
    """Polls of one queue that are held for one store call."""

    @property
    def server_id(self) -> str:
        """The server that the polls wait at."""

    @property
    def offers(self) -> Sequence[PollOffer]:
        """What the polls bring into the call."""

    def deliver(self, now_ms: int, answers: Sequence[PollAnswer]) -> None:
        """Answers the polls with what the call gave for each."""

    def abandon(self) -> None:
        """Sets the polls free: the call failed."""


class Takers(Protocol):
    """Whoever knows which polls wait here: the engine."""

    def begin(self, namespace: str, queue: str, task_types: Set[str], most: int) -> Turn | None:
        """Holds idle polls for these types, with room for `most` tasks; None if there are none."""

    def on_queue(self, namespace: str, queue: str) -> None:
        """Told that a queue may have tasks."""


class HandOff:
    """Sends batches of submits."""

    def __init__(self, lanes: Lanes, leases: LeaseStore) -> None:
        self._lanes = lanes
        self._leases = leases
        self.takers: Takers | None = None
        """Set by the engine; without, every task waits for a lease call."""

    async def send(self, partition: int, calls: list[SubmitCall]) -> list[Any]:
        """Submits; gives clock, first task id and results for each call."""
        queues = dict.fromkeys((call.namespace, queue) for call in calls for queue in call.here)
        few = sum(len(call.items) for call in calls) <= _MOST_ITEMS
        offered = self._begin(calls) if few else None
        if offered is None:
            now_ms, answers = await self._lanes.run("submit", partition, calls)
        else:
            name, wanted, turn = offered
            (now_ms, answers), leased = await self._submit_and_lease(partition, calls, name, turn)
            if leased >= wanted:
                del queues[name]
        if self.takers is not None:
            for namespace, queue in queues:
                self.takers.on_queue(namespace, queue)
        return [(now_ms, first.decode(), results) for first, results in answers]

    def _begin(self, calls: list[SubmitCall]) -> tuple[tuple[str, str], int, Turn] | None:
        """The first queue with idle polls, how many tasks they may take at once, and the polls."""
        if self.takers is not None:
            for name, types in _wanted(calls).items():
                turn = self.takers.begin(*name, set(types), len(types))
                if turn is not None:
                    return name, len(types), turn
        return None

    async def _submit_and_lease(
        self, partition: int, calls: list[SubmitCall], name: tuple[str, str], turn: Turn
    ) -> tuple[list[Any], int]:
        lease, random = self._leases.lease_call(*name, turn.server_id, turn.offers)
        try:
            taken, leased = await self._lanes.run("hand_off", partition, [calls, lease])
            now_ms, answers = lease_answers(leased, random)
        except BaseException:
            # The next lease call meets the same fault, and tells the polls.
            turn.abandon()
            raise
        turn.deliver(now_ms, answers)
        return taken, sum(len(answer.leases) for answer in answers)


def _wanted(calls: list[SubmitCall]) -> dict[tuple[str, str], list[str]]:
    """The types of the tasks that a poll may take at once, by namespace and queue."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for call in calls:
        for queue in call.here:
            types = wanted.setdefault((call.namespace, queue), [])
            for item in call.items:
                home, task_type, _, _, due_ms, delay_ms = call.kinds[item[0] - 1]
                if home == queue and not due_ms and not delay_ms:
                    types.append(task_type)
    return wanted
