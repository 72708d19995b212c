"""The throw-away server: starts, says why not, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from penstock import BlockingClient
from penstock.testing import Server, ServerNotStarted


def test_a_server_starts_serves_and_leaves_nothing_behind():
    with Server() as server:
        processes = _family(server.pid)
        with BlockingClient(server.options()) as client:
            assert client.submit("t").task_id

    gone, alive = psutil.wait_procs(processes, timeout=10)
    assert len(gone) == len(processes) >= 2  # the server and its store
    assert alive == []
    assert not server.folder.exists()


def test_a_server_that_does_not_come_up_says_what_it_wrote():
    with pytest.raises(ServerNotStarted, match="no-such-argument") as raised:
        Server(arguments=["--no-such-argument"]).__enter__()

    assert "ended with status" in str(raised.value)


def test_the_server_ends_when_the_test_process_is_killed():
    program = textwrap.dedent("""
        import time
        from penstock.testing import Server
        server = Server().__enter__()
        print(server.pid, server.folder, flush=True)
        time.sleep(600)
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline().split()[0])
    processes = _family(pid)

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    gone, alive = psutil.wait_procs(processes, timeout=20)
    assert len(gone) == len(processes) >= 2
    assert alive == []


def _family(pid: int) -> list[psutil.Process]:
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]
