"""Reports that one look is enough for are those that a closer look would make."""

from __future__ import annotations

import pytest
from hypothesis import given

from penstock.v1.execution_pb2 import LogLine, Usage
from penstock.v1.task_pb2 import Payload
from penstock.v1.worker_service_pb2 import (
    AcceptReport,
    CompleteReport,
    HeartbeatReport,
    ReportExecutionsRequest,
    ReportItem,
)
from penstock_server.engine.reports import Verb
from penstock_server.model.lease_token import LeaseToken, encode_lease_token
from penstock_server.service import validate
from penstock_server.service.convert.worker import plain_report, report
from support.messages import messages

LIMITS = validate.Limits(result_bytes=1_000)
LEASE = LeaseToken("01m7ymp6mh0010fs5g8metwz00", 7, b"r" * 16)
TOKEN = encode_lease_token(*LEASE)
CONTENT_TYPES = {"content_type": ["", "text/plain", "ä" * 64, "ä" * 65, "t" * 129]}


@given(messages(ReportItem, {"lease_token": [TOKEN, "t" * 68]} | CONTENT_TYPES, most=3))
def test_one_look_reads_what_a_closer_look_reads(item: ReportItem):
    request = ReportExecutionsRequest(session_id="s", items=[item])

    plain = plain_report(item, LEASE, LIMITS.result_bytes)

    if plain is not None and item.lease_token == TOKEN:
        assert validate.report_executions(request, LIMITS) == [None]
        assert plain == report(item, LEASE)


@pytest.mark.parametrize(
    "complete",
    [
        CompleteReport(),
        CompleteReport(result=Payload(data=b"x" * 1_000)),
        CompleteReport(result=Payload(content_type="application/json", data=b"1"), usage=Usage()),
    ],
)
def test_one_look_is_enough_for_results_of_bytes(complete: CompleteReport):
    item = ReportItem(lease_token=TOKEN, complete=complete)

    plain = plain_report(item, LEASE, LIMITS.result_bytes)

    assert plain is not None
    assert (plain.token, plain.verb) == (LEASE, Verb.COMPLETE)
    assert CompleteReport.FromString(plain.body) == complete


@pytest.mark.parametrize(
    "item",
    [
        ReportItem(lease_token=TOKEN),
        ReportItem(lease_token=TOKEN, heartbeat=HeartbeatReport()),
        ReportItem(lease_token=TOKEN, accept=AcceptReport(), log_lines=[LogLine(number=1)]),
        ReportItem(lease_token=TOKEN, complete=CompleteReport(result=Payload(data=b"x" * 1_001))),
        ReportItem(lease_token=TOKEN, complete=CompleteReport(usage=Usage(read_bytes=-1))),
    ],
)
def test_anything_else_takes_a_closer_look(item: ReportItem):
    assert plain_report(item, LEASE, LIMITS.result_bytes) is None
