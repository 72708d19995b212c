"""Leases in the store: make, renew, end, give back, take away; and the log lines that come with
them.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice, repeat
from typing import Any, Final, NamedTuple

from penstock_server.model.lease_token import RANDOM_BYTES, LeaseToken
from penstock_server.model.lifecycle import Outcome, ReleaseReason
from penstock_server.model.records import Directive, LeaseKind, LeaseRecord, TaskRecord

from . import decode
from .lanes import Lanes, columns
from .policy import spec_of

MOST_ITEMS: Final = 256
"""Most items that one call of a script takes, so that none keeps the store from others for long."""


class PollOffer(NamedTuple):
    """What one waiting poll brings into a lease call."""

    session_id: str
    poll_seq: int
    slots: int
    most_bytes: int
    task_types: Sequence[str]


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """What one poll got from a lease call."""

    leases: list[LeaseRecord]
    directives: list[Directive]
    superseded: bool


class FailureReport(NamedTuple):
    """An execution that did not succeed, as its worker reports it."""

    outcome: Outcome
    retryable: bool
    kind: str
    report: bytes
    summary: str


Completion = tuple[str, LeaseToken, bytes]
"""An execution that succeeded: namespace, token, report."""


class Renewal(NamedTuple):
    """The answer to a renewal."""

    term_ms: int
    cancel_requested: bool


class Reaped(NamedTuple):
    """One execution that the reaper ended."""

    namespace: str
    queue: str
    outcome: Outcome
    task_id: str


class LeaseStore:
    """The verbs on leases. Answers False or None where a lease is lost."""

    def __init__(
        self,
        lanes: Lanes,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        random_share: Callable[[], float],
    ) -> None:
        self._lanes = lanes
        self._random_bytes = random_bytes
        self._random_share = random_share

    async def lease(
        self, namespace: str, queue: str, server_id: str, offers: Sequence[PollOffer]
    ) -> tuple[int, list[PollAnswer]]:
        """Hands ready tasks of a queue to polls, in their order. Gives the store's clock and an
        answer for each poll.

        If a poll stays unfilled, `server_id` is told when there is more.
        """
        value, random = self.lease_call(namespace, queue, server_id, offers)
        answer = await self._lanes.run("lease", self._lanes.home(namespace, queue), value)
        return lease_answers(answer, random)

    def lease_call(
        self, namespace: str, queue: str, server_id: str, offers: Sequence[PollOffer]
    ) -> tuple[object, bytes]:
        """What the script takes, and the random bits in it, which the tokens are made of."""
        type_lists: dict[tuple[str, ...], int] = {}
        polls = [
            [
                o.session_id,
                o.poll_seq,
                o.slots,
                o.most_bytes,
                type_lists.setdefault(tuple(o.task_types), len(type_lists) + 1),
            ]
            for o in offers
        ]
        random = self._random_bytes(RANDOM_BYTES * sum(offer.slots for offer in offers))
        return [namespace, queue, server_id, polls, list(type_lists), random], random

    async def pass_on(self, namespace: str, queue: str) -> None:
        """Tells another server of ready tasks for which no poll waits here any more."""
        await self._lanes.run("pass_on", self._lanes.home(namespace, queue), [namespace, queue])

    async def complete(
        self,
        items: Sequence[Completion],
        *,
        awaited: Set[str] = frozenset(),
        server_id: str = "",
    ) -> list[TaskRecord | bool]:
        """Ends executions as succeeded.

        False for each lease that is lost. `awaited` names tasks that `server_id` waits for: it gets
        them in place of True, and is not told by a note.
        """
        rows = complete_rows(items, awaited, server_id)
        tokens = [item[1] for item in items]
        answers = await self._by_partition("complete", tokens, rows, bytes_at=REPORT_AT)
        return complete_answers(items, answers)

    async def fail(self, items: Sequence[tuple[str, LeaseToken, FailureReport]]) -> list[bool]:
        """Ends executions that did not succeed. False for each lease that is lost."""
        rows = [
            [
                namespace,
                t.task_id,
                t.fence,
                t.random,
                int(f.outcome),
                f.retryable,
                f.kind,
                f.report,
                self._random_share(),
                f.summary,
            ]
            for namespace, t, f in items
        ]
        return await self._end("fail", items, rows)

    async def release(
        self, items: Sequence[tuple[str, LeaseToken, ReleaseReason, bytes]]
    ) -> list[bool]:
        """Gives leases back. False for each lease that is lost."""
        rows = [
            [namespace, t.task_id, t.fence, t.random, int(why), report]
            for namespace, t, why, report in items
        ]
        return await self._end("release", items, rows)

    async def _end(self, verb: str, items: Sequence[Any], rows: list[list[Any]]) -> list[bool]:
        words = await self._by_partition(verb, [item[1] for item in items], rows, bytes_at=-1)
        return [word == b"ok" for word in words]

    async def renew(
        self, session_id: str, items: Sequence[tuple[str, LeaseToken, bytes]]
    ) -> list[Renewal | None]:
        """Begins terms anew: namespace, token, progress or b"".

        None for each lease that is lost.
        """
        rows = [
            [namespace, t.task_id, t.fence, t.random, progress, session_id]
            for namespace, t, progress in items
        ]
        answers = await self._by_partition(
            "renew", [item[1] for item in items], rows, wrap=_with_sessions, bytes_at=4
        )
        return [
            Renewal(int(answer[1]), bool(answer[2])) if answer[0] == b"ok" else None
            for answer in answers
        ]

    async def log(
        self, items: Sequence[tuple[str, LeaseToken, Sequence[tuple[int, bytes]]]]
    ) -> list[int | None]:
        """Keeps numbered log lines; gives the number of the last line kept, None for each lease
        that is lost.
        """
        rows = [[namespace, t.task_id, t.fence, t.random, lines] for namespace, t, lines in items]
        answers = await self._by_partition("log", [item[1] for item in items], rows)
        return [int(answer[1]) if answer[0] == b"ok" else None for answer in answers]

    async def _by_partition(
        self,
        verb: str,
        tokens: list[LeaseToken],
        rows: list[list[Any]],
        *,
        wrap: Callable[[list[Any]], object] = columns,
        bytes_at: int | None = None,
    ) -> list[Any]:
        count = self._lanes.partitions
        if count == 1:
            return await self._in_chunks(verb, 0, rows, wrap, bytes_at)
        partitions = [token.partition for token in tokens]
        answers: list[Any] = [None] * len(rows)
        for partition in sorted(set(partitions)):
            places = [place for place, home in enumerate(partitions) if home == partition]
            found = await self._in_chunks(
                verb, partition % count, [rows[place] for place in places], wrap, bytes_at
            )
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
        return answers

    async def _in_chunks(
        self,
        verb: str,
        partition: int,
        rows: list[list[Any]],
        wrap: Callable[[list[Any]], object],
        bytes_at: int | None,
    ) -> list[Any]:
        answers: list[Any] = []
        for chunk, size in chunks(rows, bytes_at):
            answers += await self._lanes.batch(verb, partition, chunk, size=size, wrap=wrap)
        return answers

    async def reap(
        self, partition: int, *, longest_pause: timedelta, limit: int
    ) -> tuple[list[Reaped], bool] | None:
        """Takes away leases that ran out.

        Gives what was ended, and whether more is left; None while guarded.
        """
        value = [round(longest_pause.total_seconds() * 1000), limit, self._random_share()]
        word, taken, more = await self._lanes.run("reap", partition, value)
        if word == b"guarded":
            return None
        return [
            Reaped(ns.decode(), queue.decode(), Outcome(outcome), task_id.decode())
            for ns, queue, outcome, task_id in taken
        ], bool(more)


REPORT_AT: Final = 4
"""Where the report stands in a row of `complete_rows`."""


def complete_rows(
    items: Sequence[Completion], awaited: Set[str], server_id: str
) -> list[list[Any]]:
    """What the script `complete` takes, item by item."""
    return [
        [ns, t.task_id, t.fence, t.random, report, server_id if t.task_id in awaited else ""]
        for ns, t, report in items
    ]


def complete_answers(
    items: Sequence[Completion], answers: Sequence[Any]
) -> list[TaskRecord | bool]:
    """What came of each item, of what the script `complete` gave."""
    return [
        answer == b"ok"
        if isinstance(answer, bytes)
        else decode.task(item[0], item[1].task_id, answer[1], int(answer[0])) or True
        for item, answer in zip(items, answers, strict=True)
    ]


def chunks(
    rows: list[list[Any]], bytes_at: int | None, *, most: int = MOST_ITEMS
) -> Iterator[tuple[list[list[Any]], int]]:
    """The rows for each call of a script, at most about 1 MiB of them, with their bytes."""
    start = size = 0
    for place, row in enumerate(rows):
        weight = len(row[bytes_at]) if bytes_at is not None else 0
        if place > start and (place - start >= most or size + weight > 1 << 20):
            yield rows[start:place], size
            start, size = place, 0
        size += weight
    yield rows[start:], size


def _with_sessions(rows: list[list[Any]]) -> object:
    return [sorted({(row[0], row[5]) for row in rows}), columns(rows)[:5]]


def lease_answers(answer: list[Any], random: bytes) -> tuple[int, list[PollAnswer]]:
    """The store's clock, and what each poll got, of what the script gave."""
    now_ms, results = answer
    randoms = (random[at : at + RANDOM_BYTES] for at in range(0, len(random), RANDOM_BYTES))
    return now_ms, [_poll_answer(result, randoms) for result in results]


def _poll_answer(result: list[Any], randoms: Iterator[bytes]) -> PollAnswer:
    word, (ids, specs, kinds, befores), directives = result
    leases = [
        LeaseRecord(task_id, random, spec_of(stored), kind)
        for task_id, random, stored, kind in zip(
            decode.each_id(ids.decode()),
            islice(randoms, len(specs)),
            specs,
            _each_kind(kinds),
            strict=True,
        )
    ]
    for place, packed in befores:
        leases[place - 1] = leases[place - 1]._replace(previous=decode.execution(packed))
    return PollAnswer(
        leases, [decode.directive(packed) for packed in directives], word == b"superseded"
    )


def _each_kind(kinds: list[list[Any]]) -> Iterator[LeaseKind]:
    for count, *values in kinds:
        yield from repeat(LeaseKind(*values), count)
