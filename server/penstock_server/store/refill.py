"""Ends executions, and leases in the same step what takes their place.

A busy worker reports ends by the hundred and asks for as many tasks: one call of the store does
both.
"""

import asyncio
from collections.abc import Sequence, Set
from typing import Any

from penstock_server.model.errors import PenstockError
from penstock_server.model.records import Directive, LeaseRecord, TaskRecord

from .lanes import Lanes, columns
from .leases import (
    MOST_ITEMS,
    REPORT_AT,
    Completion,
    LeaseStore,
    PollOffer,
    chunks,
    complete_answers,
    complete_rows,
    lease_answers,
)


class Refill:
    """One report of a session, which asks for tasks of a queue. To be used once."""

    def __init__(
        self, lanes: Lanes, leases: LeaseStore, namespace: str, queue: str, offer: PollOffer
    ) -> None:
        """The leases that are reported on must be of the queue's partition."""
        self.queue = queue
        self.leases: list[LeaseRecord] = []
        """What was leased, also where `complete` failed after a part of its calls."""
        self.directives: list[Directive] = []
        self.now_ms = 0
        """The store's clock."""
        self._lanes = lanes
        self._store = leases
        self._namespace = namespace
        self._offer = offer

    async def complete(
        self,
        items: Sequence[Completion],
        *,
        awaited: Set[str] = frozenset(),
        server_id: str = "",
    ) -> list[TaskRecord | bool]:
        """Ends executions as `LeaseStore.complete` does, and fills `leases`."""
        calls = -(-max(len(items), self._offer.slots) // MOST_ITEMS)
        most = -(-len(items) // calls)
        rows = complete_rows(items, awaited, server_id)
        pieces = [piece for piece, _ in chunks(rows, REPORT_AT, most=most)]
        offer = self._offer._replace(
            slots=min(MOST_ITEMS, -(-self._offer.slots // len(pieces))),
            most_bytes=self._offer.most_bytes // len(pieces),
        )
        # To the end, each of them: what one has leased must not be lost with another one's error.
        answers = await asyncio.gather(
            *(self._call(piece, offer) for piece in pieces), return_exceptions=True
        )
        ended: list[Any] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            ended += answer
        return complete_answers(items, ended)

    async def _call(self, rows: list[list[Any]], offer: PollOffer) -> list[Any]:
        # No server id: nobody will wait here, so nobody need be woken here.
        lease, random = self._store.lease_call(self._namespace, self.queue, "", [offer])
        home = self._lanes.home(self._namespace, self.queue)
        try:
            ended, leased = await self._lanes.run("refill", home, [columns(rows), lease])
        except PenstockError:
            raise
        except Exception:
            # One of them is bad: their batch finds out which. A fault of the lease meets the next
            # poll, which tells.
            return await self._lanes.batch("complete", home, rows)
        self.now_ms, (answer,) = lease_answers(leased, random)
        self.leases += answer.leases
        self.directives = answer.directives
        return list(ended)
