"""A part is started, waited for, started again when it dies, and ended; with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from penstock.cli.exits import CommandFailed
from penstock.cli.screen import Screen
from penstock.cli.supervise.board import Board
from penstock.cli.supervise.part import (
    Part,
    PartFailed,
    Plan,
    describe,
    last_line,
    open_log,
    trim_log,
)
from penstock.cli.supervise.stage import find_example, taken
from penstock.cli.supervise.stage import read_config as read

T = TypeVar("T")

#: A program that writes its pid into the file that it is given, and then waits.
PROGRAM = """
import os, sys, time
print("started", flush=True)
if sys.argv[1] == "fail":
    sys.exit("it cannot be")
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(60)
"""


class Noted(Board):
    """Keeps what happened, and lets a test wait for it."""

    def __init__(self) -> None:
        super().__init__(Screen(as_json=True))
        self.events: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def ready(self, name: str, what: str, pid: int, took: timedelta) -> None:
        self.events.put_nowait(("ready", str(pid)))

    def died(self, name: str, how: str, last_words: str, backoff: timedelta) -> None:
        self.events.put_nowait(("died", how))

    async def next(self) -> tuple[str, str]:
        return await asyncio.wait_for(self.events.get(), 20)


@pytest.fixture
def program(tmp_path, monkeypatch):
    (tmp_path / "a_part.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def plan_of(folder: Path, argument: str = "") -> Plan:
    ready_file = folder / "ready"

    async def ready(pid: int) -> str | None:
        written = ready_file.read_text() if ready_file.exists() else ""
        return "it serves" if written == str(pid) else None

    return Plan(
        name="part",
        module="a_part",
        arguments=(argument or str(ready_file),),
        log=folder / "logs" / "part.log",
        ready=ready,
        patience=timedelta(seconds=10),
    )


async def test_a_part_that_dies_is_started_again_and_ends_when_told(program):
    board = Noted()
    part = Part(plan_of(program), board)
    await part.start()
    assert (await board.next())[0] == "ready"
    keeping = asyncio.create_task(part.keep_running())
    first = part.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)

    assert await board.next() == ("died", "killed by SIGKILL")
    assert (await board.next())[0] == "ready"
    assert part.pid not in (None, first)

    await part.stop(force=asyncio.Event())
    await asyncio.wait_for(keeping, 10)
    assert part.pid is None
    assert part.restarts == 1


async def test_a_part_that_fails_at_its_first_start_says_its_last_words(program):
    part = Part(plan_of(program, "fail"), Noted())

    with pytest.raises(PartFailed, match="it cannot be"):
        await part.start()


async def test_a_part_dies_with_the_process_that_started_it(program):
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import os, subprocess, sys, time\n"
        "tie = ['-m', 'penstock.cli.supervise.child', str(os.getpid()), '9']\n"
        "words = [*tie, 'a_part', sys.argv[1]]\n"
        "subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)\n"
        "time.sleep(60)",
        str(program / "ready"),
    )
    child = int(await until(lambda: read_text(program / "ready")))

    parent.kill()
    await parent.wait()

    assert await until(lambda: not is_alive(child))


async def until(look: Callable[[], T]) -> T:
    """Looks until there is something to see, for 20 s."""
    for _ in range(1000):
        if seen := look():
            return seen
        await asyncio.sleep(0.02)
    raise AssertionError("it did not happen")


def read_text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def is_alive(pid: int) -> bool:
    state = read_text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return bool(state) and state[0] not in "ZX"


def test_the_ends_of_processes_are_described_in_words():
    assert describe(0) == "ended with status 0"
    assert describe(-9) == "killed by SIGKILL"
    assert describe(-250) == "killed by signal 250"


def test_a_large_log_becomes_the_old_one(tmp_path):
    log = tmp_path / "data" / "logs" / "part.log"
    os.close(open_log(log))
    with log.open("wb") as file:
        file.truncate(9 * 1024 * 1024)

    os.close(open_log(log))

    assert log.stat().st_size == 0
    assert log.with_suffix(".log.1").stat().st_size == 9 * 1024 * 1024
    assert log.parent.parent.stat().st_mode & 0o077 == 0, "logs are for their owner only"


def test_a_log_that_grows_while_its_part_runs_is_trimmed_in_place(tmp_path):
    log = tmp_path / "data" / "logs" / "part.log"
    part = open_log(log)
    os.ftruncate(part, 9 * 1024 * 1024)

    trim_log(log)
    os.write(part, b"goes on\n")
    os.close(part)

    assert log.read_text() == "goes on\n"
    assert log.with_suffix(".log.1").stat().st_size == 9 * 1024 * 1024


def test_the_last_line_of_a_log_is_safe_to_print(tmp_path):
    log = tmp_path / "part.log"
    log.write_text("first\n\x1b[31mlast\n\n")

    assert last_line(log) == "\\x1b[31mlast"
    assert last_line(tmp_path / "none.log") == ""


def test_a_port_is_taken_while_somebody_listens_on_it():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert taken("127.0.0.1", port)
    assert not taken("127.0.0.1", port)
    assert not taken("127.0.0.1", 0)


def test_an_unknown_example_is_answered_with_those_that_exist():
    with pytest.raises(CommandFailed) as failed:
        find_example("nosuch")

    assert "checksum_tree" in failed.value.remedy


def test_a_wrong_setting_is_named_with_where_it_was_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(CommandFailed, match=r"lease\.trem"):
        read({"lease.trem": "5s"}, None)


def test_the_board_speaks_json_lines(capsys):
    board = Board(Screen(as_json=True))

    board.ready("server", "127.0.0.1:1", 7, timedelta(seconds=1))
    board.died("server", "killed by SIGKILL", "boom", timedelta(seconds=1))

    ready, died = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert ready == {"part": "server", "state": "ready", "about": "127.0.0.1:1", "pid": 7}
    assert died["how"] == "killed by SIGKILL"
    assert died["last_line"] == "boom"
