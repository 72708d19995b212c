"""Runs all of it: starts a worker, then the producer, then the task that fails.

penstock up --example hello        with everything that it needs
python examples/hello              against a server that runs
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKER = [sys.executable, "-m", "penstock.cli", "worker", "worker.py:worker"]


def main() -> int:
    """Ends with the status of the first program that fails."""
    quiet = subprocess.DEVNULL
    worker = subprocess.Popen(WORKER, cwd=HERE, stdout=quiet, stderr=quiet)
    try:
        programs = ("producer.py", "failing.py")
        return next(
            (s for name in programs if (s := subprocess.call([sys.executable, HERE / name]))), 0
        )
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    sys.exit(main())
