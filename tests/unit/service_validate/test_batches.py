"""Batches answer item by item; what is wrong with the batch itself refuses it whole."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.v1.task_service_pb2 import SubmitTasksRequest
from penstock.v1.worker_service_pb2 import ReportExecutionsRequest, ReportItem
from penstock_server.model.errors import FieldInvalid, TooLarge
from penstock_server.service import validate
from penstock_server.service.validate import Limits
from support.validators import wrong_fields

LIMITS = Limits()


def batch_of(count: int) -> SubmitTasksRequest:
    request = SubmitTasksRequest()
    for _ in range(count):
        request.items.add().spec.task_type = "t"
    return request


def report_of(*items: ReportItem) -> ReportExecutionsRequest:
    return ReportExecutionsRequest(session_id="s", items=items)


def log(*numbers: int, **fields: Any) -> ReportItem:
    item = ReportItem(lease_token="t")
    for number in numbers:
        item.log_lines.add(number=number, **fields)
    return item


def test_each_wrong_item_has_its_own_error():
    request = batch_of(5)
    request.items[1].spec.priority = 10
    request.items[3].spec.payload.data = b"x" * ((1 << 20) + 1)
    request.items[4].ClearField("spec")

    answers = validate.submit_tasks(request, LIMITS)

    assert [type(answer) for answer in answers] == [
        type(None),
        FieldInvalid,
        type(None),
        TooLarge,
        FieldInvalid,
    ]
    assert [v.field for answer in answers if answer for v in answer.violations] == [
        "items[1].spec.priority",
        "items[3].spec.payload",
        "items[4].spec",
    ]


def test_a_batch_has_one_to_a_thousand_items():
    assert validate.submit_tasks(batch_of(1_000), LIMITS) == [None] * 1_000
    assert wrong_fields("SubmitTasks", batch_of(0)) == ["items"]
    assert wrong_fields("SubmitTasks", batch_of(1_001)) == ["items"]


def test_an_atomic_batch_has_at_most_256_items():
    fits, beyond = batch_of(256), batch_of(257)
    fits.all_or_none = beyond.all_or_none = True

    assert wrong_fields("SubmitTasks", fits) == []
    assert wrong_fields("SubmitTasks", beyond) == ["items"]


def test_an_atomic_batch_is_bounded_in_bytes():
    request = batch_of(2)
    request.all_or_none = True
    for item in request.items:
        item.spec.payload.data = b"x" * (512 << 10)

    with pytest.raises(TooLarge):
        validate.submit_tasks(request, LIMITS)
    request.all_or_none = False
    assert validate.submit_tasks(request, LIMITS) == [None, None]


def test_error_of_an_item_stays_small():
    request = batch_of(1)
    for index in range(32):
        request.items[0].spec.labels[f"a b {index}"] = ""

    (answer,) = validate.submit_tasks(request, LIMITS)

    assert answer is not None
    assert len(answer.message) < 1_000


def test_a_report_without_items_is_taken():
    assert validate.report_executions(report_of(), LIMITS) == []


def test_a_report_has_at_most_a_thousand_items():
    request = report_of(*(ReportItem(lease_token=f"t{index}") for index in range(1_001)))

    assert wrong_fields("ReportExecutions", request) == ["items"]


def test_of_several_reports_of_one_lease_the_first_is_taken():
    request = report_of(*(ReportItem(lease_token=token) for token in "abaab"))

    answers = validate.report_executions(request, LIMITS)

    assert [answer is None for answer in answers] == [True, True, False, False, False]
    assert wrong_fields("ReportExecutions", request) == ["items[2].lease_token"]


@pytest.mark.parametrize("token", ["", "x" * 257, "é" * 129])
def test_a_lease_token_is_there_and_not_absurd(token: str):
    request = report_of(ReportItem(lease_token=token))

    assert wrong_fields("ReportExecutions", request) == ["items[0].lease_token"]


@pytest.mark.parametrize(
    ("report", "wrong"),
    [
        ({"accept": {}}, None),
        ({"heartbeat": {}}, None),
        ({"heartbeat": {"progress": {"fraction": 1.0, "message": "x" * 5_000}}}, None),
        ({"heartbeat": {"progress": {"fraction": 1.01}}}, "heartbeat.progress.fraction"),
        ({"heartbeat": {"progress": {"fraction": float("nan")}}}, "heartbeat.progress.fraction"),
        ({"heartbeat": {"usage": {"read_bytes": -1}}}, "heartbeat.usage.read_bytes"),
        ({"complete": {}}, None),
        ({"complete": {"result": {"data": b"x" * (1 << 20)}}}, None),
        ({"complete": {"result": {"data": b"x" * ((1 << 20) + 1)}}}, "complete.result"),
        ({"complete": {"usage": {"wall_time": {"seconds": 1}, "read_bytes": 0}}}, None),
        ({"complete": {"usage": {"wall_time": {"seconds": -1}}}}, "complete.usage.wall_time"),
        ({"complete": {"usage": {"cpu_time": {"nanos": 1 << 30}}}}, "complete.usage.cpu_time"),
        ({"complete": {"usage": {"peak_memory_bytes": -1}}}, "complete.usage.peak_memory_bytes"),
        ({"fail": {}}, None),
        ({"fail": {"outcome": 2}}, None),
        ({"fail": {"outcome": 5}}, None),
        ({"fail": {"outcome": 1}}, "fail.outcome"),
        ({"fail": {"outcome": 6}}, "fail.outcome"),
        ({"fail": {"outcome": 7}}, "fail.outcome"),
        ({"fail": {"outcome": 99}}, "fail.outcome"),
        ({"release": {"reason": 1}}, None),
        ({"release": {}}, "release.reason"),
        ({"release": {"reason": 6}}, "release.reason"),
        ({"release": {"reason": 1, "message": "x" * 257}}, "release.message"),
    ],
)
def test_each_kind_of_report_has_its_bounds(report: dict[str, Any], wrong: str | None):
    request = report_of(ReportItem(lease_token="t", **report))

    expected = [] if wrong is None else [f"items[0].{wrong}"]
    assert wrong_fields("ReportExecutions", request) == expected


@pytest.mark.parametrize(
    ("item", "wrong"),
    [
        (log(1, 2, 3), None),
        (log(7, 8, level="ERROR", stream=3, logger="x" * 128), None),
        (log(1, text="x" * (17 << 10)), None),
        (log(0), "log_lines[0].number"),
        (log(1, 3), "log_lines[1].number"),
        (log(2, 1), "log_lines[1].number"),
        (log(2, 2), "log_lines[1].number"),
        (log(1 << 53), "log_lines[0].number"),
        (log(1, level="LOUD"), "log_lines[0].level"),
        (log(1, logger="x" * 129), "log_lines[0].logger"),
        (log(1, stream=5), "log_lines[0].stream"),
        (log(1, time={"seconds": -(1 << 62)}), "log_lines[0].time"),
        (log(*range(1, 1_001)), None),
        (log(*range(1, 1_002)), "log_lines"),
        (log(*range(1, 18), text="x" * (16 << 10)), "log_lines"),
    ],
)
def test_log_lines_have_their_bounds(item: ReportItem, wrong: str | None):
    expected = [] if wrong is None else [f"items[0].{wrong}"]

    assert wrong_fields("ReportExecutions", report_of(item)) == expected
