"""`make mutants`: switches every mechanism off in turn; ends with 1 if no test minds one."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .mutant import Mutant
from .table import MUTANTS
from .trial import Outcome, Verdict, copy_of_repository, failures_without_mutants, try_mutant

Row = tuple[Mutant, Outcome]


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(prog="make mutants", description=__doc__, allow_abbrev=False)
    flags.add_argument("--only", action="append", default=[], metavar="NAME", help="mutant, or P2")
    form = flags.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print what was found as JSON")
    form.add_argument("--markdown", action="store_true", help="print the table for the docs")
    flags.add_argument("--list", action="store_true", help="print the mutants and end")
    return flags


def main(argv: Sequence[str] | None = None) -> int:
    """Tries mutants. Gives the exit status: 0, 1 if one was not caught, 2 for a wrong name."""
    arguments = parser().parse_args(argv)
    wanted = set(arguments.only)
    if unknown := wanted - {mutant.name for mutant in MUTANTS} - {m.promise for m in MUTANTS}:
        print(f"no mutant or promise is named {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    mutants = [m for m in MUTANTS if not wanted or {m.name, m.promise} & wanted]
    if arguments.list:
        for mutant in mutants:
            print(f"{mutant.promise:<4}{mutant.name:<24}{mutant.mechanism}")
        return 0
    with tempfile.TemporaryDirectory(prefix="penstock-mutants-") as folder:
        rows = _try_all(Path(folder).resolve(), mutants)
    if rows is None:
        return 1
    if arguments.json:
        print(json.dumps([asdict(mutant) | asdict(outcome) for mutant, outcome in rows], indent=2))
    elif arguments.markdown:
        print(markdown(rows))
    return 0 if all(outcome.verdict is Verdict.CAUGHT for _, outcome in rows) else 1


def _try_all(copy: Path, mutants: Sequence[Mutant]) -> list[Row] | None:
    start = time.monotonic()
    copy_of_repository(copy)
    _say(f"the tests of {len(mutants)} mutants, on the product as it is …")
    if wrong := failures_without_mutants(copy, mutants):
        _say("nothing is switched off, and yet:", *wrong)
        return None
    _say(f"all pass ({time.monotonic() - start:.0f} s). Now each mechanism is switched off:")
    rows: list[Row] = []
    for number, mutant in enumerate(mutants, 1):
        outcome = try_mutant(copy, mutant)
        rows.append((mutant, outcome))
        _say(_line(number, len(mutants), mutant, outcome))
    caught = sum(outcome.verdict is Verdict.CAUGHT for _, outcome in rows)
    _say(f"{caught} of {len(rows)} caught, in {time.monotonic() - start:.0f} s")
    return rows


def _line(number: int, count: int, mutant: Mutant, outcome: Outcome) -> str:
    why = _test_name(outcome) if outcome.verdict is Verdict.CAUGHT else outcome.said
    return (
        f"{number:>3}/{count} {mutant.promise:<4}{mutant.name:<24}"
        f"{outcome.verdict:<9}{outcome.seconds:5.1f} s  {why}"
    )


def _test_name(outcome: Outcome) -> str:
    return outcome.caught_by.rpartition("::")[2].partition("[")[0]


def _say(*lines: str) -> None:
    # Standard output is for what a program reads.
    print(*lines, sep="\n", file=sys.stderr, flush=True)


def markdown(rows: Sequence[Row]) -> str:
    """The table for the documentation."""
    lines = ["| promise | switched off | where | caught by |", "| --- | --- | --- | --- |"]
    for mutant, outcome in sorted(rows, key=lambda row: int(row[0].promise[1:])):
        where = mutant.file.split("/", 2)[2].removeprefix("store/scripts/")
        caught = f"`{_test_name(outcome)}`" if outcome.caught_by else f"**{outcome.verdict}**"
        lines.append(f"| {mutant.promise} | {mutant.mechanism} | `{where}` | {caught} |")
    return "\n".join(lines)
