"""Facts about the machine and the software that a figure is worth nothing without."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import timeit
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psutil

from bench.peers.peer import versions as peer_versions
from bench.processes import FOLDER_PREFIX, environment
from penstock_server.embedded.allocator import store_environment
from penstock_server.embedded.binary import find_binary

QUIET_LOAD: Final = 0.5
_TURNS: Final = 500_000
_ROOT: Final = Path(__file__).resolve().parents[2]
_PRODUCT: Final = ("penstock", "penstock_server", "penstock_worker")
_LIBRARIES: Final = ("grpcio", "protobuf", "redis", "hiredis", "uvloop", "msgpack")


def machine() -> dict[str, Any]:
    """Processor, cores, memory, kernel."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "system": platform.system(),
    }


def versions() -> dict[str, str]:
    """Python, the libraries on the hot path, and the store with what it allocates memory by."""
    found = {name: version(name) for name in ("penstock", *_LIBRARIES)}
    found |= peer_versions()
    store = {"store": _store_version(), "allocator": allocator()}
    return found | {"python": interpreter()} | store


def interpreter() -> str:
    """Version and home of the Python: builds of one version differ in speed."""
    return f"{platform.python_version()} of {sys.base_prefix}"


def allocator() -> str:
    """What measured stores get their memory from: a library loaded before theirs, or their own."""
    preloaded = store_environment(environment()).get("LD_PRELOAD")
    if preloaded:
        return Path(preloaded).name
    return _store_version().partition("malloc=")[2].split(" ")[0] or "unknown"


def commit() -> str:
    """The commit that is measured, with `+changes` if the tree has some. Empty outside of git."""
    try:
        name = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return name + ("+changes" if changed else "")


def pace() -> float:
    """Million turns of an empty loop per second, the best of five: how fast this machine is now.

    Machines that are shared change their speed by a third within minutes; figures of one pace say
    nothing about those of another.
    """
    best = min(timeit.repeat(_turns, number=1, repeat=5))
    return _TURNS / best / 1e6


def _turns() -> None:
    for _ in range(_TURNS):
        pass


def leftovers() -> Sequence[psutil.Process]:
    """Processes of earlier measurements that still run."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(FOLDER_PREFIX in word for word in process.info["cmdline"] or ()):
            found.append(process)
    return found


def from_elsewhere(root: Path) -> list[Path]:
    """Parts of the product that are imported from outside of `root`: the figures would be those of
    another commit.
    """
    specs = [find_spec(name) for name in _PRODUCT]
    places = [Path(spec.origin) for spec in specs if spec is not None and spec.origin]
    return [place.parent for place in places if not place.resolve().is_relative_to(root)]


def advice() -> list[str]:
    """What would make the figures better and is one command away."""
    if "jemalloc" in allocator():
        return []
    return [
        "the store runs without jemalloc, with which a task costs it a quarter less: "
        "`apt-get install libjemalloc2`"
    ]


def disquiet() -> list[str]:
    """Why figures taken now would not be comparable; nothing on a quiet machine."""
    reasons = [
        *(f"process {process.pid} of an earlier measurement still runs" for process in leftovers()),
        *(f"{place} is not of this tree" for place in from_elsewhere(_ROOT)),
    ]
    load = os.getloadavg()[0]
    if load > QUIET_LOAD:
        reasons.append(f"the machine is busy: load {load:.2f} is above {QUIET_LOAD}")
    return reasons


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _store_version() -> str:
    said = subprocess.run(
        [str(find_binary()), "--version"], capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


def _git(*arguments: str) -> str:
    said = subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    return said.stdout.strip()
