"""Ends a runner when its supervisor dies, however that happens.

A runner that outlives its supervisor would go on with work whose lease nobody renews. On Linux
the kernel kills it at once; elsewhere a thread looks at its parent. What the runner started is
killed by its leash (see `leash.py`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_INTERVAL: Final = 0.5


def arm(parent: int) -> None:
    """Binds this process's life to that of `parent`, which must have started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    threading.Thread(target=_watch, args=(parent,), name="penstock-watchdog", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_INTERVAL)
    os.kill(os.getpid(), signal.SIGKILL)
