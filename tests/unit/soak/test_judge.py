"""A soak tells growth from noise."""

from __future__ import annotations

import pytest
from soak.judge import Bound, judge

BOUND = Bound(at_once=2, per_minute=0.1)


def series(*values: float) -> list[tuple[float, float]]:
    return [(5.0 * number, value) for number, value in enumerate(values)]


def test_noise_around_a_level_is_flat() -> None:
    assert judge(series(*(100 + number % 3 for number in range(60))), BOUND).is_flat


def test_growth_in_the_warm_up_is_none() -> None:
    values = [min(100, 10 * number) for number in range(60)]

    assert judge(series(*values), BOUND).is_flat


def test_steady_growth_is_found_below_the_noise() -> None:
    values = [100 + 0.1 * number + number % 3 for number in range(60)]

    verdict = judge(series(*values), BOUND)

    assert not verdict.is_flat
    assert verdict.growth == pytest.approx(3.5, abs=0.5)


def test_run_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        judge(series(*range(12)), BOUND)
