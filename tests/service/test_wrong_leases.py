"""Whoever does not hold the lease changes nothing, and is told so."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import grpc
import pytest

from support.scene import (
    LATER_SESSION,
    SESSION,
    Scene,
    nothing_changes,
    reason_of,
)
from support.validators import request_type


def with_random_bits_changed(token: str) -> str:
    data = bytearray(urlsafe_b64decode(token))
    data[-1] ^= 1
    return urlsafe_b64encode(data).decode()


def with_another_task(token: str, task_id: str) -> str:
    data = urlsafe_b64decode(token)
    return urlsafe_b64encode(data[:1] + task_id.encode() + data[27:]).decode()


REPORTS: dict[str, Any] = {
    "accept": {"accept": {}},
    "heartbeat": {"heartbeat": {"progress": {"fraction": 0.5}}},
    "complete": {"complete": {"result": {"data": b"stolen"}}},
    "fail": {"fail": {"failure": {"kind": "Stolen"}}},
    "release": {"release": {"reason": "RELEASE_REASON_SHUTDOWN"}},
    "log": {"log_lines": [{"number": 1, "text": "stolen"}]},
}


@pytest.mark.parametrize("report", REPORTS)
def test_an_earlier_lease_is_lost_while_a_later_one_lasts(scene: Scene, report: str):
    with nothing_changes(scene):
        result = scene.result_of(scene.tokens["leased-again"], **REPORTS[report])

    assert reason_of(result) == "LEASE_LOST"
    assert result.error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert result.error.metadata == {"task_id": scene.tasks["leased-again"]}


def test_a_later_lease_goes_on_after_reports_about_an_earlier_one(scene: Scene):
    scene.result_of(scene.tokens["leased-again"], complete={})

    result = scene.result_of(scene.later_token, session=LATER_SESSION, heartbeat={})

    assert not result.HasField("error")


@pytest.mark.parametrize("report", REPORTS)
def test_a_guessed_lease_is_lost(scene: Scene, report: str):
    guessed = with_random_bits_changed(scene.tokens["running"])

    with nothing_changes(scene):
        result = scene.result_of(guessed, **REPORTS[report])

    assert reason_of(result) == "LEASE_LOST"
    assert scene.state_of("running") == "RUNNING"


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("state", ["ready", "scheduled", "succeeded", "leased-again"])
def test_the_lease_of_one_task_is_no_lease_of_another(scene: Scene, report: str, state: str):
    forged = with_another_task(scene.tokens["running"], scene.tasks[state])

    with nothing_changes(scene):
        result = scene.result_of(forged, **REPORTS[report])

    assert reason_of(result) == "LEASE_LOST"


@pytest.mark.parametrize("report", REPORTS)
def test_a_lease_of_another_namespace_is_lost(scene: Scene, report: str):
    request = request_type("ReportExecutions")(namespace="default", session_id=SESSION)
    request.items.add(lease_token=scene.tokens["running"], **REPORTS[report])

    with nothing_changes(scene):
        (result,) = scene.wire.call("ReportExecutions", request).results

    assert reason_of(result) == "LEASE_LOST"


@pytest.mark.parametrize("token", ["x", "AAAA", "é", "a b", "\x00", "A" * 68, "=" * 68])
def test_what_is_no_lease_token_is_refused(scene: Scene, token: str):
    with nothing_changes(scene):
        result = scene.result_of(token, complete={})

    assert reason_of(result) in ("LEASE_LOST", "FIELD_INVALID")


def test_another_ending_under_the_same_lease_changes_nothing(scene: Scene):
    with nothing_changes(scene):
        result = scene.result_of(scene.tokens["succeeded"], fail={"failure": {"kind": "Late"}})

    assert scene.state_of("succeeded") == "SUCCEEDED"
    assert reason_of(result) == "LEASE_LOST"


def test_a_wrong_report_does_not_hinder_the_others(scene: Scene):
    request = request_type("ReportExecutions")(namespace=scene.namespace, session_id=SESSION)
    request.items.add(lease_token=scene.tokens["leased-again"], complete={})
    request.items.add(lease_token=scene.tokens["running"], heartbeat={})
    request.items.add(lease_token="", complete={})

    results = scene.wire.call("ReportExecutions", request).results

    assert reason_of(results[0]) == "LEASE_LOST"
    assert not results[1].HasField("error")
    assert results[1].term.ToSeconds() == 3_600
    assert reason_of(results[2]) == "FIELD_INVALID"
