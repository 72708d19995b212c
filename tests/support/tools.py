"""Finds the programs that some tests need and that not every machine has.

On somebody's own machine a missing program skips the test, with the reason and the command
that enables it. With `PENSTOCK_CI=1` the same test fails: a machine that is there to run every
test must not pass by leaving some out.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final, NoReturn

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

#: Searched after PATH: the programs that `make` installs here, and where Go installs itself.
FOLDERS: Final = (ROOT / ".tools" / "bin", ROOT / ".venv" / "bin", Path("/usr/local/go/bin"))

#: Program → what a person does to have it.
REMEDIES: Final = {
    "go": "install Go 1.26 or newer and put `go` on PATH",
    "grpcurl": "`make tools` (needs Go)",
    "node": "install Node.js 20 or newer (Debian, Ubuntu: `apt-get install nodejs npm`)",
    "npm": "install Node.js 20 or newer (Debian, Ubuntu: `apt-get install nodejs npm`)",
    "protoc": "`apt-get install protobuf-compiler` (Debian, Ubuntu)",
    "redis-server": "`apt-get install redis-server` (Debian, Ubuntu)",
    "valkey-server": "`apt-get install valkey-server` (Debian 13, Ubuntu 24.04 and newer)",
    "chromium": "`apt-get install chromium` (Debian)",
}


def find_tool(name: str) -> Path | None:
    """Path of a program, or nothing when the machine lacks it."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, FOLDERS)])
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def require_tool(name: str) -> Path:
    """Path of a program; without it the calling test (or module) is skipped, or fails in CI."""
    found = find_tool(name)
    if found is None:
        unavailable(f"{name} is missing", remedy=REMEDIES.get(name, f"install {name}"))
    return found


def unavailable(what: str, *, remedy: str) -> NoReturn:
    """Leaves the calling test, saying what it lacks and how to get it."""
    reason = f"{what}; to enable this test: {remedy}"
    if on_ci():
        pytest.fail(f"{reason} (PENSTOCK_CI=1 allows no skips)", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def on_ci() -> bool:
    """Whether this run has to run every test."""
    return os.environ.get("PENSTOCK_CI") == "1"
