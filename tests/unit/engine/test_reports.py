"""In which order those who have to do with an end hear of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from penstock_server.engine.background import Background
from penstock_server.engine.endings import Endings
from penstock_server.engine.reports import Report, Reports, Verb
from penstock_server.model.lease_token import LeaseToken
from penstock_server.model.lifecycle import Outcome, TaskState
from penstock_server.model.records import TaskRecord

TASK = TaskRecord(
    namespace="default",
    task_id="01" + "a" * 24,
    state=TaskState.SUCCEEDED,
    queue="q",
    task_type="work",
    sequence=3,
    create_ms=1,
    update_ms=2,
    due_ms=1,
)


class FakeLeases:
    """Takes every end, and knows the task that it is of."""

    async def complete(
        self, rows: list[Any], *, awaited: set[str], server_id: str
    ) -> list[TaskRecord]:
        assert awaited == {TASK.task_id}
        return [TASK for _ in rows]


class Observer:
    """Counts ends."""

    count = 0

    def ended(self, namespace: str, outcome: Outcome, count: int) -> None:
        self.count += count


async def test_who_waits_for_a_result_is_answered_before_the_worker_that_brought_it():
    store: Any = FakeLeases()
    counts: Any = Observer()
    endings, answered = Endings(store, "server", Background()), list[str]()
    reports = Reports(store, counts, endings, "server")

    async def wait() -> None:
        found = await endings.wait(
            TASK.namespace, TASK.task_id, timedelta(minutes=1), registered=True
        )
        assert found is TASK
        answered.append("who waits")

    async def report() -> None:
        token = LeaseToken(TASK.task_id, 1, b"")
        (answer,) = await reports.carry_out(TASK.namespace, "s", [Report(token, Verb.COMPLETE)])
        assert answer.error is None
        answered.append("the worker")

    async with asyncio.TaskGroup() as group:
        group.create_task(wait())
        group.create_task(report())

    assert answered == ["who waits", "the worker"]
    assert counts.count == 1
