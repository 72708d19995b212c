"""Kind of handler × misbehaviour: its own execution ends rightly, the others go on.

One worker takes it all, one cell after the other, so each cell begins with what the ones before
have left. Beside each runs one companion of every kind. The table in docs/how-to/handlers.md is
made of what is held here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from penstock_worker import crew
from support.fake_worker_service import FakeTask, FakeWorkerService
from support.running_worker import running_worker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("misbehaviour"),
]

TESTS: Final = Path(__file__).parents[2]
HANDLERS: Final = "support.misbehaving_handlers:worker"
TERM: Final = 2.0
#: Every execution may run so long; the tables say "at its time".
TIME: Final = 0.4
UNRESPONSIVE: Final = timedelta(seconds=1)
#: A generous bound of what the table calls "at once" and "at its time".
WITHIN: Final = 15.0

COMPANIONS: Final = ("async", "thread", "isolated")
ASYNC, THREAD = "async", "thread"
ISOLATED, ISOLATED_ASYNC = "isolated", "isolated.async"
SHARED: Final = (ASYNC, THREAD)
ALONE: Final = (ISOLATED, ISOLATED_ASYNC)
KINDS: Final = SHARED + ALONE


@dataclass(frozen=True)
class Cell:
    """What a misbehaviour leads to."""

    outcome: str
    kind: str = ""
    """Kind of the failure."""
    crashes_runner: bool = False
    """True if everything else in the shared runner crashes too."""
    is_timed: bool = False
    """True if the execution is ended by its timeout."""


DONE: Final = Cell("SUCCEEDED")
CRASH: Final = Cell("CRASHED", "penstock_worker.RunnerDied")
CRASH_OF_ALL: Final = Cell("CRASHED", "penstock_worker.RunnerDied", crashes_runner=True)
TIMED: Final = Cell("TIMED_OUT", "penstock_worker.TimedOut", is_timed=True)
TIMED_THEN_CRASH: Final = Cell(
    "TIMED_OUT", "penstock_worker.TimedOut", crashes_runner=True, is_timed=True
)
UNENCODABLE: Final = Cell("FAILED", "penstock_worker.errors.ResultError")
UNPICKLABLE: Final = Cell("FAILED", "support.misbehaving_handlers.Unpicklable")


def everywhere(cell: Cell) -> dict[str, Cell]:
    return dict.fromkeys(KINDS, cell)


def by_runner(shared: Cell, alone: Cell) -> dict[str, Cell]:
    return dict.fromkeys(SHARED, shared) | dict.fromkeys(ALONE, alone)


MATRIX: Final[dict[str, dict[str, Cell]]] = {
    "fail": everywhere(Cell("FAILED", "ValueError")),
    "fail_unpicklable": everywhere(UNPICKLABLE),
    "answer_unencodable": everywhere(UNENCODABLE),
    "exit_politely": everywhere(Cell("FAILED", "SystemExit")),
    "flood": everywhere(DONE),
    "flood_at_once": everywhere(DONE),
    "close_output": everywhere(DONE),
    "close_descriptors": dict.fromkeys(ALONE, DONE),
    "fork": everywhere(DONE),
    "fork_and_return": everywhere(DONE),
    "use_up_descriptors": dict.fromkeys(ALONE, DONE),
    "grow": dict.fromkeys(ALONE, Cell("FAILED", "penstock_worker.MemoryLimit")),
    "hold_gil": everywhere(DONE),
    "block": everywhere(TIMED) | {ASYNC: TIMED_THEN_CRASH},
    "burn": everywhere(TIMED) | {ASYNC: TIMED_THEN_CRASH},
    "ignore_sigterm": everywhere(TIMED) | {ASYNC: TIMED_THEN_CRASH},
    "hold_gil_for_ever": by_runner(TIMED_THEN_CRASH, TIMED),
    "exit_at_once": by_runner(CRASH_OF_ALL, CRASH),
    "kill_itself": by_runner(CRASH_OF_ALL, CRASH),
    "stop_itself": by_runner(TIMED_THEN_CRASH, TIMED),
}

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


async def start(service: FakeWorkerService, task_type: str, path: Path, **spec: Any) -> FakeTask:
    task = await service.submit(task_type, str(path), **spec)
    await task.until(lambda task: task.items)
    return task


@pytest.mark.parametrize(("name", "kind", "cell"), CELLS)
async def test_execution_ends_as_the_table_says_and_the_others_go_on(
    crowds: dict[bool, FakeWorkerService], tmp_path: Path, name: str, kind: str, cell: Cell
) -> None:
    crowd = crowds[cell.crashes_runner and cell.is_timed]
    over = tmp_path / "over"
    spec = {"timeouts": {"start_to_close": {"nanos": int(TIME * 1e9)}}} if cell.is_timed else {}
    async with asyncio.timeout(WITHIN):
        companions = {kind: await start(crowd, f"companion.{kind}", over) for kind in COMPANIONS}

        task = await crowd.submit(f"{name}.{kind}", str(over), **spec)
        await task.ended.wait()
        if cell.crashes_runner:
            for companion in SHARED:
                await companions[companion].ended.wait()
        over.touch()
        for companion in companions.values():
            await companion.ended.wait()

    failure = task.failure.kind if task.kind == "fail" else ""
    assert (task.outcome, failure) == (cell.outcome, cell.kind)
    shared = "CRASHED" if cell.crashes_runner else "SUCCEEDED"
    assert {kind: task.outcome for kind, task in companions.items()} == {
        "async": shared,
        "thread": shared,
        "isolated": "SUCCEEDED",
    }
    assert crowd.late == set()
