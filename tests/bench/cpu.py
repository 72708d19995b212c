"""CPU seconds of processes, from the operating system."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import psutil


def seconds_of(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds so far, user and system, for each named process that lives.

    The store's children that have ended count as the store: they rewrite its append-only file.
    """
    found: dict[str, float] = {}
    for name, pid in pids.items():
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            found[name] = times.user + times.system
            if part_of(name) == "store":
                found[name] += times.children_user + times.children_system
    return found


def part_of(name: str) -> str:
    """The part that a process belongs to: `runner` for `runner 2`."""
    return name.partition(" ")[0]


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What each part used between two looks; numbered parts such as `runner 2` are added up."""
    total: dict[str, float] = {}
    for name, value in after.items():
        part = part_of(name)
        total[part] = total.get(part, 0.0) + value - before.get(name, 0.0)
    return total


def apart(before: Mapping[str, float], after: Mapping[str, float], part: str) -> dict[str, float]:
    """What each process of a part used; nothing if the part is one process."""
    each = {name: it - before.get(name, 0.0) for name, it in after.items() if part_of(name) == part}
    return each if len(each) > 1 else {}


def threads_of(pid: int) -> list[tuple[str, float]]:
    """Name and CPU seconds of each thread of a process, the busiest first (Linux)."""
    process = psutil.Process(pid)
    found = [
        (_thread_name(pid, thread.id), thread.user_time + thread.system_time)
        for thread in process.threads()
    ]
    return sorted(found, key=lambda pair: -pair[1])


def _thread_name(pid: int, thread: int) -> str:
    try:
        with open(f"/proc/{pid}/task/{thread}/comm", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return "?"
