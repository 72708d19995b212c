"""What the fuzzer feeds: good inputs pass every target, and so does any other."""

from __future__ import annotations

import pytest
from fuzz.targets import TARGETS, seeds
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("name", TARGETS)
def test_target_takes_its_seeds_and_their_beginnings(name: str) -> None:
    for seed in seeds()[name]:
        for end in range(len(seed) + 1):
            TARGETS[name](seed[:end])


def test_every_target_has_a_seed() -> None:
    assert seeds().keys() == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=200))
def test_target_takes_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name](data)
