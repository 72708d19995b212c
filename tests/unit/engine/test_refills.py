"""Reports that ask for tasks: when one call of the store does both, and what becomes of leases that
nobody receives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from penstock_server.engine.background import Background
from penstock_server.engine.dispatch import Delivery
from penstock_server.engine.endings import Endings
from penstock_server.engine.refills import Refills
from penstock_server.engine.reports import Report, Reports, Verb
from penstock_server.engine.sessions import Polls
from penstock_server.model.errors import StoreUnavailable
from penstock_server.model.ids import TaskIds, ids_from
from penstock_server.model.lease_token import LeaseToken
from penstock_server.model.records import Directive, LeaseKind, LeaseRecord
from penstock_server.store.leases import PollAnswer, PollOffer

OFFER = PollOffer("s1", -1, 50, 3_500_000, ("work",))
KIND = LeaseKind(1, 1, 1, 0, 0, 0, 0)
TOLD = Directive("d1", "cancel", "token", 0, "")
TOLD_ELSEWHERE = Directive("d2", "cancel", "token", 0, "")


def lease(number: int) -> LeaseRecord:
    return LeaseRecord(f"01{number:024}", b"r" * 16, b"", KIND)


class FakeRefill:
    """Takes every end, and leases two tasks once it may go on."""

    def __init__(self, queue: str, leases: list[LeaseRecord], error: Exception | None) -> None:
        self.queue = queue
        self.leases: list[LeaseRecord] = []
        self.directives = [TOLD]
        self.now_ms = 5
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self._leases = leases
        self._error = error

    async def complete(self, items: Sequence[Any], **_: Any) -> list[bool]:
        self.begun.set()
        await self.may_end.wait()
        self.leases = self._leases
        if self._error is not None:
            raise self._error
        return [True] * len(items)


class FakeStore:
    """A store of four partitions; queue "q2" lives in the third, and leases give one task."""

    class meta:
        partitions = 4

    def __init__(self) -> None:
        self.leases = self
        self.given_back: list[str] = []
        self.leased_from: list[str] = []
        self.refills: list[FakeRefill] = []
        self.replaces = [lease(1), lease(2)]
        self.error: Exception | None = None

    def home(self, _namespace: str, queue: str) -> int:
        return int(queue[1:])

    def refill(self, _namespace: str, queue: str, _offer: PollOffer) -> Any:
        self.refills.append(FakeRefill(queue, self.replaces, self.error))
        return self.refills[-1]

    async def complete(self, items: Sequence[Any], **_: Any) -> list[bool]:
        return [True] * len(items)

    async def renew(self, _session: str, _items: Sequence[Any]) -> list[Any]:
        raise StoreUnavailable

    async def lease(self, _namespace: str, queue: str, *_: Any) -> tuple[int, list[PollAnswer]]:
        self.leased_from.append(queue)
        return 5, [PollAnswer([lease(7)], [TOLD, TOLD_ELSEWHERE], superseded=False)]

    async def release(self, rows: Sequence[Any]) -> list[bool]:
        self.given_back += [row[1].task_id for row in rows]
        return [True] * len(rows)


class Silent:
    """Hears of ends and does nothing."""

    def ended(self, *_: Any) -> None:
        """Does nothing."""


class Case:
    """Reports of one session, over a store that is none."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.leasing = True
        self.background = Background()
        store: Any = self.store
        observer: Any = Silent()
        endings = Endings(store, "server", self.background)
        self.polls = Polls(store, "server", self.background, lambda: self.leasing)
        reports = Reports(store, observer, endings, "server")
        self.refills = Refills(store, reports, self.polls)

    def report(
        self,
        count: int,
        *,
        partition: int = 2,
        queues: Sequence[str] = ("q2",),
        renewals: int = 0,
    ) -> asyncio.Task[tuple[Sequence[Any], Delivery]]:
        """Reports so many ends of tasks of a partition."""
        ids = ids_from(TaskIds().first(partition), count + renewals)
        tokens = [LeaseToken(task_id, 1, b"") for task_id in ids]
        verbs = [Verb.COMPLETE] * count + [Verb.RENEW] * renewals
        reports = [Report(token, verb) for token, verb in zip(tokens, verbs, strict=True)]
        return asyncio.create_task(
            self.refills.carry_out("default", "s1", reports, list(queues), OFFER)
        )


@pytest.fixture
def case() -> Case:
    return Case()


async def test_many_ends_and_what_replaces_them_are_one_call_of_the_store(case: Case):
    report = case.report(40)
    await asyncio.sleep(0)
    case.store.refills[0].may_end.set()

    answers, delivery = await report

    assert [answer.error for answer in answers] == [None] * 40
    assert delivery == Delivery(case.store.replaces, "q2", 5, [TOLD])
    assert case.store.leased_from == []


@pytest.mark.parametrize("what", ["few ends", "ends of another partition", "no queue"])
async def test_other_reports_are_taken_first_and_their_places_filled_after(case: Case, what: str):
    count, partition = (3 if what == "few ends" else 40), (1 if what.startswith("ends") else 2)
    queues = () if what == "no queue" else ("q2",)

    answers, delivery = await case.report(count, partition=partition, queues=queues)

    assert len(answers) == count
    assert case.store.refills == []
    assert case.store.leased_from == list(queues)
    assert len(delivery.leases) == len(queues)


async def test_nothing_is_leased_with_a_report_while_nothing_may_be_leased(case: Case):
    case.leasing = False

    answers, delivery = await case.report(40)

    assert len(answers) == 40
    assert delivery.leases == []
    assert case.store.refills == [] == case.store.leased_from


async def test_a_draining_server_takes_the_report_and_wishes_the_worker_elsewhere(case: Case):
    case.polls.drain()

    answers, delivery = await case.report(40)

    assert len(answers) == 40
    assert delivery == Delivery(reconnect=True)
    assert case.store.refills == []


async def test_the_next_queue_is_asked_where_the_first_has_nothing(case: Case):
    case.store.replaces = []
    report = case.report(40, queues=("q2", "q3"))
    await asyncio.sleep(0)
    case.store.refills[0].may_end.set()

    _, delivery = await report

    assert case.store.leased_from == ["q3"]
    assert delivery.queue == "q3"
    assert delivery.directives == [TOLD, TOLD_ELSEWHERE], "each partition has its own to tell"


async def test_leases_for_a_report_that_has_gone_away_are_given_back(case: Case):
    report = case.report(40)
    await asyncio.sleep(0)
    refill = case.store.refills[0]
    await refill.begun.wait()
    report.cancel()
    with pytest.raises(asyncio.CancelledError):
        await report

    refill.may_end.set()
    await case.background.stop()

    assert case.store.given_back == [lease.task_id for lease in case.store.replaces]


async def test_leases_of_a_report_that_fails_half_way_are_given_back(case: Case):
    case.store.error = StoreUnavailable()
    report = case.report(40)
    await asyncio.sleep(0)
    case.store.refills[0].may_end.set()

    with pytest.raises(StoreUnavailable):
        await report
    await case.background.stop()

    assert case.store.given_back == [lease.task_id for lease in case.store.replaces]


async def test_leases_are_given_back_where_something_else_in_the_report_has_failed(case: Case):
    report = case.report(40, renewals=1)
    await asyncio.sleep(0)
    await case.store.refills[0].begun.wait()
    case.store.refills[0].may_end.set()

    with pytest.raises(StoreUnavailable):
        await report
    await case.background.stop()

    assert case.store.given_back == [lease.task_id for lease in case.store.replaces]
