"""The examples do what their READMEs say."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys

import pytest
from e2e.cli.harness import Command, penstock

from penstock import Task
from penstock.v1 import task_pb2
from support.tools import ROOT

EXAMPLES = ROOT / "examples"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def run_checksum_tree(address: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "checksum_tree"), *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PENSTOCK_ADDRESS": address, "PATH": "/usr/bin:/bin"},
        check=False,
    )


def test_up_runs_checksum_tree_on_thousands_of_real_files_without_a_loss(tmp_path):
    ran = penstock(
        *("up", "--data", str(tmp_path / "data"), "--port", "0"),
        *("--no-builtin", "--example", "checksum_tree", "--once"),
        timeout=220,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "killed worker process" in ran.stdout
    assert "  losses     0\n" in ran.stdout
    assert "  different  0\n" in ran.stdout


def test_checksum_tree_survives_a_killed_worker_on_a_small_tree(up):
    ran = run_checksum_tree(up.address, str(EXAMPLES.parent / "clients" / "python"))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "killed worker process" in ran.stdout
    assert "  losses     0\n" in ran.stdout


def test_checksum_tree_says_when_there_is_nothing_to_check(up, tmp_path):
    ran = run_checksum_tree(up.address, str(tmp_path))

    assert ran.returncode == 1
    assert "no Python file" in ran.stdout


def test_checksum_tree_finds_what_is_lost_and_what_differs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES / "checksum_tree"))
    example = runpy.run_path(str(EXAMPLES / "checksum_tree" / "__main__.py"), run_name="example")
    path = tmp_path / "a.py"
    path.write_text("x = 1\n")
    wrong = task_pb2.Task(task_id="wrong", state=task_pb2.TASK_STATE_SUCCEEDED)
    wrong.result.content_type = "application/json"
    wrong.result.data = b'{"sha256": "0", "lines": 1, "size": 6, "parses": true}'
    failed = task_pb2.Task(task_id="failed", state=task_pb2.TASK_STATE_FAILED)

    report = example["compare"](
        {"wrong": path, "failed": path, "gone": path},
        {"wrong": Task(wrong), "failed": Task(failed)},
    )

    assert report.different == [path]
    assert report.lost == [path, path]


def test_up_runs_hello_with_a_task_that_fails_and_is_mended(tmp_path):
    ran = penstock(
        *("up", "--data", str(tmp_path / "data"), "--port", "0"),
        *("--no-builtin", "--example", "hello", "--once"),
        timeout=90,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Hello, world!" in ran.stdout
    assert "ZeroDivisionError: float division by zero" in ran.stdout
    assert "it is FAILED, a dead letter, after 2 attempts" in ran.stdout
    assert "it answers 0.25" in ran.stdout


def test_producer_and_worker_have_no_more_than_fifteen_lines_of_code():
    for name in ("producer.py", "worker.py"):
        code = (EXAMPLES / "hello" / name).read_text().splitlines()
        assert len([line for line in code if line.strip()]) <= 15, name


def test_the_programs_of_the_tutorial_run_as_they_are_printed(up, tmp_path):
    page = (ROOT / "docs" / "tutorial" / "own-worker.md").read_text()
    worker, producer = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "tasks.py").write_text(worker)
    (tmp_path / "producer.py").write_text(producer)

    with Command("worker", "tasks.py:worker", "--json", address=up.address, cwd=tmp_path) as works:
        works.wait_for(lambda line: line["event"] == "worker.started")
        ran = up.penstock("run", "pictures.resize", '["a.png", "b.png"]')
        produced = subprocess.run(
            [sys.executable, str(tmp_path / "producer.py")],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PENSTOCK_ADDRESS": up.address},
            check=False,
        )

    assert ran.stdout == '{"resized":2}\n', ran.stderr
    assert "resizing b.png" in ran.stderr
    assert produced.stdout == "{'resized': 1}\n1000 submitted\n", produced.stderr
