"""How a worker ends: drain, hurry, death; and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from penstock.v1 import execution_pb2, worker_pb2
from support.fake_worker_service import FakeWorkerService
from support.running_worker import eventually, is_alive, running_worker


@asynccontextmanager
async def worker_program(
    service: FakeWorkerService, *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs `python -m penstock_worker`, as people do."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "penstock_worker", "support.worker_handlers:worker"),
        *("--address", service.address, "--isolated-slots", "1", *arguments),
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await service.until(lambda: service.polls)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def runner_pids(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


async def test_sigterm_lets_handlers_finish_and_leases_nothing_more(
    service: FakeWorkerService,
) -> None:
    async with worker_program(service) as process:
        task = await service.submit("sleep", 0.7)
        await task.until(lambda task: "accept" in task.kinds())

        process.send_signal(signal.SIGTERM)
        await service.until(lambda: service.polls[-1].max_tasks == 0)
        late = await service.submit("echo", 1)
        status = await process.wait()

    assert status == 0
    assert task.outcome == "SUCCEEDED"
    assert not late.leased.is_set()


@pytest.mark.parametrize("task_type", ["sleep", "deaf.thread"])
async def test_what_outlives_the_grace_is_given_back(
    service: FakeWorkerService, task_type: str
) -> None:
    async with worker_program(service, "--drain-grace", "0.2") as process:
        task = await service.submit(task_type, 30)
        await task.until(lambda task: "accept" in task.kinds())

        process.send_signal(signal.SIGTERM)
        status = await process.wait()

    assert status == 0
    assert task.outcome == "RELEASED"
    assert task.ending is not None
    assert task.ending.release.reason == execution_pb2.RELEASE_REASON_SHUTDOWN


async def test_second_signal_skips_the_grace(service: FakeWorkerService) -> None:
    async with worker_program(service, "--drain-grace", "300") as process:
        task = await service.submit("sleep", 300)
        await task.until(lambda task: "accept" in task.kinds())

        process.send_signal(signal.SIGINT)
        await service.until(lambda: service.polls[-1].max_tasks == 0)
        process.send_signal(signal.SIGINT)
        status = await process.wait()

    assert status == 0
    assert task.outcome == "RELEASED"


async def test_death_of_the_supervisor_ends_every_process_that_it_started(
    service: FakeWorkerService, tmp_path: Path
) -> None:
    async with worker_program(service) as process:
        await service.submit("deaf.isolated", str(tmp_path / "pids"))
        await eventually((tmp_path / "pids").exists)
        pids = runner_pids(process.pid)

        process.kill()
        await eventually(lambda: not any(map(is_alive, pids)))

    assert len(pids) >= 3  # two runners and what the handler started


async def test_server_can_drain_a_worker(service: FakeWorkerService) -> None:
    async with worker_program(service) as process:
        task = await service.submit("sleep", 0.3)
        await task.leased.wait()

        await service.direct(drain=worker_pb2.DrainDirective(reason="upgrade"))
        status = await process.wait()

    assert status == 0
    assert task.outcome == "SUCCEEDED"


async def test_reconnect_directive_brings_a_new_connection_and_loses_nothing(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address):
        task = await service.submit("sleep", 0.3)
        await task.leased.wait()

        await service.direct(reconnect=worker_pb2.ReconnectDirective(reason="restart"))
        await service.until(lambda: not service.directives)
        other = await service.submit("echo", 1)
        await task.ended.wait()
        await other.ended.wait()

    assert (task.outcome, other.outcome) == ("SUCCEEDED", "SUCCEEDED")


async def test_lease_that_comes_while_draining_is_given_back(
    service: FakeWorkerService,
) -> None:
    async with running_worker(service.address, drain_grace=timedelta(seconds=20)) as process:
        slow = await service.submit("sleep", 0.5)
        await slow.until(lambda task: "accept" in task.kinds())
        process.supervisor.capacity.open = False
        late = await service.submit("echo", 1)  # the open poll takes it
        await late.ended.wait()

    assert late.outcome == "RELEASED"


def run_program(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "penstock_worker", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("no_such_module:worker", "no module 'no_such_module'"),
        ("broken:worker", "ZeroDivisionError"),
        ("empty:worker", "no handlers"),
        ("empty:nothing", "It has empty:worker"),
        ("plain:value", "a int, not a penstock_worker.Worker"),
        (":worker", "names no worker"),
        ("missing.py:worker", "no file 'missing.py'"),
        ("dies:worker", "exit status 9"),
    ],
)
def test_worker_that_cannot_start_says_why(tmp_path: Path, target: str, text: str) -> None:
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "empty.py").write_text("from penstock_worker import Worker\nworker = Worker()\n")
    (tmp_path / "plain.py").write_text("value = 1\n")
    (tmp_path / "dies.py").write_text("import os\nos._exit(9)\n")

    done = run_program(target, "--address", "127.0.0.1:9", cwd=tmp_path)

    assert done.returncode == 1
    assert text in done.stderr


async def test_worker_that_runs_itself_finds_its_handlers(
    service: FakeWorkerService, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from penstock_worker import Worker\n"
        "w = Worker()\n"
        "@w.task('hello')\n"
        "async def hello(name: str) -> str:\n"
        "    return 'hello ' + name\n"
        "if __name__ == '__main__':\n"
        "    w.run()\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(program), env=os.environ | {"PENSTOCK_ADDRESS": service.address}
    )
    task = await service.submit("hello", "you")
    await task.ended.wait()
    process.terminate()

    assert await process.wait() == 0
    assert task.result == "hello you"


async def test_reload_serves_the_changed_code(service: FakeWorkerService, tmp_path: Path) -> None:
    module = tmp_path / "changing.py"
    text = (
        "from penstock_worker import Worker\nworker = Worker()\n"
        "@worker.task('version')\nasync def version() -> int:\n    return {}\n"
    )
    module.write_text(text.format(1))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "penstock_worker", "changing:worker", "--reload", "--address", service.address),
        cwd=tmp_path,
    )
    first = await service.submit("version")
    await first.ended.wait()
    session = service.polls[-1].session.session_id

    module.write_text(text.format(2))
    os.utime(module, (1, 1))  # another time, however coarse the clock of the file system
    await service.until(lambda: service.polls[-1].session.session_id != session)
    second = await service.submit("version")
    await second.ended.wait()
    process.terminate()

    assert await process.wait() == 0
    assert (first.result, second.result) == (1, 2)
