"""Runs a module as a part of `penstock up`, and makes sure that it does not outlive it.

    python -m penstock.cli.supervise.child PARENT_PID SIGNAL MODULE [ARGUMENT]...

When `up` is killed, even by `kill -9`, the part gets the signal: from the kernel on Linux,
elsewhere from a thread that looks at its parent's id. Nothing of an earlier run then stands in the
way of the next.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
import threading
import time
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_LOOK_EVERY: Final = 0.5


def main() -> None:
    """Ties this process to its parent, then becomes the module."""
    parent, number, module = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    tie_to(parent, number)
    sys.argv = sys.argv[3:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def tie_to(parent: int, number: int) -> None:
    """Has this process signalled when `parent` is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    else:
        threading.Thread(target=_look, args=(parent, number), daemon=True).start()
    # It may have died before the line above; then no signal comes.
    if os.getppid() != parent:
        sys.exit("penstock up is gone")


def _look(parent: int, number: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY)
    os.kill(os.getpid(), signal.Signals(number))


if __name__ == "__main__":
    main()
