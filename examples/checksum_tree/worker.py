"""Checks one Python file per task: its digest, its lines, and whether it parses.

penstock worker worker.py:worker
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

from penstock_worker import Worker

worker = Worker("checksum-tree", queues=["checksum-tree"])

# Old code has escapes that Python warns of; that is not what this example is about.
warnings.simplefilter("ignore")


@dataclass
class Checked:
    """What a task found out about a file."""

    sha256: str
    lines: int
    size: int
    parses: bool


@worker.task("checksum_tree.check")
def check(path: str) -> Checked:
    """Reads the file and answers what is in it. A file that is not there fails the task."""
    content = Path(path).read_bytes()
    return Checked(
        sha256=hashlib.sha256(content).hexdigest(),
        lines=content.count(b"\n"),
        size=len(content),
        parses=parses(content),
    )


def parses(content: bytes) -> bool:
    """Whether Python takes it. Some files of Python's own tests are broken on purpose."""
    try:
        ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
