"""Every mutant."""

from __future__ import annotations

from typing import Final

from . import bounds, durability, outages
from .mutant import Mutant

PROMISES: Final = tuple(f"P{number}" for number in range(1, 13) if number != 5)
"""P5 has no mechanism yet: there are no schedules."""

MUTANTS: Final[tuple[Mutant, ...]] = (*durability.MUTANTS, *outages.MUTANTS, *bounds.MUTANTS)
