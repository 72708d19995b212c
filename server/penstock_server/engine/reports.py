"""What workers report on their leases: log lines first, then everything else, verb by verb in
batches.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from typing import Final, Protocol

from penstock_server.model.errors import LeaseLost, PenstockError
from penstock_server.model.lease_token import LeaseToken
from penstock_server.model.lifecycle import Outcome, ReleaseReason
from penstock_server.model.records import TaskRecord
from penstock_server.store.leases import Completion, FailureReport, LeaseStore

from .endings import Endings
from .observer import Observer


class Verb(Enum):
    """What is reported."""

    LOG = auto()
    RENEW = auto()
    COMPLETE = auto()
    FAIL = auto()
    RELEASE = auto()


@dataclass(slots=True)
class Report:
    """One report on one lease."""

    token: LeaseToken
    verb: Verb
    body: bytes = b""
    """Report or progress as the worker sent it."""
    failure: FailureReport | None = None
    reason: ReleaseReason = ReleaseReason.SHUTDOWN
    lines: Sequence[tuple[int, bytes]] = ()


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """The answer to one report."""

    error: PenstockError | None = None
    term_ms: int = 0
    cancel_requested: bool = False
    last_line: int = 0


TAKEN: Final = ReportAnswer()
"""The answer to a report of which there is nothing to tell but that it was taken."""


class Complete(Protocol):
    """Ends executions as succeeded, as `LeaseStore.complete` promises."""

    async def __call__(
        self, items: Sequence[Completion], *, awaited: Set[str], server_id: str
    ) -> list[TaskRecord | bool]:
        """Answers item by item."""


_Carrier = Callable[[str, str, list[Report]], Awaitable[list[ReportAnswer]]]


class Reports:
    """Carries out reports."""

    def __init__(
        self, store: LeaseStore, observer: Observer, endings: Endings, server_id: str
    ) -> None:
        """`endings` hears of tasks whose end was reported here: whoever waits for one in this
        process need not wait for the store to tell.
        """
        self._store = store
        self._observer = observer
        self._endings = endings
        self._server_id = server_id
        self._carriers: dict[Verb, _Carrier] = {
            Verb.RENEW: self._renew,
            Verb.COMPLETE: partial(self._complete, store.complete),
            Verb.FAIL: self._fail,
            Verb.RELEASE: self._release,
        }

    async def carry_out(
        self,
        namespace: str,
        session_id: str,
        reports: Sequence[Report],
        *,
        complete: Complete | None = None,
    ) -> list[ReportAnswer]:
        """Answers in order. A lease that is over is answered `LEASE_LOST`, and nothing changes.

        `complete` takes the place of the store's verb of that name.
        """
        carriers = self._carriers
        if complete is not None:
            carriers = carriers | {Verb.COMPLETE: partial(self._complete, complete)}
        by_verb, with_lines = _sort(reports)
        # Before the ends: a task that has ended has all of its lines.
        logged = await self._log(namespace, reports, with_lines) if with_lines else {}
        answers: list[ReportAnswer] = [TAKEN] * len(reports)
        work = [
            carriers[verb](namespace, session_id, [reports[place] for place in places])
            for verb, places in by_verb.items()
        ]
        for places, found in zip(by_verb.values(), await _together(work), strict=True):
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
        for place, log in logged.items():
            # A report of lines alone is answered by the log; others add the number of the last.
            alone = reports[place].verb is Verb.LOG
            answers[place] = log if alone else replace(answers[place], last_line=log.last_line)
        lost = sum(answer.error is not None for answer in answers)
        if lost:
            self._observer.refused(lost)
        return answers

    async def _log(
        self, namespace: str, reports: Sequence[Report], places: list[int]
    ) -> dict[int, ReportAnswer]:
        last_lines = await self._store.log(
            [(namespace, reports[place].token, reports[place].lines) for place in places]
        )
        return {
            place: _lost(reports[place]) if last is None else ReportAnswer(last_line=last)
            for place, last in zip(places, last_lines, strict=True)
        }

    async def _renew(
        self, namespace: str, session_id: str, reports: list[Report]
    ) -> list[ReportAnswer]:
        renewals = await self._store.renew(
            session_id, [(namespace, report.token, report.body) for report in reports]
        )
        return [
            _lost(report)
            if renewal is None
            else ReportAnswer(term_ms=renewal.term_ms, cancel_requested=renewal.cancel_requested)
            for report, renewal in zip(reports, renewals, strict=True)
        ]

    async def _complete(
        self, complete: Complete, namespace: str, _session_id: str, reports: list[Report]
    ) -> list[ReportAnswer]:
        ended = await complete(
            [(namespace, report.token, report.body) for report in reports],
            awaited=self._endings.awaited(namespace, (report.token.task_id for report in reports)),
            server_id=self._server_id,
        )
        taken = [bool(end) for end in ended]
        self._observer.ended(namespace, Outcome.SUCCEEDED, sum(taken))
        awaited = [end for end in ended if isinstance(end, TaskRecord)]
        for task in awaited:
            self._endings.settle(task)
        answers = self._told(namespace, reports, taken)
        if awaited:
            await asyncio.sleep(0)  # who waits for a result is answered before the worker is
        return answers

    async def _fail(
        self, namespace: str, _session_id: str, reports: list[Report]
    ) -> list[ReportAnswer]:
        rows = [
            (namespace, report.token, report.failure)
            for report in reports
            if report.failure is not None
        ]
        taken = await self._store.fail(rows)
        for (_, _, failure), ok in zip(rows, taken, strict=True):
            if ok:
                self._observer.ended(namespace, failure.outcome, 1)
        return self._told(namespace, reports, taken)

    def _told(
        self, namespace: str, reports: Sequence[Report], taken: Sequence[bool]
    ) -> list[ReportAnswer]:
        if self._endings.is_awaited:
            for report, ok in zip(reports, taken, strict=True):
                if ok:
                    self._endings.on_task(namespace, report.token.task_id)
        return _taken_or_lost(reports, taken)

    async def _release(
        self, namespace: str, _session_id: str, reports: list[Report]
    ) -> list[ReportAnswer]:
        taken = await self._store.release([(namespace, r.token, r.reason, r.body) for r in reports])
        self._observer.ended(namespace, Outcome.RELEASED, sum(taken))
        return _taken_or_lost(reports, taken)


def _sort(reports: Sequence[Report]) -> tuple[dict[Verb, list[int]], list[int]]:
    """Places of the reports by verb, and of those that have to do with the log."""
    by_verb: dict[Verb, list[int]] = {}
    with_lines: list[int] = []
    for place, report in enumerate(reports):
        by_verb.setdefault(report.verb, []).append(place)
        if report.lines or report.verb is Verb.LOG:
            with_lines.append(place)
    by_verb.pop(Verb.LOG, None)
    return by_verb, with_lines


def _taken_or_lost(reports: Sequence[Report], taken: Sequence[bool]) -> list[ReportAnswer]:
    return [TAKEN if ok else _lost(report) for report, ok in zip(reports, taken, strict=True)]


def _lost(report: Report) -> ReportAnswer:
    return ReportAnswer(error=LeaseLost(task_id=report.token.task_id))


async def _together(work: Sequence[Awaitable[list[ReportAnswer]]]) -> list[list[ReportAnswer]]:
    if len(work) == 1:
        return [await work[0]]
    # To the end, each of them: what one has taken up must not go on when the call has failed.
    found = await asyncio.gather(*work, return_exceptions=True)
    answers: list[list[ReportAnswer]] = []
    for answer in found:
        if isinstance(answer, BaseException):
            raise answer
        answers.append(answer)
    return answers
