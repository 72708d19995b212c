"""Collects the results of many tasks: one watch tells what has ended, some readers fetch it.

A watch carries events and no results, so it stays small however large the results are. It is begun
before the first task is submitted, and goes on across restarts of the server without a gap, so no
end is missed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from penstock import Client, ExecutionOutcome, Task, TaskState, WatchUpdate

READERS = 16


@dataclass
class Counts:
    """What the watch has seen so far."""

    ended: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """Executions that did not succeed, by how they ended."""


@dataclass
class Collector:
    """The ended tasks of one queue, by task id."""

    client: Client
    queue: str
    on_end: Callable[[Counts], None]
    counts: Counts = field(default_factory=Counts)
    tasks: dict[str, Task] = field(default_factory=dict)
    _ended: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self, begun: asyncio.Event) -> None:
        """Collects until it is cancelled. Sets `begun` once no event can be missed any more."""
        async with asyncio.TaskGroup() as group:
            for _ in range(READERS):
                group.create_task(self._read())
            async with aclosing(self.client.watch(queues=[self.queue])) as updates:
                await self._watch(updates, begun)

    async def wait_for(self, task_ids: set[str], patience: float) -> bool:
        """Waits for the results of all these tasks; False if none came for `patience` seconds."""
        async with self._arrived:
            while not task_ids <= self.tasks.keys():
                try:
                    await asyncio.wait_for(self._arrived.wait(), patience)
                except TimeoutError:
                    return False
        return True

    async def _watch(
        self, updates: AsyncGenerator[WatchUpdate, None], begun: asyncio.Event
    ) -> None:
        async for update in updates:
            begun.set()
            for event in update.events:
                if event.outcome not in (
                    ExecutionOutcome.UNSPECIFIED,
                    ExecutionOutcome.SUCCEEDED,
                ):
                    self.counts.outcomes[event.outcome.name] += 1
                if event.state.ended:
                    self.counts.ended += 1
                    self._ended.put_nowait(event.task_id)
                    self.on_end(self.counts)

    async def _read(self) -> None:
        while True:
            task = await self.client.get(await self._ended.get())
            async with self._arrived:
                self.tasks[task.task_id] = task
                self._arrived.notify_all()


def succeeded(task: Task | None) -> bool:
    """Whether a task is there and ended well."""
    return task is not None and task.state is TaskState.SUCCEEDED
