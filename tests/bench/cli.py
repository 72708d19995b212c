"""`make bench`: measures scenarios and shows, keeps or profiles what they give."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench import machine
from bench.figures import Figure, summarise
from bench.peers.peer import missing
from bench.plot import PlotterMissing, plot
from bench.processes import ProcessEnded
from bench.profile import Profiler, ProfilerMissing
from bench.report import FORMAT, Report, Result, number
from bench.scenario import QUICK, Amount, NoProbe, Probe, Scenario, TooFew
from bench.scenarios import all_scenarios

RESULTS: Final = Path(__file__).with_name("results")
_RUNS: Final = 5


class NoResults(Exception):
    """A file is not one that `--json` or `--save` wrote."""


_FAILURES: Final = (
    *(NoResults, PlotterMissing, ProcessEnded, ProfilerMissing),
    *(TimeoutError, TooFew),
)


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = argparse.ArgumentParser(
        prog="make bench",
        description="Measures Penstock on this machine. With make: make bench ARGS='--quick'.",
        allow_abbrev=False,
    )
    add = flags.add_argument
    add(
        "--scenario",
        action="append",
        default=[],
        metavar="NAME",
        help="only these, e.g. flow or 'flow inline'; * and ? may stand for anything",
    )
    add("--list", action="store_true", help="print the names of the scenarios")
    add("--runs", type=int, metavar="N", help=f"runs of each ({_RUNS}; 1 with --quick)")
    add("--tasks", type=int, metavar="N", help="tasks per run (200,000, or until --seconds)")
    add("--seconds", type=float, metavar="S", help="time to submit per run (30)")
    add("--calls", type=int, metavar="N", help="calls where each call is timed (2,000)")
    add("--quick", action="store_true", help="a first look: few tasks, one run")
    add("--json", type=Path, metavar="FILE", help="write the results there")
    add(
        "--save",
        action="store_true",
        help="keep the results as those of this version; refused on a busy machine",
    )
    add("--plot", type=Path, metavar="DIR", help="draw the results into this folder, PNG and SVG")
    add("--plot-of", type=Path, metavar="FILE", help="measure nothing; draw these results instead")
    add("--profile", type=Path, metavar="DIR", help="record where the time goes, into this folder")
    add("--native", action="store_true", help="record C code too (with --profile; slower)")
    return flags


def main(argv: Sequence[str] | None = None) -> int:
    """Measures. Gives the exit status: 0, 1 if a measurement failed, 2 for a wrong command line."""
    options = parser().parse_args(argv)
    chosen = choose(options.scenario)
    if options.list:
        print("\n".join(scenario.title for scenario in chosen))
        return 0
    disquiet = machine.disquiet()
    if refusal := _refusal(options, chosen, disquiet):
        print(f"penstock bench: {refusal}", file=sys.stderr)
        return 2
    console = Console()
    try:
        if options.plot_of:
            drawn = plot(_results(options.plot_of), options.plot or Path())
            print("\n".join(map(str, drawn)))
            return 0
        report = measure(chosen, options, disquiet, console)
        report.show(console)
        for path in _files(options):
            report.write(path)
        if options.plot:
            plot(report.as_json(), options.plot)
    except _FAILURES as error:
        print(f"penstock bench: {error}", file=sys.stderr)
        return 1
    return 0


def choose(patterns: Sequence[str]) -> list[Scenario]:
    """The scenarios whose name or title fits one of the patterns. Without patterns all that can be
    measured here: peers only where they are installed.
    """
    if not patterns:
        return [it for it in all_scenarios() if not (it.name.startswith("peer_") and missing())]
    return [
        scenario
        for scenario in all_scenarios()
        if any(fnmatch(name, p) for p in patterns for name in (scenario.name, scenario.title))
    ]


def amount_of(options: argparse.Namespace) -> Amount:
    """How much to measure."""
    names = ("tasks", "seconds", "calls")
    given: dict[str, Any] = {
        name: value for name in names if (value := getattr(options, name)) is not None
    }
    return replace(QUICK if options.quick else Amount(), **given)


def measure(
    chosen: Sequence[Scenario],
    options: argparse.Namespace,
    disquiet: Sequence[str],
    console: Console,
) -> Report:
    """Runs every scenario as often as asked, and tells how far it is."""
    for line in machine.advice():
        console.print(line, style="yellow", highlight=False)
    runs = options.runs or (1 if options.quick else _RUNS)
    report = Report(amount_of(options), runs, disquiet)
    probes = [_probe(options, scenario) for scenario in chosen]
    found: list[list[Sequence[Figure]]] = [[] for _ in chosen]
    # All in turn, again and again: a machine whose speed drifts is then the same for all.
    for run in range(1, runs + 1):
        for place, scenario in enumerate(chosen):
            where = f"run {run}/{runs}, {place + 1}/{len(chosen)} {scenario.title}"
            console.print(f"{where} …", end=" ", highlight=False)
            report.paces.append(machine.pace())
            found[place].append(scenario.run(report.amount, probes[place]))
            first = found[place][-1][0]
            console.print(f"{number(first.value)} {first.unit}", highlight=False)
    report.results += map(Result, chosen, map(summarise, found))
    return report


def _probe(options: argparse.Namespace, scenario: Scenario) -> Probe:
    if options.profile is None:
        return NoProbe()
    return Profiler(options.profile, scenario.title, native=options.native)


def _refusal(
    options: argparse.Namespace, chosen: Sequence[Scenario], disquiet: Sequence[str]
) -> str:
    """Why nothing is measured; empty if there is no reason."""
    if not chosen:
        return f"no scenario fits {options.scenario}; --list prints their names"
    if any(scenario.name.startswith("peer_") for scenario in chosen) and missing():
        return missing()
    if options.save and (options.quick or options.profile):
        return "--save keeps full measurements only: leave --quick and --profile out"
    if options.save and disquiet:
        return f"--save needs a quiet machine: {'; '.join(disquiet)}"
    return ""


def _results(path: Path) -> dict[str, Any]:
    """What an earlier measurement wrote. Raises NoResults."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NoResults(f"{path} cannot be drawn: {error}") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise NoResults(f"{path} cannot be drawn: it is not what --json writes")
    return told


def _files(options: argparse.Namespace) -> list[Path]:
    saved = RESULTS / f"{machine.versions()['penstock']}.json"
    return [*([options.json] if options.json else []), *([saved] if options.save else [])]
