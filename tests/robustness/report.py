"""Writes what a run found, for people: a table in Markdown, and the facts as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from robustness.checker import Verdict
from robustness.plan import Plan

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Round:
    """One round and what came of it."""

    plan: Plan
    verdict: Verdict
    seconds: float


def summary(rounds: Sequence[Round]) -> str:
    """The whole run as Markdown."""
    broken = [item for item in rounds if item.verdict.violations]
    minutes = sum(item.seconds for item in rounds) / 60
    lines = [
        f"# Robustness run of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        f"{len(rounds)} rounds, {minutes:.1f} minutes; "
        + (f"**{len(broken)} rounds broke a promise**." if broken else "every promise was kept."),
        "",
        *_figures(rounds),
        "",
        *_counts("Operations", [item.verdict.operations for item in rounds]),
        *_counts("Faults", [item.verdict.faults for item in rounds]),
        *_counts("Executions by outcome", [item.verdict.outcomes for item in rounds]),
        "## Rounds",
        "",
        "| seed | store | partitions | disk | operations | faults | broken |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, rounds),
        "",
    ]
    for item in broken:
        lines += _broken(item)
    return "\n".join(lines)


def _figures(rounds: Sequence[Round]) -> list[str]:
    lines = ["| | |", "| --- | --- |"]
    for name in rounds[0].verdict.table if rounds else ():
        values = [item.verdict.table[name] for item in rounds]
        total = max(values) if name.startswith("longest") else sum(values)
        lines.append(f"| {name} | {total:,} |")
    return lines


def _counts(title: str, counts: Sequence[dict[str, int]]) -> list[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    text = ", ".join(f"{name} {number:,}" for name, number in total.most_common())
    return [f"{title}: {text or 'none'}.", ""]


def _row(item: Round) -> str:
    plan, table = item.plan, item.verdict.table
    disk = "small" if plan.small_disk else "real"
    return (
        f"| {plan.seed} | {plan.appendfsync} | {plan.partitions} | {disk} "
        f"| {table['operations']:,} | {table['faults']} | {len(item.verdict.violations)} |"
    )


def _broken(item: Round) -> list[str]:
    found = item.verdict.violations
    kinds = Counter(violation.rule for violation in found)
    lines = [f"## Seed {item.plan.seed}", "", f"    {item.plan.command()}", ""]
    lines += [", ".join(f"{rule} {count}" for rule, count in kinds.items()), ""]
    lines += [f"- {violation}" for violation in found[:_SHOWN]]
    return [*lines, ""]


def write(rounds: Sequence[Round], folder: Path) -> Path:
    """Writes `report.md` and `report.json`; gives the path of the first."""
    path = folder / "report.md"
    path.write_text(summary(rounds), encoding="utf-8")
    facts = [{"plan": asdict(r.plan), "seconds": r.seconds, **asdict(r.verdict)} for r in rounds]
    (folder / "report.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return path
