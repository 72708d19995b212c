"""The garbage collector while a worker serves."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Final

import pytest

from penstock_worker import collector

_USUAL: Final = (700, 10, 10)


@pytest.fixture(autouse=True)
def _python_as_it_starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Also where another test of this process has chosen otherwise, before or after."""
    before = gc.get_threshold()
    monkeypatch.setattr(collector, "_USUAL", _USUAL)
    gc.set_threshold(*_USUAL)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_it_looks_less_often_and_not_at_what_was_there_before() -> None:
    with collector.settled():
        within, frozen = gc.get_threshold(), gc.get_freeze_count()

    assert within[0] > _USUAL[0]
    assert frozen > 0
    assert gc.get_threshold() == _USUAL
    assert gc.get_freeze_count() == 0


def test_it_looks_as_often_as_a_module_has_chosen() -> None:
    gc.set_threshold(100, 5, 5)

    with collector.settled():
        within = gc.get_threshold()

    assert within == (100, 5, 5)


def test_it_stays_off_where_it_was_off(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.set_threshold(0, 5, 5)
    monkeypatch.setattr(collector, "_USUAL", gc.get_threshold())

    with collector.settled():
        within = gc.get_threshold()

    assert within == (0, 5, 5)
