"""Coroutines that share an asyncio task do not notice each other."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import traceback
from collections.abc import Coroutine
from typing import Any

from penstock_worker.runner.shared_tasks import SharedTasks

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")


async def settle() -> None:
    """Waits until everything that was started has ended."""
    this = asyncio.current_task()
    while others := [task for task in asyncio.all_tasks() if task is not this]:
        await asyncio.wait(others)


def start_all(shared: SharedTasks, *coroutines: Coroutine[Any, None, None]) -> None:
    for number, coroutine in enumerate(coroutines):
        shared.start(number, "kind", coroutine)


async def test_coroutines_that_never_wait_run_in_order_in_one_task() -> None:
    seen: list[tuple[int, asyncio.Task[Any] | None]] = []

    async def note(number: int) -> None:
        seen.append((number, asyncio.current_task()))

    shared = SharedTasks()
    start_all(shared, *(note(number) for number in range(3)))
    began_at_once = bool(seen)
    await settle()

    assert not began_at_once
    assert [number for number, _ in seen] == [0, 1, 2]
    assert len({task for _, task in seen}) == 1
    assert seen[0][1] is not None


async def test_what_a_coroutine_sets_in_context_variables_no_other_one_sees() -> None:
    seen: list[str] = []

    async def note(value: str, *, wait: bool) -> None:
        seen.append(variable.get())
        variable.set(value)
        if wait:
            await asyncio.sleep(0)
            seen.append(variable.get())

    shared = SharedTasks()
    start_all(shared, note("a", wait=False), note("b", wait=True), note("c", wait=False))
    await settle()

    assert seen == ["", "", "", "b"]
    assert variable.get() == ""


async def test_a_coroutine_sees_the_context_variables_of_the_place_that_started_it() -> None:
    seen: list[str] = []

    async def note() -> None:
        seen.append(variable.get())

    shared = SharedTasks()
    for number, value in enumerate(("a", "b")):
        variable.set(value)
        shared.start(number, "kind", note())
    variable.set("")
    await settle()

    assert seen == ["a", "b"]


async def test_coroutines_that_wait_have_a_task_each_and_wait_together() -> None:
    tasks: set[asyncio.Task[Any] | None] = set()
    all_in = asyncio.Barrier(4)

    async def meet() -> None:
        async with asyncio.timeout(2):
            await all_in.wait()
        tasks.add(asyncio.current_task())

    shared = SharedTasks()
    start_all(shared, *(meet() for _ in range(4)))
    await settle()

    assert len(tasks) == 4


async def test_a_cancel_reaches_the_coroutine_that_waits_and_no_other() -> None:
    ended: list[str] = []
    go = asyncio.Event()

    async def wait(name: str) -> None:
        try:
            await go.wait()
        except asyncio.CancelledError:
            ended.append(f"{name} cancelled")
        else:
            ended.append(name)

    async def at_once(name: str) -> None:
        ended.append(name)

    shared = SharedTasks()
    start_all(shared, at_once("a"), wait("b"), wait("c"), at_once("d"))
    await asyncio.sleep(0)
    shared.by_number[1].cancel()
    await asyncio.wait([shared.by_number[1]])
    go.set()
    await settle()

    assert ended == ["a", "d", "b cancelled", "c"]


async def test_coroutines_whose_task_was_cancelled_before_it_began_run_all_the_same() -> None:
    ended: list[int] = []

    async def end(number: int) -> None:
        ended.append(number)

    shared = SharedTasks()
    shared.start(1, "kind", end(1))
    shared.by_number[1].cancel()
    shared.start(2, "kind", end(2))
    await settle()

    assert ended == [1, 2]


async def test_a_coroutine_that_cancels_its_own_task_leaves_the_others_alone() -> None:
    ended: list[str] = []

    async def cancel_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async def wait() -> None:
        await asyncio.sleep(0)
        ended.append("waited")

    shared = SharedTasks()
    start_all(shared, cancel_itself(), wait())
    await settle()

    assert ended == ["waited"]


async def test_an_exception_of_a_coroutine_knows_nothing_of_a_cancel_that_it_survived() -> None:
    contexts: list[BaseException | None] = []

    async def survive() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        try:
            raise ValueError
        except ValueError as error:
            contexts.append(error.__context__)

    shared = SharedTasks()
    start_all(shared, survive())
    await asyncio.sleep(0)
    shared.by_number[0].cancel()
    await settle()

    assert contexts == [None]


async def test_the_stack_of_a_cancel_ends_where_the_coroutine_waited() -> None:
    names: list[str] = []

    async def wait_here() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError as error:
            names.extend(frame.name for frame in traceback.extract_tb(error.__traceback__))

    shared = SharedTasks()
    start_all(shared, wait_here())
    await asyncio.sleep(0)
    shared.by_number[0].cancel()
    await settle()

    assert names == ["wait_here"]


async def test_a_coroutine_that_raises_does_not_keep_the_others_from_running() -> None:
    ended: list[str] = []
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, facts: complaints.append(facts))

    async def fail() -> None:
        raise MemoryError

    async def end() -> None:
        ended.append("ended")

    shared = SharedTasks()
    start_all(shared, fail(), end())
    task = shared.by_number[0]
    await settle()

    assert ended == ["ended"]
    assert isinstance(task.exception(), MemoryError)
