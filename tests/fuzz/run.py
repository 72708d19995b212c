"""`make fuzz`: feeds every target with inputs that lead to new code, each for some seconds.

With `--requests` it feeds whole services instead, each with so many requests. A target that fails
ends the run with its name; the input that did it is kept, and what is printed says where.
"""

from __future__ import annotations

import argparse
import importlib
import os
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
    flags.add_argument("--requests", type=int, default=0, help="to each service of a real server")
    flags.add_argument("--only", help="one target, or one service")
    flags.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = flags.parse_args()
    sys.path.insert(0, str(TESTS))
    if options.here and options.requests:
        fuzz_service(options.only, options.requests)
    elif options.here:
        fuzz(options.only, options.seconds)
    else:
        return _all(options)
    return 0


def _all(options: argparse.Namespace) -> int:
    if options.requests:
        every, amount = list(_services().SERVICES), ("--requests", str(options.requests))
    else:
        every, amount = list(_targets().TARGETS), ("--seconds", str(options.seconds))
    for name in [options.only] if options.only else every:
        print(f"fuzzing {name}, {' '.join(amount).removeprefix('--')}", flush=True)
        command = [sys.executable, __file__, "--here", "--only", name, *amount]
        if subprocess.run(command, check=False).returncode:
            words = f"--only {name} {' '.join(amount)}"
            print(f"{name} failed; again: make fuzz ARGS='{words}'", file=sys.stderr)
            return 1
    return 0


def _targets() -> Any:
    return importlib.import_module("fuzz.targets")


def _services() -> Any:
    return importlib.import_module("fuzz.services")


def fuzz_service(name: str, requests: int) -> None:
    """Fuzzes one service until it was sent so many requests; ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["penstock_server"]):
        target = _services().ServiceTarget(name, requests)

    def one(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            target.close()
            raise
        if target.is_done:
            target.close()
            os._exit(0)  # the fuzzer knows no other end than a time or a count of inputs

    with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as folder:
        for number, seed in enumerate(target.seeds()):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        limits = [f"-max_len={LONGEST_INPUT}", "-rss_limit_mb=4096", "-timeout=60"]
        limits.append(f"-artifact_prefix={tempfile.gettempdir()}/penstock-fuzz-{name}-")
        atheris.Setup([sys.argv[0], *limits, "-verbosity=0", folder], one)
        atheris.Fuzz()


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
