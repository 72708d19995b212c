"""JSON values nest only so deep that every answer that may carry them can be read."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import given
from hypothesis import strategies as st

from penstock.v1.task_service_pb2 import SubmitTasksRequest
from penstock.v1.worker_service_pb2 import LeaseTasksResponse
from penstock_server.service.validate import Limits
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.values import json_value
from support.validators import valid_request, wrong_fields


def is_fine(value: Value) -> bool:
    found = Found(Limits())
    json_value(value, "json", found)
    return not found.wrong


def lists(levels: int, number: float = 1.0) -> Value:
    # From the outside in: to put a message into another one, the library copies it, and it
    # refuses to copy what is too deep.
    value = inner = Value()
    for _ in range(levels - 1):
        inner = inner.list_value.values.add()
    inner.list_value.values.extend([Value(string_value="x" * 200), Value(number_value=number)])
    return value


def objects(levels: int) -> Value:
    value = Value(string_value="x" * 200)
    for _ in range(levels):
        value = Value(struct_value=Struct(fields={"key": value}))
    return value


def test_36_lists_or_24_objects_inside_each_other_are_taken():
    assert is_fine(lists(36))
    assert is_fine(objects(24))


def test_one_level_more_is_refused():
    assert not is_fine(lists(37))
    assert not is_fine(objects(25))


@pytest.mark.parametrize("levels", [49, 60, 500])
def test_values_deeper_than_any_parser_reads_are_refused(levels: int):
    assert not is_fine(lists(levels))


def test_deepest_value_that_is_taken_can_be_read_by_a_worker():
    response = LeaseTasksResponse()
    response.leases.add().spec.payload.json.CopyFrom(objects(24))
    request = SubmitTasksRequest()
    request.items.add().spec.payload.json.CopyFrom(lists(36))

    assert LeaseTasksResponse.FromString(response.SerializeToString()) == response
    assert SubmitTasksRequest.FromString(request.SerializeToString()) == request


def test_details_have_the_bound_of_a_value():
    request = valid_request("EndTask")
    request.failure.details.CopyFrom(objects(24).struct_value)
    assert wrong_fields("EndTask", request) == []

    request.failure.details.CopyFrom(objects(25).struct_value)
    assert wrong_fields("EndTask", request) == ["failure.details"]

    request.failure.details.CopyFrom(Struct(fields={"a": Value(number_value=math.nan)}))
    assert wrong_fields("EndTask", request) == ["failure.details"]


@pytest.mark.parametrize("size", [(16 << 10) + 1, 16 << 10])
def test_details_are_bounded_in_bytes(size: int):
    request = valid_request("EndTask")
    request.failure.details["k"] = ""
    missing = size - request.failure.details.ByteSize() - 6
    request.failure.details["k"] = "x" * missing
    request.failure.details["k"] += "x" * (size - request.failure.details.ByteSize())

    expected = ["failure.details"] if size > 16 << 10 else []
    assert request.failure.details.ByteSize() == size
    assert wrong_fields("EndTask", request) == expected


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_say_is_found_at_any_place(number: float):
    unreal = Value(number_value=number)
    inside = Value(struct_value=Struct(fields={"a": lists(20, number)}))

    assert not is_fine(unreal)
    assert not is_fine(inside)


def test_bytes_that_look_like_such_a_number_are_no_reason_to_refuse():
    # A tag, six bytes and an all-ones exponent, but within two real numbers.
    (near,) = struct.unpack("<d", bytes([0x11, 0, 0, 0, 0, 0, 0x10, 0x40]))
    value = Value(list_value=ListValue(values=[Value(number_value=near)] * 3))

    assert is_fine(value)


REAL = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(
    st.recursive(
        REAL,
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_what_json_can_say_is_taken(value: Any):
    message = Value()
    if isinstance(value, dict):
        message.struct_value.update(value)
    elif isinstance(value, list):
        message.list_value.extend(value)
    else:
        message.string_value = str(value)

    assert is_fine(message)
