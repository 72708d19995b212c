from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest

from penstock_worker import Retry, Worker, WorkerOptions, WorkerStartError


async def handler() -> None: ...


@pytest.mark.parametrize("task_type", ["", ".hidden", "with space", "x" * 129, "a/b"])
def test_type_that_the_contract_forbids_is_refused(task_type: str) -> None:
    with pytest.raises(ValueError, match="no task type"):
        Worker().task(task_type)(handler)


def test_type_has_one_handler() -> None:
    worker = Worker()
    worker.task("a")(handler)

    with pytest.raises(ValueError, match="already has a handler"):
        worker.task("a")(handler)


def test_included_worker_brings_its_handlers() -> None:
    worker, other = Worker(), Worker()
    other.task("b", timeout=timedelta(seconds=3))(handler)

    worker.include(other)

    assert [h.describe().timeout for h in worker.registry] == [3.0]


def test_policies_out_of_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="not above zero"):
        Worker().task("a", timeout=timedelta(0))(handler)
    with pytest.raises(ValueError, match="at least 1"):
        Retry(max_attempts=0)
    with pytest.raises(ValueError, match="slots is 0"):
        WorkerOptions(slots=0)
    with pytest.raises(TypeError, match="one string"):
        Worker(queues="default")


def test_worker_that_nobody_can_load_says_so() -> None:
    with pytest.raises(WorkerStartError, match="not a global"):
        Worker().target()


def test_runner_and_everything_that_handlers_import_load_no_grpc() -> None:
    program = (
        "import sys, penstock_worker, penstock_worker.runner.process, penstock_worker.testing,"
        " penstock_worker.builtin; sys.exit('grpc' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_public_names_are_all_there_and_sorted() -> None:
    import penstock_worker

    assert sorted(penstock_worker.__all__) == penstock_worker.__all__
    assert all(hasattr(penstock_worker, name) for name in penstock_worker.__all__)
