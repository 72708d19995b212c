"""What `constraints.txt` pins can be installed wherever we say that Penstock runs."""

from __future__ import annotations

import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[3]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
]


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.name)
def test_a_pin_admits_the_oldest_python_that_is_promised(pin):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = project["requires-python"].removeprefix(">=") + ".0"

    wanted = distribution(pin.name).metadata["Requires-Python"] or ""

    assert SpecifierSet(wanted).contains(oldest), f"{pin} needs Python {wanted}"
