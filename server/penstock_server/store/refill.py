"""Ends executions, and leases in the same step what takes their place.

A busy worker reports ends by the hundred and asks for as many tasks: one call of the store does
both.
"""

import asyncio
from collections.abc import Sequence, Set
from typing import Any, Final

import structlog

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

log = structlog.get_logger(__name__)

_LEASING_CALLS: Final = 2
"""Most calls of one report that lease."""
_BYTES_EACH: Final = 3 << 19
"""Least part of an answer's bytes for such a call: it answers a task beyond its part alone, and no
task of usual limits is as large as this.
"""


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
        self._home = lanes.home(namespace, queue)
        self._offer = offer

    async def complete(
        self,
        items: Sequence[Completion],
        *,
        awaited: Set[str] = frozenset(),
        server_id: str = "",
    ) -> list[TaskRecord | bool]:
        """Ends executions as `LeaseStore.complete` does, and fills `leases`."""
        rows = complete_rows(items, awaited, server_id)
        most_leasing = max(1, min(_LEASING_CALLS, self._offer.most_bytes // _BYTES_EACH))
        calls = max(_calls(len(rows)), min(most_leasing, _calls(self._offer.slots)))
        pieces = list(chunks(rows, REPORT_AT, most=-(-len(rows) // calls)))
        offers = self._parts_of_offer(min(len(pieces), most_leasing))
        work = [self._call(*piece, part) for piece, part in zip(pieces, offers, strict=False)]
        work += [self._end(*piece) for piece in pieces[len(offers) :]]
        # To the end, each of them: what one has leased must not be lost with another one's error.
        answers = await asyncio.gather(*work, return_exceptions=True)
        ended: list[Any] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            ended += answer
        return complete_answers(items, ended)

    def _parts_of_offer(self, count: int) -> list[PollOffer]:
        """What each call may lease: together no more than was offered."""
        slots, more = divmod(min(self._offer.slots, count * MOST_ITEMS), count)
        most_bytes = self._offer.most_bytes // count
        parts = [slots + (number < more) for number in range(count)]
        return [
            self._offer._replace(slots=part, most_bytes=most_bytes) for part in parts if part > 0
        ]

    async def _end(self, rows: list[list[Any]], size: int) -> list[Any]:
        return await self._lanes.batch("complete", self._home, rows, size=size)

    async def _call(self, rows: list[list[Any]], size: int, offer: PollOffer) -> list[Any]:
        # No server id: nobody will wait here, so nobody need be woken here.
        lease, random = self._store.lease_call(self._namespace, self.queue, "", [offer])
        try:
            ended, leased = await self._lanes.run("refill", self._home, [columns(rows), lease])
        except PenstockError:
            raise
        except Exception:
            # One of them is bad, and their batch finds out which; or the lease is, and a poll meets
            # the same fault.
            log.exception("refill.failed", namespace=self._namespace, queue=self.queue)
            return await self._end(rows, size)
        self.now_ms, (answer,) = lease_answers(leased, random)
        self.leases += answer.leases
        self.directives = answer.directives
        return list(ended)


def _calls(items: int) -> int:
    return -(-items // MOST_ITEMS)
