"""The results of a measurement: gathered as scenarios end, shown as a table, written as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import machine
from bench.figures import Summary
from bench.ratios import Ratio, ratios
from bench.scenario import Amount, Scenario
from bench.store import DURABILITY

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Result:
    """A scenario and its figures over all runs."""

    scenario: Scenario
    summaries: Sequence[Summary]

    def as_json(self) -> dict[str, Any]:
        """Names and figures."""
        return {
            "scenario": self.scenario.name,
            "variant": self.scenario.variant,
            "executor": self.scenario.executor,
            "figures": [summary.as_json() for summary in self.summaries],
        }


@dataclass(slots=True)
class Report:
    """Everything that a measurement says. Made before the first run, for the load before it."""

    amount: Amount
    runs: int
    disquiet: Sequence[str]
    results: list[Result] = field(default_factory=list)
    paces: list[float] = field(default_factory=list)
    """How fast the machine was before each run, see `machine.pace`."""
    load_before: Sequence[float] = field(default_factory=os.getloadavg)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def as_json(self) -> dict[str, Any]:
        """The whole report."""
        return {
            "format": FORMAT,
            "time": self.time.isoformat(timespec="seconds"),
            "commit": machine.commit(),
            "machine": machine.machine(),
            "versions": machine.versions(),
            "durability": DURABILITY,
            "load_before": list(self.load_before),
            "disquiet": list(self.disquiet),
            "amount": asdict(self.amount),
            "runs": self.runs,
            "paces": [round(pace, 2) for pace in self.paces],
            "ratios": [asdict(ratio) for ratio in self.ratios()],
            "results": [result.as_json() for result in self.results],
        }

    def ratios(self) -> Sequence[Ratio]:
        """Penstock against each peer that was measured in the same run."""
        found = {result.scenario.title: result.summaries for result in self.results}
        return ratios(found)

    def write(self, path: Path) -> None:
        """Writes the report as JSON, whole or not at all."""
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(self.as_json(), indent=1) + "\n", encoding="utf-8")
        draft.replace(path)

    def show(self, console: Console) -> None:
        """Prints the table and what it was measured on."""
        console.print(_table(self.results))
        if compared := self.ratios():
            console.print(_ratio_table(compared))
        facts = machine.machine()
        console.print(
            f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, "
            f"{facts['system']} {facts['kernel']}; load before {self.load_before[0]:.2f}; "
            f"pace {min(self.paces):.0f} to {max(self.paces):.0f} million turns/s; "
            f"{DURABILITY}; allocator {machine.allocator()}; Python {machine.interpreter()}; "
            f"commit {machine.commit() or 'unknown'}; {self.runs} runs",
            highlight=False,
        )
        for reason in self.disquiet:
            console.print(f"not comparable: {reason}", style="yellow", highlight=False)


def _table(results: Sequence[Result]) -> Table:
    table = Table("scenario", "figure", "unit")
    for name in ("median", "min", "max"):
        table.add_column(name, justify="right")
    for result in results:
        for place, summary in enumerate(result.summaries):
            title = "" if place else result.scenario.title
            numbers = (summary.median, min(summary.values), max(summary.values))
            table.add_row(title, summary.name, summary.unit, *map(number, numbers))
        table.add_section()
    return table


def _ratio_table(compared: Sequence[Ratio]) -> Table:
    table = Table("Penstock", "against", "figure")
    for name in ("ratio", "min", "max"):
        table.add_column(name, justify="right")
    for ratio in compared:
        numbers = (ratio.median, ratio.min, ratio.max)
        table.add_row(ratio.ours, ratio.theirs, ratio.figure, *(f"{n:.2f}" for n in numbers))
    return table


def number(value: float) -> str:
    """A number with as many digits as it deserves."""
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
