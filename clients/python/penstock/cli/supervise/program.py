"""Runs an example as a part of `penstock up`, tied to it.

python -m penstock.cli.supervise.program PARENT_PID FOLDER
"""

from __future__ import annotations

import runpy
import signal
import sys
from pathlib import Path

from penstock.cli.supervise.child import tie_to


def main() -> None:
    """Ties this process to its parent, then runs the folder's `__main__.py`."""
    parent, folder = int(sys.argv[1]), Path(sys.argv[2])
    tie_to(parent, signal.SIGTERM)
    sys.argv = [str(folder)]
    runpy.run_path(str(folder), run_name="__main__")


if __name__ == "__main__":
    main()
