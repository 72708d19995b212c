"""Every bound of the contract, at its edge and one step beyond."""

from __future__ import annotations

import pytest

from penstock_server.service import validate
from support.bounds import BOUNDS, NOW, Bound, named, request_with
from support.validators import METHODS, valid_request, wrong_fields

LIMITS = validate.Limits(now=lambda: float(NOW))


@pytest.mark.parametrize("method", METHODS)
def test_a_small_request_is_taken(method: str):
    assert wrong_fields(method, valid_request(method)) == []


@pytest.mark.parametrize("bound", named(BOUNDS))
def test_values_within_bounds_are_taken(bound: Bound):
    for value in bound.taken:
        wrong = wrong_fields(bound.method, request_with(bound, value), LIMITS)

        assert wrong == [], repr(value)[:99]


@pytest.mark.parametrize("bound", named(BOUNDS))
def test_values_beyond_bounds_are_refused_and_the_field_is_named(bound: Bound):
    for value in bound.refused:
        wrong = wrong_fields(bound.method, request_with(bound, value), LIMITS)

        assert wrong == [bound.wrong or bound.field], repr(value)[:99]
