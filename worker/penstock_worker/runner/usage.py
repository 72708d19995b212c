"""What one execution used, exact because its process runs nothing else.

On Linux the peak of memory is that of the execution; elsewhere it cannot be reset between
executions and is left out rather than guessed. Child processes count once they have been waited
for.
"""

from __future__ import annotations

import resource
import sys
from typing import Final

from penstock.v1 import execution_pb2

_LINUX: Final = sys.platform == "linux"


class ProcessMeter:
    """Measures processor time and peak memory of one execution at a time."""

    def __init__(self) -> None:
        self._cpu = 0.0
        self._peak_was_reset = False

    def start(self) -> None:
        """Begins to measure."""
        self._cpu = _cpu_seconds()
        self._peak_was_reset = _reset_peak()

    def read(self, usage: execution_pb2.Usage) -> None:
        """Fills in what was used since `start`."""
        used = max(0.0, _cpu_seconds() - self._cpu)
        usage.cpu_time.FromNanoseconds(int(used * 1e9))
        peak = _peak_bytes() if self._peak_was_reset else None
        if peak is not None:
            usage.peak_memory_bytes = peak


def _cpu_seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _reset_peak() -> bool:
    if not _LINUX:
        return False
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:  # not mounted, or not allowed: then there is no figure
        return False
    return True


def _peak_bytes() -> int | None:
    try:
        with open("/proc/self/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # the handler has used up the process's file descriptors
        return None
    return None
