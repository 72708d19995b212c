"""What the README and the how-to pages print works as it is printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock import BlockingClient
from penstock.testing import Server
from support.tools import ROOT, require_tool
from support.worker_process import worker_process

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


async def test_the_programs_of_the_readme_run_as_they_are_printed(
    server: Server, tmp_path: Path
) -> None:
    worker, producer = blocks("README.md", "python")
    (tmp_path / "shop.py").write_text(worker)
    (tmp_path / "order.py").write_text(producer)

    async with worker_process(server.address, "shop:worker", tmp_path, cwd=tmp_path):
        ran = subprocess.run(  # noqa: ASYNC221 - the worker is a process of its own
            [sys.executable, tmp_path / "order.py"],
            capture_output=True,
            text=True,
            timeout=30,
            env={**os.environ, "PENSTOCK_ADDRESS": server.address},
            check=False,
        )

    task_id, answer = ran.stdout.splitlines()
    assert len(task_id) == 26
    assert answer == "Hello, world!"


@pytest.mark.parametrize(("tool", "block"), [("grpcurl", 0), ("buf", 2)])
def test_the_lines_of_the_grpcurl_page_work_as_they_are_printed(
    server: Server, tool: str, block: int
) -> None:
    program = require_tool(tool)
    with BlockingClient(server.options()) as client:
        task_id = client.submit("nobody.serves").task_id
        ended = client.submit("nobody.serves").task_id
        client.cancel(ended)
    script = blocks("docs/how-to/grpcurl.md", "sh")[block]
    assert script.count(tool) >= 4

    for name, shown in (("grpcurl", "grpcurl"), ("buf", ".venv/bin/buf")):
        if name == tool:
            script = script.replace(shown, str(program))
    # Streams of this task end at once, for it has ended; a wait for a worker is not awaited.
    script = script.replace("TASK", ended).replace('"10s"', '"0s"')
    script = script.replace(f'"{ended}", "grace"', f'"{task_id}", "grace"')
    script = script.replace("127.0.0.1:7700", server.address)
    ran = subprocess.run(
        ["bash", "-e", "-O", "expand_aliases", "-c", script],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "ERROR" not in ran.stderr
