"""Task ids: their form, their order, and how those of a repeated call are worked out again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.model.ids import (
    MAX_PARTITIONS,
    TaskIds,
    ids_from,
    is_task_id,
    partition_of,
)

PARTITIONS = st.integers(0, MAX_PARTITIONS - 1)


def makers(clock=lambda: 1_700_000_000.0, bits=lambda bits: 0) -> TaskIds:
    return TaskIds(clock, bits)


@given(PARTITIONS)
def test_an_id_has_its_form_and_names_its_partition(partition: int):
    task_id = TaskIds().first(partition)

    assert is_task_id(task_id)
    assert len(task_id) == 26
    assert partition_of(task_id) == partition


@pytest.mark.parametrize(
    "text", ["", "0" * 25, "0" * 27, "8" + "0" * 25, "O" * 26, "0" * 25 + "u", "0" * 25 + "A"]
)
def test_what_is_no_id_is_not_taken_for_one(text: str):
    assert not is_task_id(text)


def test_ids_begin_with_their_time():
    early, late = (makers(lambda at=at: at).first(0) for at in (1_000.0, 1_000.001))

    assert early[:9] < late[:10]
    assert early < late


def test_calls_of_one_millisecond_rise_also_when_the_clock_goes_back():
    times = iter([1_000.0] * 5_000 + [999.0] * 10)
    ids = TaskIds(lambda: next(times))

    made = [ids.first(3) for _ in range(5_010)]

    assert made == sorted(set(made))


@given(PARTITIONS, st.integers(1, 1_000), st.integers(0, (1 << 57) - 1))
def test_ids_of_a_call_rise_and_stay_in_their_partition(partition: int, count: int, low: int):
    first = makers(bits=lambda _: low).first(partition)

    ids = ids_from(first, count)

    assert ids[0] == first
    assert len(ids) == count
    assert ids == sorted(set(ids))
    assert all(is_task_id(task_id) and partition_of(task_id) == partition for task_id in ids)


def test_counting_up_carries_through_every_digit():
    first = makers(bits=lambda bits: (1 << bits) - 1).first(7)

    ids = ids_from(first, 5)

    assert ids == sorted(set(ids))
    assert {task_id[:10] for task_id in ids} == {first[:10]}, "the time stays as it is"
