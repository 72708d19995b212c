"""The process that ends a throw-away server when its parent goes away."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import psutil


def start(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "penstock._guardian",
            sys.executable,
            "-c",
            textwrap.dedent(program),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_status_of_the_program_is_passed_on():
    with start("raise SystemExit(7)") as guardian:
        assert guardian.wait(20) == 7


def test_letting_go_of_the_leash_ends_the_program_and_its_children():
    program = """
        import os, subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(os.getpid(), child.pid, flush=True)
        time.sleep(600)
    """
    with start(program) as guardian:
        assert guardian.stdout is not None
        assert guardian.stdin is not None
        family = [psutil.Process(int(pid)) for pid in guardian.stdout.readline().split()]

        guardian.stdin.close()

        gone, alive = psutil.wait_procs(family, timeout=20)
        assert len(gone) == 2
        assert alive == []
        assert guardian.wait(20) == 128 + 15
