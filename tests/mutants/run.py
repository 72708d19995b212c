"""Tries the mutants as a program, from wherever it is called."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mutants.cli import main

if __name__ == "__main__":
    sys.exit(main())
