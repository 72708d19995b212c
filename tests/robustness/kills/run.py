"""Runs it as a program, from wherever it is called."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from robustness.kills.cli import main

if __name__ == "__main__":
    sys.exit(main())
