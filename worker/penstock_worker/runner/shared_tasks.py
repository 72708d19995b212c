"""Runs coroutines on the event loop; those that end without ever waiting share an asyncio task.

A task of its own costs more than everything else that is done for a handler which answers at once.
So coroutines begin one after the other in one task, each in context variables of its own. The first
one that waits keeps that task to itself, and from then on its kind gets a task each from the start.
To the coroutine there is no difference: it is always inside a task, and nothing that another one
sets or awaits reaches it. Only what is kept under the task object itself can be met again (see
docs/decisions/0011).
"""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Coroutine, Generator, Iterator
from typing import Any, Final, TypeAlias

_ENDED: Final = object()

# number, kind, coroutine, its context variables
_Start: TypeAlias = tuple[int, str, Coroutine[Any, None, None], contextvars.Context]


class SharedTasks:
    """The coroutines of one event loop, by number; whoever starts one forgets it at its end."""

    def __init__(self) -> None:
        self.by_number: dict[int, asyncio.Task[None]] = {}
        """The task that each coroutine is in, or will begin in."""
        self._loop = asyncio.get_running_loop()
        self._waiting_kinds: set[str] = set()
        """Kinds of which one has waited for something."""
        self._next: list[_Start] = []
        """What begins together in the task that is scheduled, if there is anything."""
        self._scheduled: asyncio.Task[None] | None = None

    def start(self, number: int, kind: str, coroutine: Coroutine[Any, None, None]) -> None:
        """Begins a coroutine in the next turn of the loop. It must not raise."""
        self._begin((number, kind, coroutine, contextvars.copy_context()))

    def _begin(self, start: _Start) -> None:
        number, kind, coroutine, variables = start
        if kind in self._waiting_kinds:
            self.by_number[number] = self._loop.create_task(coroutine, context=variables)
            return
        if self._scheduled is None:
            self._scheduled = self._loop.create_task(self._run_together())
            self._scheduled.add_done_callback(self._begin_again)
        self._next.append(start)
        self.by_number[number] = self._scheduled

    async def _run_together(self) -> None:
        starts = self._take()
        try:
            await self._run_in_turn(starts)
        finally:
            self._restart(starts)

    async def _run_in_turn(self, starts: Iterator[_Start]) -> None:
        """Runs one after the other, up to one that keeps this task or has spoilt it for others."""
        task = _current_task()
        for number, kind, coroutine, variables in starts:
            # Here and not in a function: most handlers end in this one step.
            try:
                awaited = variables.run(coroutine.send, None)
            except StopIteration:
                if task.cancelling():  # by the coroutine itself: no one else is to be cancelled
                    return
                continue
            self.by_number[number] = task
            self._waiting_kinds.add(kind)
            self._restart(starts)
            await _go_on(variables, coroutine, awaited)
            return

    def _begin_again(self, task: asyncio.Task[None]) -> None:
        """Begins in another task what was to begin in one that was cancelled before it ran."""
        if self._scheduled is task:
            self._restart(self._take())

    def _take(self) -> Iterator[_Start]:
        """What was to begin in the scheduled task; whatever comes from now on gets another one."""
        starts, self._next, self._scheduled = iter(self._next), [], None
        return starts

    def _restart(self, starts: Iterator[_Start]) -> None:
        """Begins in other tasks what has not begun here."""
        for start in starts:
            self._begin(start)


def _current_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("coroutines run together outside of any task")
    return task


@types.coroutine
def _go_on(
    variables: contextvars.Context, coroutine: Coroutine[Any, None, None], awaited: object
) -> Generator[Any, None, None]:
    """Runs the rest of a coroutine that waits for something."""
    while awaited is not _ENDED:
        thrown = None
        try:
            yield awaited
        except BaseException as error:
            # Not thrown on from here: it would become the context of what the coroutine raises
            # later.
            thrown = _without_own_frame(error)
        awaited = _step(variables, coroutine, thrown)


def _without_own_frame(error: BaseException) -> BaseException:
    """Takes the caller's frame away: people look for the place where their own code waited."""
    trace = error.__traceback__
    return error.with_traceback(trace.tb_next if trace is not None else None)


def _step(
    variables: contextvars.Context,
    coroutine: Coroutine[Any, None, None],
    thrown: BaseException | None,
) -> object:
    """Runs a coroutine up to its next wait; answers what it waits for, or that it has ended."""
    try:
        if thrown is not None:
            return variables.run(coroutine.throw, thrown)
        return variables.run(coroutine.send, None)
    except StopIteration:
        return _ENDED
