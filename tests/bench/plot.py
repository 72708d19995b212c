"""Draws results: what each library reaches, and where the CPU of a task goes. PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

OURS: Final = "#2a6f97"
THEIRS: Final = "#b8b8b8"
_PARTS: Final = {
    "producer": "#89c2d9",
    "server": "#2a6f97",
    "store": "#d62828",
    "supervisor": "#f77f00",
    "runner": "#fcbf49",
    "worker": "#9c5700",
}
_RATES: Final = (
    ("flow", "rate", "tasks/s while they are submitted"),
    ("drain", "rate", "tasks/s of a backlog"),
    ("round_trip", "p50", "ms from submit to result, median"),
)
_COSTLY: Final = ("flow", "drain")


class PlotterMissing(Exception):
    """What draws is not installed."""


def plot(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draws a report as its JSON has it; the files. Raises PlotterMissing."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise PlotterMissing(
            "nothing to draw with; `.venv/bin/pip install matplotlib` installs it"
        ) from error
    found = {f"{it['scenario']} {it['variant']}".strip(): it for it in report["results"]}
    rates = Canvas(figsize=(11, 4.5), layout="constrained")
    for axes, (name, figure, title) in zip(rates.subplots(1, 3), _RATES, strict=True):
        _bars(axes, _rows(found, name, figure), title)
    costs = Canvas(figsize=(11, 4.5), layout="constrained")
    shown: dict[str, Any] = {}
    for axes, name in zip(costs.subplots(1, 2), _COSTLY, strict=True):
        shown |= _stack(axes, found, name)
    if shown:
        # Beside the bars, not over them.
        costs.legend(shown.values(), shown, loc="outside upper center", ncols=6, frameon=False)
    for canvas in (rates, costs):
        canvas.supxlabel(_facts(report), fontsize=8, color="#666666")
    folder.mkdir(parents=True, exist_ok=True)
    # Names inside of an SVG are drawn at random otherwise: the same results give the same file.
    with rc_context({"svg.hashsalt": "penstock"}):
        return _write({"rates": rates, "cpu": costs}, folder)


def _rows(
    found: Mapping[str, Any], name: str, figure: str
) -> list[tuple[str, float, float, float]]:
    """Label, median, least and most of each scenario of that name, ours and theirs, best last."""
    rows = []
    for title, result in found.items():
        label = _label(title, name)
        for summary in result["figures"]:
            if label and summary["name"] == figure:
                rows.append((label, summary["median"], summary["min"], summary["max"]))
    return sorted(rows, key=lambda row: row[1])


def _label(title: str, name: str) -> str:
    if title.startswith(f"{name} "):
        return "Penstock " + title.removeprefix(f"{name} ")
    return title.removeprefix(f"peer_{name} ") if title.startswith(f"peer_{name} ") else ""


def _bars(axes: Any, rows: Sequence[tuple[str, float, float, float]], title: str) -> None:
    labels = [row[0] for row in rows]
    values = [row[1] for row in rows]
    spread = [[row[1] - row[2] for row in rows], [row[3] - row[1] for row in rows]]
    colours = [OURS if label.startswith("Penstock") else THEIRS for label in labels]
    axes.barh(labels, values, xerr=spread, color=colours, ecolor="#444444", capsize=2)
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _stack(axes: Any, found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Draws the parts one after the other, to a linear scale: lengths are what is compared. Gives
    what stands for each part.
    """
    shown = {}
    bars = {_label(title, name): result for title, result in found.items() if _label(title, name)}
    labels = sorted(bars, key=lambda label: _cost(bars[label], "cpu all parts"))
    left = [0.0] * len(labels)
    for part, colour in _PARTS.items():
        values = [_cost(bars[label], f"cpu {part}") for label in labels]
        if any(values):
            shown[part] = axes.barh(labels, values, left=left, color=colour)
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes.set_title(f"{name}: CPU of a task, µs", fontsize=10)
    for place, total in enumerate(left):
        axes.annotate(f" {total:.0f}", (total, place), va="center", fontsize=8)
    axes.margins(x=0.1)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return shown


def _cost(result: Mapping[str, Any], figure: str) -> float:
    return float(next((it["median"] for it in result["figures"] if it["name"] == figure), 0.0))


def _facts(report: Mapping[str, Any]) -> str:
    machine = report["machine"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, everything on it; {report['durability']}; "
        f"median of {report['runs']} runs, spread drawn; {report['time'][:10]}, "
        f"commit {report['commit']}"
    )


def _write(canvases: Mapping[str, Any], folder: Path) -> list[Path]:
    written = []
    for name, canvas in canvases.items():
        for form in ("png", "svg"):
            path = folder / f"{name}.{form}"
            # Without a date, for the same reason.
            canvas.savefig(path, dpi=120, metadata={"Date": None} if form == "svg" else None)
            written.append(path)
    return written
