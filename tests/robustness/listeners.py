"""Watches and log tails that are read throughout a run, cut off, and taken up again at a cursor."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Final

from penstock import Client, ClientOptions, PenstockError, WatchUpdate
from penstock.errors import CursorExpired, TaskNotFound, TryLater
from robustness.history import Event, Line, Opened, Recorder, now
from robustness.plan import Plan
from robustness.traffic import Known

_PATIENCE: Final = timedelta(seconds=60)


class Listener:
    """One watch of everything. Every few seconds another client takes it up at its cursor."""

    def __init__(self, name: str, address: str, plan: Plan, recorder: Recorder) -> None:
        self.name = name
        self._address = address
        self._rng = plan.rng(name)
        self._recorder = recorder
        self._cursor = ""
        self._begun = 0

    async def run(self, over: asyncio.Event) -> None:
        """Listens until it is over."""
        while not over.is_set():
            try:
                await self._listen(over, self._rng.uniform(2, 12))
            except CursorExpired:
                self._cursor = ""
                self._recorder.add(Opened(watch=self._segment, at=now(), reason="CURSOR_EXPIRED"))
            except PenstockError:
                await asyncio.sleep(0.2)

    @property
    def _segment(self) -> str:
        return f"{self.name}#{self._begun}"

    async def _listen(self, over: asyncio.Event, seconds: float) -> None:
        options = ClientOptions(address=self._address, stream_patience=_PATIENCE)
        async with Client(options) as client, aclosing(client.watch(cursor=self._cursor)) as watch:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    async for update in watch:
                        self._take(update)
                        if over.is_set():
                            return

    def _take(self, update: WatchUpdate) -> None:
        if not self._cursor:
            self._begun += 1
            self._recorder.add(Opened(watch=self._segment, at=now()))
        self._cursor = update.cursor
        for event in update.events:
            self._recorder.add(
                Event(
                    task=event.task_id,
                    kind=int(event.kind),
                    sequence=event.sequence,
                    state=int(event.state),
                    execution=event.execution,
                    outcome=int(event.outcome),
                    attempt=event.attempt,
                    at=event.time.timestamp() if event.time else 0.0,
                    queue=event.queue,
                    reason=int(event.cancel_reason),
                    session=event.worker_session_id,
                    type=event.task_type,
                    watch=self._segment,
                )
            )


class Tailer:
    """Follows the log of one task after the other, to its end."""

    def __init__(
        self, name: str, address: str, plan: Plan, recorder: Recorder, known: Known
    ) -> None:
        self.name = name
        self._rng = plan.rng(name)
        self._recorder = recorder
        self._known = known
        self._options = ClientOptions(address=address, stream_patience=_PATIENCE)
        self._count = 0

    async def run(self, over: asyncio.Event) -> None:
        """Tails until it is over."""
        async with Client(self._options) as client:
            while not over.is_set():
                if self._known.tasks:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._rng.uniform(1, 10)):
                            await self._follow(client, self._rng.choice(self._known.tasks[-10:]))
                await asyncio.sleep(0.1)

    async def _follow(self, client: Client, task: str) -> None:
        self._count += 1
        tail, lines = f"{self.name}.{self._count}", 0
        try:
            async with aclosing(client.tail_logs(task, follow=True)) as answers:
                async for line in answers:
                    lines += 1
                    self._recorder.add(
                        Line(tail=tail, task=task, execution=line.execution, number=line.number)
                    )
        except (TaskNotFound, CursorExpired, TryLater):
            return
        self._recorder.add(Line(tail=tail, task=task, execution=0, number=lines, end=True))
