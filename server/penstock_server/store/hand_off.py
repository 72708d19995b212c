"""Submits, and leases in the same step what a poll waits for here.

A task that is submitted where a poll waits for it needs no second call of the store, and no waking.
"""

from collections.abc import Sequence, Set
from typing import Any, Final, Protocol

import msgpack

from .lanes import Lanes
from .leases import LeaseStore, PollAnswer, PollOffer, lease_answers

_MOST_ITEMS: Final = 32
"""Larger batches take their time in the store: their tasks are leased by calls of their own."""


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

    async def send(self, partition: int, calls: list[Any]) -> list[Any]:
        """Submits; gives clock, first task id and results for each call."""
        wanted = _wanted(calls)
        offered = (
            self._begin(wanted) if sum(len(call[4]) for call in calls) <= _MOST_ITEMS else None
        )
        if offered is None:
            now_ms, answers = await self._lanes.run("submit", partition, calls)
        else:
            name, turn = offered
            (now_ms, answers), leased = await self._submit_and_lease(partition, calls, name, turn)
            if leased >= len(wanted[name]):
                del wanted[name]
        if self.takers is not None:
            for namespace, queue in wanted:
                self.takers.on_queue(namespace, queue)
        return [(now_ms, first.decode(), results) for first, results in answers]

    def _begin(
        self, wanted: dict[tuple[str, str], list[str]]
    ) -> tuple[tuple[str, str], Turn] | None:
        if self.takers is not None:
            for name, types in wanted.items():
                turn = self.takers.begin(*name, set(types), len(types))
                if turn is not None:
                    return name, turn
        return None

    async def _submit_and_lease(
        self, partition: int, calls: list[Any], name: tuple[str, str], turn: Turn
    ) -> tuple[list[Any], int]:
        lease, random = self._leases.lease_call(*name, turn.server_id, turn.offers)
        try:
            packed = await self._lanes.run("hand_off", partition, [calls, lease])
            taken, leased = (msgpack.unpackb(part, raw=True) for part in packed)
            now_ms, answers = lease_answers(leased, random)
        except BaseException:
            # The next lease call meets the same fault, and tells the polls.
            turn.abandon()
            raise
        turn.deliver(now_ms, answers)
        return taken, sum(len(answer.leases) for answer in answers)


def _wanted(calls: list[Any]) -> dict[tuple[str, str], list[str]]:
    """The types of the tasks that a poll may take at once, by namespace and queue."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for namespace, _, _, _, items, here, _ in calls:
        for queue in here:
            types = wanted.setdefault((namespace, queue), [])
            types += [item[1] for item in items if item[0] == queue and not item[4] and not item[5]]
    return wanted
