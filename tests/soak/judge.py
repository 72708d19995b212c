"""Whether a series of samples is flat: a line is laid through what comes after the warm-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WARM_UP: Final = 0.4
"""Part of the run that is left out: caches fill, allocators find their size."""


@dataclass(frozen=True)
class Bound:
    """How much a series may grow over the part that is looked at."""

    at_once: float
    """What steps and noise may come to, however long the run is."""
    per_minute: float

    def over(self, minutes: float) -> float:
        """The growth that is allowed in so many minutes."""
        return self.at_once + self.per_minute * minutes


@dataclass(frozen=True)
class Verdict:
    """One series, judged."""

    first: float
    last: float
    most: float
    growth: float
    """Of the line, from its begin to its end."""
    allowed: float

    @property
    def is_flat(self) -> bool:
        return self.growth <= self.allowed


def judge(samples: Sequence[tuple[float, float]], bound: Bound) -> Verdict:
    """Judges samples of (seconds, value). Raises ValueError for fewer than ten after warm-up."""
    begin = samples[0][0] + WARM_UP * (samples[-1][0] - samples[0][0])
    kept = [sample for sample in samples if sample[0] >= begin]
    if len(kept) < 10:
        raise ValueError(f"{len(kept)} samples after the warm-up are too few: run for longer")
    seconds = kept[-1][0] - kept[0][0]
    return Verdict(
        first=kept[0][1],
        last=kept[-1][1],
        most=max(value for _, value in kept),
        growth=slope(kept) * seconds,
        allowed=bound.over(seconds / 60),
    )


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Rise per second of the line with the least squares."""
    middle = sum(time for time, _ in samples) / len(samples)
    mean = sum(value for _, value in samples) / len(samples)
    spread = sum((time - middle) ** 2 for time, _ in samples)
    return sum((time - middle) * (value - mean) for time, value in samples) / spread
