"""Runs tests in a copy of the repository, and judges what a mutant did to them.

The copy is what gets imported, by the tests and by every process that they start: PYTHONPATH comes
before what an editable installation adds. The witness proves it for the tests' own process; for all
of them, compiled code that appears beside the changed file does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from . import witness
from .mutant import ROOT, SERVER, Mutant

LINKED: Final = (".venv", ".tools")
"""Programs that tests look for; only read."""
ASSERTED: Final = ("AssertionError", "Failed")
SILENCE: Final = 25.0
"""Seconds after which a test of a mutant that waits for what never comes has failed."""
LONGEST: Final = 300.0
"""Seconds that one run of tests may take."""


class Verdict(StrEnum):
    """What became of a mutant."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    BROKEN = "broken"
    """Something failed, but not for lack of the mechanism: the mutant proves nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one run of tests came to."""

    verdict: Verdict
    caught_by: str
    """The first test that failed as it must; empty if none did."""
    said: str
    """The first line of what it raised, or what is wrong with the run."""
    seconds: float


def copy_of_repository(into: Path) -> None:
    """Copies every file that git knows or would add, and links the programs."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, into / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for name in LINKED:
        if (ROOT / name).exists():
            (into / name).symlink_to(ROOT / name)


@contextmanager
def switched_off(copy: Path, mutant: Mutant) -> Iterator[None]:
    """The copy with one mechanism off."""
    path = copy / mutant.file
    text = path.read_text(encoding="utf-8")
    path.write_text(mutant.applied_to(text), encoding="utf-8")
    _forget_compiled(copy, mutant)
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")
        _forget_compiled(copy, mutant)


def run_tests(copy: Path, tests: Sequence[str], *, stop_early: bool) -> dict[str, Any]:
    """Runs tests in the copy. Gives what the witness wrote, and what pytest printed."""
    written = copy / "witness.json"
    written.unlink(missing_ok=True)
    roots = [copy / name for name in ("server", "worker", "clients/python", "tests")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, roots)),
        witness.OUTPUT: str(written),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment.pop("PYTHONPYCACHEPREFIX", None)
    command = [sys.executable, "-m", "pytest", "-p", "mutants.witness", "-q", "--no-header"]
    # The same examples every time: a mutant is caught always or never.
    command += ["-p", "no:cacheprovider", "--hypothesis-seed=0"]
    command += [*(["-x", f"--timeout={SILENCE:g}"] if stop_early else []), *tests]
    try:
        ended = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"reports": [], "loaded": {}, "printed": f"took more than {LONGEST:g} s"}
    found: dict[str, Any] = {"reports": [], "loaded": {}}
    if written.exists():
        found = json.loads(written.read_text(encoding="utf-8"))
    return found | {"printed": ended.stdout + ended.stderr}


def failures_without_mutants(copy: Path, mutants: Iterable[Mutant]) -> list[str]:
    """Runs every named test on the copy as it is. Gives what is wrong; nothing if all pass."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    found = run_tests(copy, tests, stop_early=False)
    wrong = [f"{each['test']}: {each['said']}" for each in _failed(found)]
    wrong += _loaded_elsewhere(copy, found)
    passed = {each["test"].partition("[")[0] for each in found["reports"] if _passed(each)}
    missing = [test for test in tests if not any(name.startswith(test) for name in passed)]
    return wrong + [f"{test}: did not run" for test in missing]


def try_mutant(copy: Path, mutant: Mutant) -> Outcome:
    """Switches one mechanism off in the copy and runs its tests."""
    start = time.monotonic()
    with switched_off(copy, mutant):
        found = run_tests(copy, mutant.tests, stop_early=True)
        imported = _compiled(copy, mutant).exists()
    seconds = time.monotonic() - start
    verdict, test, said = _judge(copy, mutant, found, imported=imported)
    return Outcome(verdict=verdict, caught_by=test, said=said, seconds=seconds)


def _judge(
    copy: Path, mutant: Mutant, found: dict[str, Any], *, imported: bool
) -> tuple[Verdict, str, str]:
    if elsewhere := _loaded_elsewhere(copy, found):
        return Verdict.BROKEN, "", elsewhere[0]
    if not imported:
        return Verdict.BROKEN, "", "the changed file was not loaded"
    failed = _failed(found)
    for each in failed:
        if each["phase"] == "call" and _shows_the_lack(mutant, each):
            return Verdict.CAUGHT, each["test"], _first_line(each["said"])
    if failed:
        return Verdict.BROKEN, "", f"{failed[0]['phase']}: {_first_line(failed[0]['said'])}"
    if not any(_passed(each) for each in found["reports"]):
        return Verdict.BROKEN, "", f"no test ran: {found['printed'][-300:]}"
    return Verdict.SURVIVED, "", "every test passed"


def _shows_the_lack(mutant: Mutant, report: dict[str, Any]) -> bool:
    if report["raised"] == "Failed" and "Timeout" in report["said"]:
        return "Timeout" in mutant.fails_with
    return report["raised"] in (*ASSERTED, *mutant.fails_with)


def _failed(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in found["reports"] if each["outcome"] == "failed"]


def _passed(report: dict[str, Any]) -> bool:
    return bool(report["phase"] == "call" and report["outcome"] == "passed")


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


def _loaded_elsewhere(copy: Path, found: dict[str, Any]) -> list[str]:
    return [
        f"{name} was loaded from {folder}, not from the copy"
        for name, folder in found["loaded"].items()
        if not Path(folder).is_relative_to(copy)
    ]


def _compiled(copy: Path, mutant: Mutant) -> Path:
    """The file that appears when the changed text is read. Scripts are read by their library."""
    name = mutant.file if mutant.file.endswith(".py") else f"{SERVER}/store/script_library.py"
    return Path(importlib.util.cache_from_source(str(copy / name)))


def _forget_compiled(copy: Path, mutant: Mutant) -> None:
    # Also because a change of the same length within a second would not be noticed.
    _compiled(copy, mutant).unlink(missing_ok=True)
