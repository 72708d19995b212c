"""Reports that ask for tasks: one call of the store takes what has ended and fills its place, where
that is worth it.
"""

from collections.abc import Sequence
from typing import Final

from penstock_server.store.leases import PollOffer
from penstock_server.store.refill import Refill
from penstock_server.store.store import Store

from .dispatch import Delivery
from .reports import Report, ReportAnswer, Reports, Verb
from .sessions import Polls

_WORTH_IT: Final = 32
"""Fewer ends go with those of other reports: see batcher.py."""


class Refills:
    """Carries out reports of sessions that ask for tasks in the same call."""

    def __init__(self, store: Store, reports: Reports, polls: Polls) -> None:
        self._store = store
        self._reports = reports
        self._polls = polls

    async def carry_out(
        self,
        namespace: str,
        session_id: str,
        reports: Sequence[Report],
        queues: Sequence[str],
        offer: PollOffer,
    ) -> tuple[list[ReportAnswer], Delivery]:
        """Answers the reports in order, then leases from the first queue that has something."""
        refill = self._begin(namespace, reports, queues, offer)
        if refill is None:
            answers = await self._reports.carry_out(namespace, session_id, reports)
            return answers, await self._polls.lease_now(namespace, queues, offer)
        answers = []
        delivery = await self._polls.deliver(
            namespace, self._fill(refill, namespace, session_id, reports, answers)
        )
        if not delivery.leases and len(queues) > 1:
            told = {directive.directive_id: directive for directive in delivery.directives}
            delivery = await self._polls.lease_now(namespace, queues[1:], offer)
            told |= {directive.directive_id: directive for directive in delivery.directives}
            delivery.directives = list(told.values())
        return answers, delivery

    def _begin(
        self,
        namespace: str,
        reports: Sequence[Report],
        queues: Sequence[str],
        offer: PollOffer,
    ) -> Refill | None:
        """None where calls of their own do as well, or where nothing may be leased."""
        ended = [report.token.partition for report in reports if report.verb is Verb.COMPLETE]
        if len(ended) < _WORTH_IT or not queues or not self._polls.may_lease:
            return None
        partitions = self._store.meta.partitions
        home = self._store.home(namespace, queues[0])
        if any(partition % partitions != home for partition in ended):
            return None
        return self._store.refill(namespace, queues[0], offer)

    async def _fill(
        self,
        refill: Refill,
        namespace: str,
        session_id: str,
        reports: Sequence[Report],
        answers: list[ReportAnswer],
    ) -> Delivery:
        try:
            answers += await self._reports.carry_out(
                namespace, session_id, reports, complete=refill.complete
            )
        except Exception:
            self._polls.give_back(namespace, refill.leases)
            raise
        return Delivery(refill.leases, refill.queue, refill.now_ms, refill.directives)
