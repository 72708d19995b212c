"""Looks at the store when everything is over: its events, its tasks, and its own consistency.

The events are read from the store itself and not through the service, so that a watch can be
compared with what was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from penstock import Client, ClientOptions
from penstock.errors import TaskNotFound
from penstock_server.model.records import EventRecord
from penstock_server.store import decode, keys
from penstock_server.store.store import Store, open_store
from robustness.history import Event, History, Note, Recorder, Standing
from robustness.plan import Plan
from support.invariants import check_invariants

_TOGETHER = 32
_LOGS_EVERY = 5


async def look(
    plan: Plan, store_url: str, address: str, recorder: Recorder, tasks: Iterable[str]
) -> None:
    """Records the store's events, each task as the service tells it, and the store's own check."""
    store = await open_store(store_url, partitions=plan.partitions)
    try:
        for partition in range(plan.partitions):
            await _events(store, partition, recorder)
        recorder.add(Note(name="invariants", value=await _invariants(store)))
    finally:
        await store.close()
    known = {event.task for event in recorder.history.events} | set(tasks)
    async with Client(ClientOptions(address=address)) as client:
        await _finals(client, sorted(known), recorder)


async def still_open(store: Store, partitions: int) -> int:
    """How many tasks have not ended."""
    total = 0
    for partition in range(partitions):
        fields = await store.connection.read("HGETALL", keys.key(partition, "backlog"))
        named = fields if isinstance(fields, dict) else dict(zip(*[iter(fields)] * 2, strict=True))
        total += sum(int(n) for name, n in named.items() if name.endswith(b":n"))
    return total


async def _events(store: Store, partition: int, recorder: Recorder) -> None:
    start, key = "-", keys.key(partition, "events")
    while True:
        entries = await store.connection.read("XRANGE", key, start, "+", "COUNT", 500)
        for _, flat in entries:
            named = flat if isinstance(flat, dict) else dict(zip(*[iter(flat)] * 2, strict=True))
            for record in decode.events(named[b"d"]):
                recorder.add(_event(record, partition))
        if len(entries) < 500:
            return
        start = f"({entries[-1][0].decode()}"


def _event(record: EventRecord, partition: int) -> Event:
    return Event(
        task=record.task_id,
        kind=int(record.kind),
        sequence=record.sequence,
        state=int(record.state),
        execution=record.execution,
        outcome=int(record.outcome or 0),
        attempt=record.attempt,
        at=record.time_ms / 1000,
        queue=record.queue,
        type=record.task_type,
        reason=int(record.cancel_reason or 0),
        session=record.session_id,
        partition=partition,
    )


async def _invariants(store: Store) -> str:
    try:
        await check_invariants(store)
    except AssertionError as error:
        return str(error) or "an invariant of the store does not hold"
    return ""


async def _finals(client: Client, tasks: list[str], recorder: Recorder) -> None:
    gate = asyncio.Semaphore(_TOGETHER)

    async def one(number: int, task: str) -> None:
        async with gate:
            recorder.add(await _final(client, task, logs=number % _LOGS_EVERY == 0))

    async with asyncio.TaskGroup() as group:
        for number, task in enumerate(tasks):
            group.create_task(one(number, task))


async def _final(client: Client, task_id: str, *, logs: bool) -> Standing:
    try:
        task = await client.get(task_id)
        executions = [execution async for execution in client.executions(task_id)]
    except TaskNotFound:
        return Standing(task=task_id, state=0)
    result: Any = task.result if isinstance(task.result, dict) else {}
    kept = [[e.number, int(e.outcome), e.fence] for e in executions]
    payload = task.payload if isinstance(task.payload, dict) else {}
    return Standing(
        task=task_id,
        state=int(task.state),
        marker=str(payload.get("m", "")),
        attempt=task.attempt,
        executions=task.execution_count,
        crashes=task.crash_count,
        result_execution=result.get("execution", 0),
        result_fence=result.get("fence", 0),
        kept=sorted(kept),
        lines=await _lines(client, task_id) if logs else [],
    )


async def _lines(client: Client, task_id: str) -> list[list[int]]:
    counts: dict[int, int] = {}
    async for line in client.tail_logs(task_id):
        counts[line.execution] = counts.get(line.execution, 0) + 1
    return [[execution, count] for execution, count in sorted(counts.items())]


def acknowledged(history: History) -> set[str]:
    """Ids that clients were answered."""
    return {call.task for call in history.calls if call.task}
