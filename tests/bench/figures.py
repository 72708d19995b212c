"""Figures: what a run gives, and what several runs of it come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Summary:
    """One figure over several runs."""

    name: str
    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.values)

    def as_json(self) -> dict[str, Any]:
        """The values and what they come to."""
        spread = {"median": self.median, "min": min(self.values), "max": max(self.values)}
        return asdict(self) | spread


def summarise(runs: Sequence[Sequence[Figure]]) -> list[Summary]:
    """One summary per figure, in the order of the first run that has it."""
    found: dict[tuple[str, str], list[float]] = {}
    for run in runs:
        for figure in run:
            found.setdefault((figure.name, figure.unit), []).append(figure.value)
    return [Summary(name, unit, values) for (name, unit), values in found.items()]


def percentiles(seconds: Sequence[float]) -> list[Figure]:
    """p50 and p99 of call times, in milliseconds."""
    cuts = quantiles(seconds, n=100, method="inclusive")
    return [Figure("p50", cuts[49] * 1e3, "ms"), Figure("p99", cuts[98] * 1e3, "ms")]


def cpu_figures(
    seconds: Mapping[str, float], tasks: int, *, apart: Mapping[str, float] | None = None
) -> list[Figure]:
    """CPU per task of each part and together, in microseconds; then that of processes `apart`,
    which the parts have already.
    """
    parts = {"cpu all parts": sum(seconds.values())}
    parts |= {f"cpu {part}": value for part, value in [*seconds.items(), *(apart or {}).items()]}
    return [Figure(name, value / tasks * 1e6, "µs/task") for name, value in parts.items()]
