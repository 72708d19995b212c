"""Every failure ends as one or two lines with a reason, a way out and an exit status."""

from __future__ import annotations

import json

import pytest
import typer

from penstock import errors
from penstock.cli.command import invoke
from penstock.cli.exits import Exit
from penstock.cli.failures import REMEDIES, from_error
from penstock.v1.error_pb2 import ErrorReason


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.TaskNotFound("no task"), Exit.FAILED),
        (errors.Unauthenticated("who?"), Exit.DENIED),
        (errors.PermissionDenied("no"), Exit.DENIED),
        (errors.StoreUnavailable("away"), Exit.UNREACHABLE),
        (errors.ShuttingDown("bye"), Exit.UNREACHABLE),
        (errors.ServerUnavailable("127.0.0.1:1: refused"), Exit.UNREACHABLE),
        (errors.DeadlineExceeded("late"), Exit.UNREACHABLE),
        (errors.FieldInvalid("bad"), Exit.FAILED),
    ],
)
def test_kinds_of_errors_have_statuses_of_their_own(error, status):
    assert from_error(error).status is status


def test_wrong_fields_are_said_one_by_one():
    violations = [
        errors.Violation("spec.queue", "too long"),
        errors.Violation("spec.priority", "0 to 9"),
    ]

    said = from_error(errors.FieldInvalid("2 fields", violations=violations))

    assert said.what == "spec.queue: too long; spec.priority: 0 to 9"
    assert said.reason == "FIELD_INVALID"


def test_every_remedy_belongs_to_a_reason_of_the_contract():
    reasons = {value.name.removeprefix("ERROR_REASON_") for value in ErrorReason.DESCRIPTOR.values}

    assert set(REMEDIES) <= reasons


def test_a_refusal_in_json_mode_is_one_json_line_on_standard_error(capsys):
    def body(session):
        raise errors.TaskNotFound("no task x", facts={"task_id": "x"})

    with pytest.raises(typer.Exit) as ended:
        invoke(body, {"json": True}, {})

    error = json.loads(capsys.readouterr().err)["error"]
    assert ended.value.exit_code == Exit.FAILED
    assert error["reason"] == "TASK_NOT_FOUND"
    assert error["metadata"] == {"task_id": "x"}


def test_ctrl_c_ends_with_130_and_without_a_trace(capsys):
    def body(session):
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        invoke(body, {}, {})

    assert ended.value.exit_code == Exit.INTERRUPTED
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("timeout", ["0", "2h", "x"])
def test_a_timeout_out_of_bounds_is_a_usage_error(capsys, timeout):
    with pytest.raises(typer.Exit) as ended:
        invoke(lambda session: None, {"timeout": timeout}, {})

    assert ended.value.exit_code == Exit.USAGE
    assert "--timeout" in capsys.readouterr().err
