"""Processes that an isolated execution has started: they end with it.

What a handler leaves running would go on beside the executions that come after it, in the same
process, and nobody would know whose it is. On Linux it is found even if it has left the process
group or lost its parent: the runner adopts orphans.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import Final

import psutil

_PR_SET_CHILD_SUBREAPER: Final = 36
# A process that forks as fast as it is killed is left to the end of the whole process group.
_ROUNDS: Final = 20


class Offspring:
    """Ends the processes that executions leave; those that the user's module started stay."""

    def __init__(self) -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._kept = {child.pid for child in _descendants()}

    def end(self) -> int:
        """Kills what an execution has left; answers how many processes still ran."""
        count = 0
        for _ in range(_ROUNDS):
            left = [child for child in _descendants() if child.pid not in self._kept]
            if not left:
                break
            count += sum(map(_kill, left))
            for child in left:
                _collect(child.pid)
        return count


def _descendants() -> list[psutil.Process]:
    """Answers the processes below this one, at next to no cost where there are none."""
    if not _has_children():
        return []
    return psutil.Process().children(recursive=True)


def _has_children() -> bool:
    if not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _kill(child: psutil.Process) -> bool:
    """Kills a process; answers whether it still ran."""
    try:
        if child.status() == psutil.STATUS_ZOMBIE:
            return False
        child.kill()
    except psutil.Error:  # it ended meanwhile, or is not ours to kill
        return False
    return True


def _collect(pid: int) -> None:
    """Takes the status of a child, so that nothing stays of it."""
    with contextlib.suppress(ChildProcessError):  # not our own child, or somebody was faster
        os.waitpid(pid, 0)
