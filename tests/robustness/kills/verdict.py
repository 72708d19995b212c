"""Proves from the store, the producer's record and the handlers' marks what became of the tasks."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from penstock_server.model.lifecycle import EventKind, Outcome, TaskState
from penstock_server.model.records import EventRecord, TaskRecord
from penstock_server.store import decode, keys
from penstock_server.store.store import Store
from robustness.kills.producer import acknowledged

NAMESPACE: Final = "default"
_ENDS: Final = frozenset(
    {EventKind.SUCCEEDED, EventKind.RETRY_SCHEDULED, EventKind.FAILED, EventKind.RELEASED}
)
_AGAIN: Final = frozenset({Outcome.LOST, Outcome.CRASHED, Outcome.RELEASED})
_CHUNK: Final = 256

Marks = Mapping[str, Mapping[int, set[int]]]
"""Task to execution to the fences under which its handler came to its end."""


@dataclass
class Verdict:
    """The figures, and what speaks against the promises."""

    tasks: int = 0
    executions: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    ran_twice: int = 0
    """Tasks whose handler came to its end in more than one execution, each explained."""
    lost: list[str] = field(default_factory=list)
    stale_accepted: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.stale_accepted or self.other)


async def judge(store: Store, folder: Path, total: int) -> Verdict:
    """Reads everything once all is over."""
    ids = _ids(folder / "acknowledged.jsonl")
    events = await _events(store)
    records = await _records(store, [task for tasks in ids.values() for task in tasks])
    return verdict(total, ids, records, events, read_marks(folder))


def verdict(
    total: int,
    ids: Mapping[int, list[str]],
    records: Mapping[str, TaskRecord],
    events: Mapping[str, list[EventRecord]],
    marks: Marks,
) -> Verdict:
    """The figures, and every violation. `ids` are those acknowledged, by number of their first."""
    found = Verdict()
    tasks = [task for batch in ids.values() for task in batch]
    if len(tasks) != total:
        found.other.append(f"{len(tasks)} of {total} tasks were acknowledged")
    if len(set(tasks)) != len(tasks):
        found.other.append(f"{len(tasks) - len(set(tasks))} ids stand for two tasks")
    found.other += [f"{task}: nobody submitted it" for task in events.keys() - set(tasks)]
    for task in tasks:
        record = records.get(task)
        if record is None:
            found.lost.append(task)
        else:
            _judge_task(found, record, events.get(task, []), marks.get(task, {}))
    found.tasks = len(tasks)
    return found


def _judge_task(
    found: Verdict, record: TaskRecord, events: list[EventRecord], marks: Mapping[int, set[int]]
) -> None:
    task, last = record.task_id, record.last_execution
    found.executions += record.executions
    if record.state is not TaskState.SUCCEEDED or last is None:
        found.other.append(f"{task}: ended as {record.state.name}")
        return
    if record.attempt:
        found.other.append(f"{task}: {record.attempt} attempts were counted for kills")
    if last.number != record.executions or last.fence not in marks.get(last.number, ()):
        found.stale_accepted.append(f"{task}: succeeded by execution {last.number}, not its last")
    leased, outcomes = 0, dict[int, Outcome | None]()
    for event in events:
        if event.kind is EventKind.LEASED:
            if leased in outcomes or not leased:
                leased = event.execution
            else:
                found.other.append(f"{task}: leased again while execution {leased} held it")
        elif event.kind in _ENDS:
            if event.execution != leased or leased in outcomes:
                found.stale_accepted.append(f"{task}: execution {event.execution} ended late")
            outcomes[event.execution] = event.outcome
            found.outcomes[event.outcome.name if event.outcome else "?"] += 1
    ended = [number for number, fences in marks.items() if fences]
    if len(ended) > 1:
        found.ran_twice += 1
        unexplained = [n for n in ended if n != last.number and outcomes.get(n) not in _AGAIN]
        found.other += [f"{task}: execution {n} ran to its end for nothing" for n in unexplained]


def read_marks(folder: Path) -> Marks:
    """What the handlers wrote down."""
    marks: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for path in folder.glob("marks-*.jsonl"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            mark = json.loads(line)
            if mark["phase"] == "end":
                marks[mark["task"]][mark["execution"]].add(mark["fence"])
    return marks


def _ids(path: Path) -> dict[int, list[str]]:
    ids: dict[int, list[str]] = {}
    for first, batch in acknowledged(path):
        ids.setdefault(first, batch)
    return ids


async def _events(store: Store) -> dict[str, list[EventRecord]]:
    found: dict[str, list[EventRecord]] = defaultdict(list)
    start = "-"
    while True:
        entries = await store.connection.read(
            "XRANGE", keys.key(0, "events"), start, "+", "COUNT", 500
        )
        for _, flat in entries:
            for event in decode.events(dict(_pairs(flat))[b"d"]):
                found[event.task_id].append(event)
        if len(entries) < 500:
            return found
        start = f"({entries[-1][0].decode()}"


def _pairs(flat: object) -> Iterable[tuple[bytes, bytes]]:
    if isinstance(flat, dict):
        return flat.items()
    assert isinstance(flat, list)
    return zip(flat[::2], flat[1::2], strict=True)


async def _records(store: Store, ids: list[str]) -> dict[str, TaskRecord]:
    found: dict[str, TaskRecord] = {}
    for start in range(0, len(ids), _CHUNK):
        for record in await store.tasks.read(NAMESPACE, ids[start : start + _CHUNK]):
            if record is not None:
                found[record.task_id] = record
    return found
