"""`make fuzz`: feeds every target with inputs that lead to new code, each for some seconds.

A target that fails ends the run with its name; the input that did it is kept, and what is
printed says where.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

TESTS: Final = Path(__file__).resolve().parents[1]
LONGEST_INPUT: Final = 4096


def main() -> int:
    """Runs every target, or one in this process. Gives the exit status."""
    flags = argparse.ArgumentParser(prog="make fuzz", description=__doc__, allow_abbrev=False)
    flags.add_argument("--seconds", type=int, default=20, help="of each target (20)")
    flags.add_argument("--only", help="one target")
    flags.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = flags.parse_args()
    sys.path.insert(0, str(TESTS))
    if options.here:
        fuzz(options.only, options.seconds)
        return 0
    names = [options.only] if options.only else list(_targets().TARGETS)
    for name in names:
        print(f"fuzzing {name} for {options.seconds} s", flush=True)
        command = [sys.executable, __file__, "--here", "--only", name]
        if subprocess.run([*command, "--seconds", str(options.seconds)], check=False).returncode:
            print(f"{name} failed; again: make fuzz ARGS='--only {name}'", file=sys.stderr)
            return 1
    return 0


def _targets() -> Any:
    return importlib.import_module("fuzz.targets")


def fuzz(name: str, seconds: int) -> None:
    """Fuzzes one target; ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["penstock_server", "penstock_worker", "msgpack"]):
        targets = _targets()
    with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as folder:
        for number, seed in enumerate(targets.seeds()[name]):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", "-rss_limit_mb=1024"]
        limits.append(f"-artifact_prefix={tempfile.gettempdir()}/penstock-fuzz-{name}-")
        atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", folder], targets.TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
