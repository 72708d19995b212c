"""The table of errors: complete, and the same facts in both forms."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from google.rpc import error_details_pb2, status_pb2

from penstock.v1 import error_pb2
from penstock_server.model import errors as model_errors
from penstock_server.model.errors import (
    FieldInvalid,
    LeaseLost,
    Overloaded,
    PenstockError,
    TaskNotFound,
    TooLarge,
    Unauthenticated,
    Violation,
)
from penstock_server.service import errors
from penstock_server.service.errors import CODES, refusal_of, to_item_error, to_status_proto

PROTO = Path(__file__).resolve().parents[3] / "proto" / "penstock" / "v1" / "error.proto"
PREFIX = "ERROR_REASON_"


def details(status: status_pb2.Status) -> dict[str, object]:
    found: dict[str, object] = {}
    for kind in ("ErrorInfo", "BadRequest", "RetryInfo"):
        message = getattr(error_details_pb2, kind)()
        for detail in status.details:
            if detail.Unpack(message):
                found[kind] = message
    return found


def test_every_reason_of_the_contract_has_a_code_and_no_other_has() -> None:
    reasons = {name.removeprefix(PREFIX) for name in error_pb2.ErrorReason.keys()}  # noqa: SIM118

    assert set(CODES) == reasons - {"UNSPECIFIED"}


def test_codes_are_those_that_the_contract_documents() -> None:
    text = PROTO.read_text(encoding="utf-8")
    written = re.findall(r"// ([A-Z_]+)[. ].*\n  ERROR_REASON_([A-Z_]+) = [1-9]", text)
    documented = {reason: code for code, reason in written}

    assert documented == {reason: code.name for reason, code in CODES.items()}


def test_every_error_class_has_a_reason_of_the_table() -> None:
    rooms = (model_errors, errors)
    classes = [
        member
        for room in rooms
        for _, member in inspect.getmembers(room, inspect.isclass)
        if issubclass(member, PenstockError) and hasattr(member, "reason")
    ]

    assert {one.reason for one in classes} == set(CODES)


def test_refusal_carries_its_reason_and_every_fact_of_its_text() -> None:
    status = to_status_proto(TaskNotFound(namespace="default", task_id="01abc"))

    info = details(status)["ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert (info.domain, info.reason) == ("penstock", "TASK_NOT_FOUND")
    assert dict(info.metadata) == {"namespace": "default", "task_id": "01abc"}
    assert all(fact in status.message for fact in info.metadata.values())


def test_invalid_fields_are_named_one_by_one() -> None:
    wrong = [Violation("spec.priority", "0 to 9"), Violation("spec.queue", "too long")]

    bad = details(to_status_proto(FieldInvalid(wrong)))["BadRequest"]

    assert isinstance(bad, error_details_pb2.BadRequest)
    named = [(v.field, v.description) for v in bad.field_violations]
    assert named == [("spec.priority", "0 to 9"), ("spec.queue", "too long")]


def test_refusals_that_pass_say_when_to_try_again() -> None:
    retry = details(to_status_proto(Overloaded(what="calls", limit=3)))["RetryInfo"]

    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToTimedelta().total_seconds() > 0


@pytest.mark.parametrize(
    "error",
    [
        LeaseLost(task_id="t"),
        TooLarge(field="spec.payload", size=9, limit=8),
        Overloaded(what="calls", limit=3),
        FieldInvalid([Violation("a", "b")]),
    ],
)
def test_an_item_is_refused_with_the_same_facts_as_a_call(error: PenstockError) -> None:
    status, item = to_status_proto(error), to_item_error(error)

    found = details(status)
    info = found["ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert (item.code, item.message) == (status.code, status.message)
    assert error_pb2.ErrorReason.Name(item.reason) == PREFIX + info.reason
    assert dict(item.metadata) == dict(info.metadata)
    assert bool(item.field_violations) == ("BadRequest" in found)
    assert item.HasField("retry_delay") == ("RetryInfo" in found)


def test_a_fault_is_answered_with_an_id_and_nothing_else() -> None:
    fault = refusal_of(ValueError("password hunter2 at /srv/secret.py"), method="x/Y")

    assert fault.reason == "INTERNAL"
    assert "hunter2" not in str(to_status_proto(fault))
    assert fault.facts["error_id"] in fault.message


def test_two_faults_have_two_ids() -> None:
    first = refusal_of(ValueError(), method="x/Y")
    second = refusal_of(ValueError(), method="x/Y")

    assert first.facts["error_id"] != second.facts["error_id"]


def test_text_without_bound_is_cut_to_what_trailers_hold() -> None:
    status = to_status_proto(Unauthenticated("x" * 100_000))

    assert len(status.SerializeToString()) < 6_000
