"""Rewrites `constraints.txt` with the newest versions that `pyproject.toml` allows.

Resolves in an environment of its own, so that a failed upgrade leaves `.venv` as it was.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
CONSTRAINTS: Final = ROOT / "constraints.txt"


def resolved(folder: str) -> list[str]:
    """Names and versions that a fresh installation of everything gets today."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", ".[all,dev]"], cwd=ROOT, check=True)
    frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
    # The project itself comes back with the path it was installed from.
    return [line for line in frozen.stdout.splitlines() if "==" in line and "@" not in line]


def main() -> None:
    """Keeps the comment at the top of the file and replaces the rest."""
    old = CONSTRAINTS.read_text().splitlines()
    with tempfile.TemporaryDirectory() as folder:
        new = resolved(folder)
    comment = [line for line in old if line.startswith("#")]
    CONSTRAINTS.write_text("\n".join([*comment, *new]) + "\n")
    for line in sorted(set(new) - set(old)):
        print(f"penstock: {line}")


if __name__ == "__main__":
    main()
