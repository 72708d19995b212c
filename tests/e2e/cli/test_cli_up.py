"""`penstock up` starts, supervises and ends its parts, and says what stands in its way."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest
from e2e.cli.harness import Up, is_alive, penstock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_ctrl_c_ends_workers_then_server_then_store_and_leaves_nothing_behind(tmp_path):
    with Up(tmp_path / "data") as up:
        pids = [up.pid(part) for part in ("store", "server", "worker")]

        status = up.interrupt()

        assert status == 0
        assert not any(is_alive(pid) for pid in pids)
        up._reader.join()
        rest = [up._lines.get() for _ in range(up._lines.qsize())]
        assert [line["part"] for line in rest if line and line["state"] == "ending"] == [
            "worker",
            "server",
            "store",
        ]


def test_a_second_up_says_at_once_what_is_wrong_and_what_to_do(up):
    port = up.address.rpartition(":")[2]
    began = time.monotonic()

    second = penstock("up", "--data", str(up.data), "--port", port)

    assert second.returncode == 1
    assert "is in use by process" in second.stderr
    assert f"{up.address} is taken" in second.stderr
    assert "--data OTHER-FOLDER --port 0" in second.stderr
    assert len(second.stderr.splitlines()) == 2
    assert second.stdout == ""
    assert time.monotonic() - began < 20, "it did not wait for anything"
    assert up.penstock("queues", "list").returncode == 0


def test_a_port_that_another_program_holds_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        ran = penstock("up", "--data", str(tmp_path / "data"), "--port", str(port))

    assert ran.returncode == 1
    assert f"127.0.0.1:{port} is taken" in ran.stderr
    assert not (tmp_path / "data" / "store").exists(), "nothing was started"


def test_a_server_that_dies_is_started_again_with_everything_it_knew(tmp_path):
    with Up(tmp_path / "data", "--no-builtin") as up:
        task_id = up.json("submit", "later")["task"]["taskId"]
        old = up.pid("server")

        os.kill(old, signal.SIGKILL)

        died = up.wait_for_part("server", "died")
        assert died["how"] == "killed by SIGKILL"
        up.wait_for_part("server", "ready")
        assert up.pid("server") != old
        assert up.json("tasks", "get", task_id)["state"] == "TASK_STATE_READY"


def test_a_store_that_dies_is_started_again(tmp_path):
    with Up(tmp_path / "data", "--no-builtin", "--set", "store.appendfsync=always") as up:
        task_id = up.json("submit", "later")["task"]["taskId"]

        os.kill(up.pid("store"), signal.SIGKILL)

        up.wait_for_part("store", "ready")
        deadline = time.monotonic() + 30
        while (found := up.penstock("tasks", "get", task_id, "--json")).returncode != 0:
            assert time.monotonic() < deadline, found.stderr
        assert '"TASK_STATE_READY"' in found.stdout


def test_killing_up_itself_leaves_nothing_in_the_way_of_the_next_one(tmp_path):
    with Up(tmp_path / "data") as first:
        port = int(first.address.rpartition(":")[2])
        task_id = first.json("submit", "later")["task"]["taskId"]
        first.kill()

    with Up(tmp_path / "data", "--no-builtin", port=port) as second:
        assert second.address == first.address
        assert second.json("tasks", "get", task_id)["state"] == "TASK_STATE_READY"


def test_a_worker_that_cannot_start_ends_it_with_the_reason(tmp_path):
    ran = penstock(
        *("up", "--data", str(tmp_path / "data"), "--port", "0"),
        *("--no-builtin", "--worker", "nowhere:worker"),
    )

    assert ran.returncode == 1
    assert "the worker did not start" in ran.stderr
    assert "nowhere" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--once"],
        ["--example", "nosuch"],
        ["--port", "1", "--listen", "127.0.0.1:2"],
        ["--set", "lease.trem=5s"],
        ["--listen", "0.0.0.0:0"],
    ],
)
def test_a_wrong_command_line_ends_with_status_2_and_a_way_out(tmp_path, words):
    ran = penstock("up", "--data", str(tmp_path / "data"), *words)

    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert "Traceback" not in ran.stderr
