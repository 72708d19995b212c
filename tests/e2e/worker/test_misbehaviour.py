"""Kind of handler × misbehaviour: its own execution ends rightly, the others go on.

One worker takes it all, one cell after the other, so each cell begins with what the ones before
have left. Beside each runs one companion of every kind. The table in docs/how-to/handlers.md is
made of what is held here.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from penstock_worker import crew
from support.fake_worker_service import FakeTask, FakeWorkerService
from support.misbehaving_handlers import CHILDREN, MEGABYTE
from support.misbehaviour import ALONE, ASYNC, INLINE, KINDS, MATRIX, SHARED, THREAD, Cell
from support.running_worker import eventually, is_alive, running_worker
from support.worker_process import worker_process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("misbehaviour"),
]

TESTS: Final = Path(__file__).parents[2]
HANDLERS: Final = "support.misbehaving_handlers:worker"
TERM: Final = 2.0
INLINE_TERM: Final = 6.0
"""Longer: what shares its loop with renewals may hold them up, on a busy machine for seconds."""
#: Every execution may run so long; the tables say "at its time".
TIME: Final = 0.4
UNRESPONSIVE: Final = timedelta(seconds=1)
#: A generous bound of what the table calls "at once" and "at its time".
WITHIN: Final = 15.0

COMPANIONS: Final = ("async", "thread", "isolated")

CELLS: Final = [
    pytest.param(name, kind, cell, id=f"{name}-{kind}")
    for name, row in MATRIX.items()
    for kind, cell in row.items()
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowds() -> AsyncIterator[dict[bool, FakeWorkerService]]:
    """Two servers with a worker each that has all the cells; the second soon loses patience."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        patch.setattr(crew, "LONGEST_BACKOFF", 0.2)  # so many deaths in a row are for tests only
        async with (
            FakeWorkerService(term=TERM) as service,
            FakeWorkerService(term=TERM) as other,
            running_worker(service.address, HANDLERS),
            running_worker(other.address, HANDLERS, unresponsive_after=UNRESPONSIVE),
        ):
            yield {False: service, True: other}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def inline(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[FakeWorkerService]:
    """A server with an inline worker, which is a process: handlers do to it what they like."""
    async with (
        FakeWorkerService(term=INLINE_TERM) as service,
        worker_process(service.address, HANDLERS, tmp_path_factory.mktemp("inline"), "--inline"),
    ):
        yield service


@pytest.fixture
def path_to_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


async def start(service: FakeWorkerService, task_type: str, path: Path, **spec: Any) -> FakeTask:
    task = await service.submit(task_type, str(path), **spec)
    await task.until(lambda task: task.items)
    return task


async def see_it_through(
    service: FakeWorkerService, path: Path, name: str, kind: str, cell: Cell
) -> tuple[FakeTask, dict[str, FakeTask]]:
    """Runs the misbehaviour beside its companions; answers their tasks, which have ended."""
    over = path / "over"
    spec = {"timeouts": {"start_to_close": {"nanos": int(TIME * 1e9)}}} if cell.is_timed else {}
    async with asyncio.timeout(WITHIN):
        beside = {each: await start(service, f"companion.{each}", over) for each in COMPANIONS}
        task = await service.submit(f"{name}.{kind}", str(over), **spec)
        await task.ended.wait()
        if cell.crashes_runner:
            for each in SHARED:
                await beside[each].ended.wait()
        over.touch()
        for companion in beside.values():
            await companion.ended.wait()
    return task, beside


def ending(task: FakeTask) -> tuple[str, str]:
    return task.outcome, task.failure.kind if task.kind == "fail" else ""


@pytest.mark.parametrize(("name", "kind", "cell"), CELLS)
async def test_execution_ends_as_the_table_says_and_the_others_go_on(
    crowds: dict[bool, FakeWorkerService], tmp_path: Path, name: str, kind: str, cell: Cell
) -> None:
    service = crowds[cell.crashes_runner and cell.is_timed]

    task, beside = await see_it_through(service, tmp_path, name, kind, cell)

    shared = "CRASHED" if cell.crashes_runner else "SUCCEEDED"
    outcomes = {each: companion.outcome for each, companion in beside.items()}
    assert ending(task) == (cell.outcome, cell.kind)
    assert outcomes == {"async": shared, "thread": shared, "isolated": "SUCCEEDED"}
    assert service.late == set()
    if name.startswith("flood"):
        assert "output cut here" in task.texts[-1]
        assert len(task.texts) <= 10_001
    if name == "fork" and kind in SHARED:
        os.kill(task.result[-1], signal.SIGKILL)  # it has left the group, and so lives on
    if name == "fork" and kind in ALONE:
        await eventually(lambda: not any(map(is_alive, task.result)))
        assert "50 processes" in task.texts[-1]


@pytest.mark.parametrize("kind", [ASYNC, THREAD])
@pytest.mark.parametrize(("name", "cell"), INLINE.items())
async def test_inline_handler_ends_as_the_table_says_and_the_others_go_on(
    inline: FakeWorkerService, tmp_path: Path, name: str, kind: str, cell: Cell
) -> None:
    task, beside = await see_it_through(inline, tmp_path, name, kind, cell)

    assert ending(task) == (cell.outcome, cell.kind)
    assert not name.startswith("flood") or "output cut here" in task.texts[-1]
    assert {companion.outcome for companion in beside.values()} == {"SUCCEEDED"}
    assert inline.late == set()


async def test_children_of_a_shared_handler_die_with_its_runner(path_to_tests: None) -> None:
    async with FakeWorkerService() as service, running_worker(service.address, HANDLERS):
        task = await service.submit("fork.thread", "")
        await task.ended.wait()
        *in_group, elsewhere = task.result
        lived = [pid for pid in in_group if is_alive(pid)]

        death = await service.submit("kill_itself.thread", "")
        await death.ended.wait()
        await eventually(lambda: not any(map(is_alive, in_group)))
    os.kill(elsewhere, signal.SIGKILL)  # in a session of its own; the docs say so

    assert lived == in_group


async def test_children_that_left_the_group_of_an_isolated_handler_die_when_it_is_stopped(
    path_to_tests: None, tmp_path: Path
) -> None:
    spec = {"timeouts": {"start_to_close": {"seconds": 1}}}
    async with FakeWorkerService() as service, running_worker(service.address, HANDLERS):
        task = await service.submit("fork_and_block.isolated", str(tmp_path / "pids"), **spec)
        await task.ended.wait()
        pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
        await eventually(lambda: not any(map(is_alive, pids)))

    assert task.outcome == "TIMED_OUT"
    assert len(pids) == CHILDREN


async def test_large_results_of_many_executions_at_once_arrive_whole(path_to_tests: None) -> None:
    async with FakeWorkerService() as service, running_worker(service.address, HANDLERS):
        tasks = [await service.submit(f"large.{kind}", "") for kind in KINDS * 4]
        for task in tasks:
            await task.ended.wait()

    assert {len(task.result) for task in tasks} == {3 * MEGABYTE}


async def test_what_ends_strangely_ends_all_the_same(path_to_tests: None) -> None:
    async with FakeWorkerService() as service, running_worker(service.address, HANDLERS):
        tasks = [await service.submit(f"end_strangely.{kind}", "") for kind in KINDS]
        for task in tasks:
            await task.ended.wait()

    assert {ending(task) for task in tasks} == {("FAILED", "GeneratorExit")}
