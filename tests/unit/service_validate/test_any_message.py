"""Whatever arrives, a validator takes it or refuses it: it never fails."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.v1.execution_pb2 import LogLine
from penstock.v1.task_pb2 import Failure, Payload, Progress, TaskSpec
from penstock_server.model.errors import PenstockError
from penstock_server.service import trim, validate
from penstock_server.service.validate.found import ITEM_BYTES, REQUEST_BYTES, Found
from penstock_server.service.validate.payload import payload, payload_rules
from penstock_server.service.validate.spec import task_spec, task_spec_rules
from penstock_server.service.validate.values import json_value
from support.messages import messages
from support.validators import METHODS, answer_of, request_type, wrong_fields

LIMITS = validate.Limits()


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)  # of each of thirty methods
@given(data=st.data())
def test_every_message_is_taken_or_refused(method: str, data: st.DataObject):
    request = data.draw(messages(request_type(method)))

    answer = answer_of(method, request)

    match answer:
        case PenstockError():
            assert len(answer.violations) > 0
            assert text_bytes(answer) <= REQUEST_BYTES
        case list():
            assert len(answer) == len(request.items)
            assert all(text_bytes(error) <= ITEM_BYTES for error in answer if error is not None)
        case _:
            assert answer is None


def text_bytes(error: PenstockError) -> int:
    return sum(len(v.field.encode()) + len(v.description.encode()) for v in error.violations)


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_field_is_ignored(method: str):
    message = request_type(method)
    without, beside = message(), message.FromString(b"\xfa\xff\x03\x01x")

    assert wrong_fields(method, beside) == wrong_fields(method, without)


@given(spec=messages(TaskSpec, {"task_type": ["a", "b.c"], "queue": ["", "q"]}, most=3))
def test_specs_told_by_their_sizes_are_those_in_which_nothing_is_wrong(spec: TaskSpec):
    found, field_by_field = Found(LIMITS), Found(LIMITS)

    task_spec(spec, "spec", found)
    task_spec_rules(spec, "spec", field_by_field)

    assert found.wrong == field_by_field.wrong


@given(value=messages(Payload, {"content_type": ["", "a/b", "ä" * 64, "ä" * 65, "t" * 129]}))
def test_payloads_told_by_their_sizes_are_those_in_which_nothing_is_wrong(value: Payload):
    found, field_by_field = Found(LIMITS), Found(LIMITS)

    payload(value, "payload", found)
    payload_rules(value, "payload", field_by_field)

    assert found.wrong == field_by_field.wrong


@given(value=messages(Value))
def test_any_json_value_is_judged(value: Value):
    found = Found(LIMITS)

    json_value(value, "value", found)

    assert len(found.wrong) <= 1


@given(message=messages(Failure) | messages(Progress) | messages(LogLine))
def test_trimming_twice_is_trimming_once(message: Message):
    trimmers: dict[type[Message], Any] = {
        Failure: trim.trim_failure,
        Progress: trim.trim_progress,
        LogLine: trim.trim_log_line,
    }

    trimmers[type(message)](message)
    once = message.SerializeToString(deterministic=True)
    trimmers[type(message)](message)

    assert message.SerializeToString(deterministic=True) == once
