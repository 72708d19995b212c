"""What is remembered of a partition's events: whole and in order from a place on, or not at all."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from penstock_server.engine import watch
from penstock_server.model.cursor import Place
from penstock_server.store.streams import EventBatch


def place(number: int) -> Place:
    return Place(f"{number}-0", number)


def recent(*numbers: int) -> Any:
    """Begins behind the first number; each later one ends a batch whose events are its numbers."""
    kept = watch._Recent(place(numbers[0]))
    for before, behind in pairwise(numbers):
        events: Any = list(range(before + 1, behind + 1))
        kept.add(EventBatch(events, place(behind), size=100 * len(events)))
    return kept


def told(batch: EventBatch | None) -> tuple[Any, Place] | None:
    return None if batch is None else (batch.events, batch.position)


@pytest.mark.parametrize(("at", "events"), [(5, [6, 7, 8, 9]), (7, [8, 9]), (8, [9]), (9, [])])
def test_what_came_behind_a_place_comes_whole_and_in_order(at: int, events: list[int]):
    assert told(recent(5, 7, 8, 9).after(place(at))) == (events, place(9))


@pytest.mark.parametrize("at", [4, 6, 10])
def test_a_place_before_between_or_behind_what_is_remembered_is_not_known(at: int):
    assert recent(5, 7, 8, 9).after(place(at)) is None


@pytest.mark.parametrize("number", [7, 9])
def test_a_place_of_another_stream_is_not_known(number: int):
    assert recent(5, 7, 8, 9).after(Place("0-1", number)) is None


def test_only_the_latest_batches_are_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "_REMEMBERED", 2)
    kept = recent(1, 2, 3, 4)

    assert kept.after(place(1)) is None
    assert told(kept.after(place(2))) == ([3, 4], place(4))


def test_only_so_many_bytes_are_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "_REMEMBERED_BYTES", 250)
    kept = recent(1, 2, 3, 4)

    assert kept.after(place(1)) is None
    assert told(kept.after(place(2))) == ([3, 4], place(4))


def test_more_than_fits_into_an_answer_comes_in_parts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "MOST_BYTES", 350)
    kept = recent(1, 3, 4, 9, 10)

    assert told(kept.after(place(1))) == ([2, 3, 4], place(4))
    assert told(kept.after(place(4))) == ([5, 6, 7, 8, 9], place(9))
    assert told(kept.after(place(9))) == ([10], place(10))
