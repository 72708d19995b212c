"""Options become exactly the task that was asked for; wrong ones name themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from penstock.cli.exits import CommandFailed, Exit
from penstock.cli.spec import OnConflict, SpecOptions, pairs, read_payload
from penstock.cli.spec_file import from_json, to_json
from penstock.v1.task_pb2 import TaskSpec
from penstock.v1.task_service_pb2 import ConflictPolicy

NOW = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)


def test_nothing_but_the_type_leaves_every_default_to_the_server():
    spec = SpecOptions().spec("shell", None, now=NOW)

    assert spec == TaskSpec(task_type="shell")


def test_every_option_reaches_its_field():
    options = SpecOptions(
        queue="mail",
        priority=0,
        delay="10m",
        max_attempts=7,
        backoff="250ms",
        max_crashes=0,
        execution_timeout="30s",
        total_timeout="1h",
        lease="5s",
        label=["customer=42", "empty="],
        header=["x=a=b"],
        owner="team",
    )

    spec = options.spec("shell", None, now=NOW)

    assert spec.queue == "mail"
    assert spec.HasField("priority")
    assert spec.priority == 0
    assert spec.delay.ToTimedelta() == timedelta(minutes=10)
    assert spec.retry_policy.max_attempts == 7
    assert spec.retry_policy.HasField("max_crashes")
    assert spec.retry_policy.initial_backoff.ToTimedelta() == timedelta(milliseconds=250)
    assert spec.timeouts.start_to_close.ToTimedelta() == timedelta(seconds=30)
    assert spec.timeouts.total.ToTimedelta() == timedelta(hours=1)
    assert spec.lease_duration.ToTimedelta() == timedelta(seconds=5)
    assert dict(spec.labels) == {"customer": "42", "empty": ""}
    assert dict(spec.headers) == {"x": "a=b"}


def test_a_run_at_time_is_sent_as_that_moment():
    spec = SpecOptions(at="2027-02-01T09:30Z").spec("shell", None, now=NOW)

    assert spec.schedule_time.ToDatetime(tzinfo=UTC) == datetime(2027, 2, 1, 9, 30, tzinfo=UTC)


def test_a_json_payload_is_sent_as_the_text_that_was_given():
    payload = read_payload('{"big": 12345678901234567890}', "application/json")

    assert payload.content_type == "application/json"
    assert payload.data == b'{"big": 12345678901234567890}'


def test_a_payload_can_be_a_file(tmp_path):
    path = tmp_path / "job.json"
    path.write_text('{"a": 1}')

    assert read_payload(f"@{path}", "application/json").data == b'{"a": 1}'


def test_another_content_type_is_sent_unread():
    assert read_payload("{not json", "text/plain").data == b"{not json"


def test_two_at_signs_stand_for_one():
    assert read_payload("@@home", "text/plain").data == b"@home"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"delay": "soon"}, "--delay"),
        ({"at": "soon"}, "--at"),
        ({"delay": "1s", "at": "+1s"}, "--delay and --at"),
        ({"label": ["novalue"]}, "--label"),
        ({"backoff": "x"}, "--backoff"),
        ({"max_attempts": 2**40}, "--max-attempts"),
        ({"execution_timeout": "x"}, "--execution-timeout"),
    ],
)
def test_a_wrong_option_is_named(options, named):
    with pytest.raises(CommandFailed) as failed:
        SpecOptions(**options).spec("shell", None, now=NOW)

    assert named in failed.value.what
    assert failed.value.status is Exit.USAGE


@pytest.mark.parametrize("payload", ["{bad", "@/nowhere/at/all", "", "\udcff"])
def test_a_payload_that_is_not_json_is_refused_before_it_is_sent(payload):
    with pytest.raises(CommandFailed) as failed:
        read_payload(payload, "application/json")

    assert failed.value.status is Exit.USAGE


def test_an_idempotency_key_brings_its_policy_and_window():
    options = SpecOptions(
        idempotency_key="k", idempotency_window="1h", on_conflict=OnConflict.reject
    )

    wish = options.idempotency()

    assert wish is not None
    assert wish.conflict_policy == ConflictPolicy.CONFLICT_POLICY_REJECT
    assert wish.window.ToTimedelta() == timedelta(hours=1)
    assert SpecOptions().idempotency() is None


def test_each_request_has_an_id_of_its_own():
    first = SpecOptions().request("default", "shell", None, now=NOW)
    second = SpecOptions().request("default", "shell", None, now=NOW)

    assert first.request_id != second.request_id


def test_labels_without_a_key_are_refused():
    with pytest.raises(CommandFailed, match="KEY=VALUE"):
        pairs(["=x"], "--label")


def test_a_spec_for_editing_shows_its_payload_as_json():
    spec = TaskSpec(task_type="shell")
    spec.payload.data, spec.payload.content_type = b'{"n": 3}', "application/json"

    shown = json.loads(to_json(spec))

    assert shown["payload"]["json"] == {"n": 3}


def test_an_edited_spec_is_the_same_but_for_the_edit():
    spec = TaskSpec(task_type="shell", queue="mail")
    spec.payload.data, spec.payload.content_type = b'{"n": 3, "x": [1.5]}', "application/json"

    edited = from_json(to_json(spec).replace("mail", "post"))

    assert edited.queue == "post"
    assert json.loads(edited.payload.data) == {"n": 3, "x": [1.5]}
    assert edited.payload.content_type == "application/json"


def test_a_spec_with_an_unknown_field_is_refused():
    with pytest.raises(CommandFailed, match="TaskSpec"):
        from_json('{"taskTypo": "shell"}')
