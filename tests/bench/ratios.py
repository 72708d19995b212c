"""Ratios: Penstock beside its peers, run by run, so that a machine that drifts does not decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.figures import Summary

# Ours, theirs, the figure, and whether more of it is better.
_COMPARED: Final = (
    ("flow default", "peer_flow", "rate", True),
    ("flow inline", "peer_flow", "rate", True),
    ("drain default", "peer_drain", "rate", True),
    ("drain inline", "peer_drain", "rate", True),
    ("singles 1 shared", "peer_singles", "rate", True),
    ("round_trip default", "peer_round_trip", "p50", False),
    ("round_trip inline", "peer_round_trip", "p50", False),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """How many times as good as a peer Penstock was, over the runs; above 1 it was better."""

    ours: str
    theirs: str
    figure: str
    median: float
    min: float
    max: float


def ratios(found: Mapping[str, Sequence[Summary]]) -> list[Ratio]:
    """Every comparison that the summaries, by title of their scenario, allow."""
    compared = []
    for ours, name, figure, more_is_better in _COMPARED:
        mine = _values(found.get(ours, ()), figure)
        for title, summaries in found.items():
            theirs = _values(summaries, figure)
            if not (title.startswith(f"{name} ") and mine and theirs):
                continue
            pairs = [a / b if more_is_better else b / a for a, b in zip(mine, theirs, strict=True)]
            bounds = {"median": median(pairs), "min": min(pairs), "max": max(pairs)}
            peer = title.removeprefix(f"{name} ")
            compared.append(Ratio(ours=ours, theirs=peer, figure=figure, **bounds))
    return compared


def _values(summaries: Sequence[Summary], figure: str) -> Sequence[float]:
    return next((summary.values for summary in summaries if summary.name == figure), ())
