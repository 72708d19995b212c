"""The command line: `penstock up`, `penstock submit`, `penstock queues show` and so on.

    from penstock.cli import main

Nothing heavy is imported before a command needs it: `penstock --help` must not wait for gRPC.
"""

from __future__ import annotations

import os
import sys
from typing import Final

#: Set to anything, this prints the stack of an unexpected error.
_TRACEBACK: Final = "PENSTOCK_CLIENT_TRACEBACK"


def main() -> None:
    """Runs the command line of this process and ends the process with its exit status."""
    try:
        from penstock.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(
            f"error: the command line needs {error.name}, which is not installed\n"
            "  try: pip install 'penstock[cli]'"
        )
    try:
        app(prog_name="penstock")
    except Exception as error:
        if os.environ.get(_TRACEBACK):
            raise
        sys.exit(_fault(error))


def _fault(error: Exception) -> str:
    """What to say about a mistake of our own: not a page of stack, but enough to find it."""
    from penstock.cli.text import one_line

    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    what = one_line(f"{type(error).__name__}: {error}", limit=300)
    return (
        f"error: a fault in penstock itself: {what}{place}\n"
        f"  try: report it, with what {_TRACEBACK}=1 makes it print"
    )


__all__ = ["main"]
