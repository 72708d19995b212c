"""The lines that `penstock up` prints to try work as they are printed, in one shell."""

from __future__ import annotations

import os
import subprocess

import pytest

from penstock.cli.supervise.hints import hints
from support.tools import ROOT, require_tool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


def run_lines(title: str, address: str) -> list[str]:
    """Runs the lines under a title as one shell would, and gives what each printed."""
    lines = next(lines for found, lines in hints(address) if title in found)
    marked = "\n".join(f"{line}\necho ---- $?" for line in lines)
    ran = subprocess.run(
        ["/bin/bash", "-c", marked],
        cwd=os.getcwd(),
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert "---- 1" not in ran.stdout, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout.split("----")


@pytest.mark.parametrize(("title", "tool"), [("buf curl", "buf"), ("grpcurl", "grpcurl")])
def test_list_submit_watch_tail_and_cancel_work_as_printed(up, title, tool, monkeypatch):
    require_tool(tool)
    monkeypatch.chdir(ROOT)

    listed, submitted, tailed, watched, got, _, cancelled, _ = run_lines(title, up.address)

    assert "penstock.v1.TaskService" in listed
    assert len(submitted.split()[-1]) == 26
    assert "line 5" in tailed
    assert "TASK_STATE_SUCCEEDED" in watched
    assert "echo line" in got
    assert "CANCEL_REASON_REQUESTED" in cancelled
