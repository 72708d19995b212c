"""`penstock worker --reload`: starts the worker again whenever a Python file here changes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from penstock.cli.session import Session

_LOOK_EVERY: Final = 0.5
#: Folders that hold other people's code, or none.
_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})

Times = dict[str, int]


def run_reloading(session: Session) -> None:
    """Runs this command without `--reload` as a child, anew after each change of a file."""
    folder = Path.cwd()
    words = [word for word in sys.argv[1:] if word != "--reload"]
    while True:
        before = times_of(folder)
        # In a session of its own, so that Ctrl-C reaches the worker once, from here.
        child = subprocess.Popen(
            [sys.executable, "-m", "penstock.cli", *words], start_new_session=True
        )
        try:
            changed = _wait_for_change(session, folder, before, child)
        finally:
            _end(child)
        session.screen.note(f"{changed} changed; starting again")


def times_of(folder: Path) -> Times:
    """When each Python file below a folder was last changed, in nanoseconds."""
    return {entry.path: entry.stat().st_mtime_ns for entry in _python_files(str(folder))}


def _python_files(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _SKIPPED:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _python_files(entry.path)
            elif entry.name.endswith(".py") and entry.is_file():
                yield entry


def _wait_for_change(
    session: Session, folder: Path, before: Times, child: subprocess.Popen[bytes]
) -> str:
    """Waits until a file changes and names it. Says so if the worker ends meanwhile."""
    told = False
    while True:
        time.sleep(_LOOK_EVERY)
        now = times_of(folder)
        different = sorted(before.items() ^ now.items())
        if different:
            return os.path.relpath(different[0][0], folder)
        if child.poll() is not None and not told:
            session.screen.note(
                f"the worker ended with status {child.returncode}; waiting for a change"
            )
            told = True


def _end(child: subprocess.Popen[bytes]) -> None:
    """Drains the worker; a second Ctrl-C ends it at once."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait()
    except KeyboardInterrupt:
        child.kill()
        child.wait()
        raise
