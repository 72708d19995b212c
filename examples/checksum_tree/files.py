"""The real input: every Python file of Python's standard library and of this environment."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Below the standard library: packages that were installed beside it, and compiled files.
SKIPPED = frozenset({"site-packages", "dist-packages", "__pycache__"})


def default_roots() -> list[Path]:
    """The running Python's standard library, and the packages of the environment."""
    paths = sysconfig.get_paths()
    return [Path(paths["stdlib"]), Path(paths["purelib"])]


def python_files(roots: Iterable[Path]) -> list[Path]:
    """Every `*.py` file below the folders that can be read, sorted."""
    return sorted({path for root in roots for path in _below(root)})


def _below(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root.resolve()):
        names[:] = [name for name in names if name not in SKIPPED]
        for name in files:
            path = Path(folder, name)
            if name.endswith(".py") and os.access(path, os.R_OK):
                yield path
