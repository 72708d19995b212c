"""The built-in task type `shell`, through a whole worker and by itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock_worker.builtin import worker
from penstock_worker.testing import HandlerOutcome, run_handler
from support.fake_worker_service import FakeWorkerService
from support.running_worker import eventually, is_alive, running_worker


async def shell(payload: dict[str, Any], **options: Any) -> HandlerOutcome:
    return await run_handler(worker, "shell", payload, **options)


async def test_command_line_runs_and_its_output_is_the_log(service: FakeWorkerService) -> None:
    async with running_worker(service.address, "penstock_worker.builtin:worker"):
        task = await service.submit("shell", {"command": "echo out; echo err >&2; printf last"})
        await task.ended.wait()

    assert task.result == {"exit_code": 0}
    assert sorted(task.texts) == ["err", "last", "out"]


async def test_program_runs_without_a_shell() -> None:
    outcome = await shell({"argv": ["printf", "%s", "$HOME *"]})

    assert outcome.outcome == "SUCCEEDED"
    assert outcome.logs == ["$HOME *"]


async def test_environment_and_folder_are_the_payloads(tmp_path: Path) -> None:
    outcome = await shell(
        {"command": "echo $COLOUR; pwd", "env": {"COLOUR": "blue"}, "cwd": str(tmp_path)}
    )

    assert outcome.logs == ["blue", str(tmp_path)]


async def test_exit_status_decides() -> None:
    outcome = await shell({"command": "exit 3"})

    assert outcome.failure is not None
    assert outcome.outcome == "FAILED"
    assert outcome.failure.kind == "penstock_worker.builtin.CommandFailed"
    assert outcome.failure.details["exit_code"] == 3
    assert not outcome.failure.HasField("retryable")


async def test_death_by_a_signal_names_the_signal() -> None:
    outcome = await shell({"command": "kill -KILL $$"})

    assert outcome.failure is not None
    assert "signal 9 (SIGKILL)" in outcome.failure.message


async def test_command_that_takes_too_long_is_stopped() -> None:
    outcome = await shell({"command": "sleep 60", "timeout_seconds": 0.2})

    assert outcome.failure is not None
    assert outcome.failure.kind == "penstock_worker.builtin.CommandTimedOut"


async def test_cancel_ends_the_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    outcome = await shell(
        {"command": f"sleep 61 & echo $! $$ > {pids}; wait"}, cancel_after=timedelta(seconds=0.5)
    )
    numbers = [int(pid) for pid in pids.read_text().split()]
    await eventually(lambda: not any(map(is_alive, numbers)))

    assert outcome.outcome == "CANCELLED"
    assert len(numbers) == 2


async def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    outcome = await shell({"command": f"sleep 62 & echo $! > {pid}"})
    await eventually(lambda: not is_alive(int(pid.read_text())))

    assert outcome.outcome == "SUCCEEDED"


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"command": "date", "argv": ["date"]},
        {"command": "  "},
        {"argv": []},
        {"argv": [""]},
        {"command": "date", "timeout_seconds": 0},
        {"command": "date", "env": {"A=B": "c"}},
        {"command": "da\0te"},
        {"command": 7},
        {"comand": "date"},
        ["date"],
    ],
)
async def test_payload_that_makes_no_sense_is_never_retried(payload: Any) -> None:
    outcome = await shell(payload)

    assert outcome.failure is not None
    assert outcome.failure.retryable is False
    assert outcome.failure.HasField("retryable")


@pytest.mark.parametrize(
    "payload", [{"argv": ["/no/such/program"]}, {"command": "date", "cwd": "/no/such/folder"}]
)
async def test_program_that_cannot_be_started_is_a_failure(payload: dict[str, Any]) -> None:
    outcome = await shell(payload)

    assert outcome.failure is not None
    assert outcome.failure.kind == "penstock_worker.builtin.CommandNotStarted"
