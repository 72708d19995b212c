"""Rules that hold between the fields of a request."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from penstock.v1.task_pb2 import TaskSpec
from penstock_server.model.errors import FieldInvalid, TooLarge
from penstock_server.service import validate
from support.bounds import TEN_YEARS
from support.validators import refusal_of, valid_request, wrong_fields


def test_delay_and_schedule_time_exclude_each_other():
    request = valid_request("SubmitTask")
    request.spec.delay.CopyFrom(Duration())
    request.spec.schedule_time.CopyFrom(Timestamp())

    assert wrong_fields("SubmitTask", request) == ["spec.delay"]


@pytest.mark.parametrize(
    ("seconds", "nanos", "wrong"),
    [(TEN_YEARS, 0, []), (TEN_YEARS, 1_000, ["spec.schedule_time"])],
)
def test_a_task_is_scheduled_at_most_ten_years_ahead(seconds: int, nanos: int, wrong: list[str]):
    limits = validate.Limits(now=lambda: 1_000.0)
    request = valid_request("SubmitTask")
    request.spec.schedule_time.CopyFrom(Timestamp(seconds=1_000 + seconds, nanos=nanos))

    assert wrong_fields("SubmitTask", request, limits) == wrong


def test_longest_backoff_is_not_shorter_than_the_first_one():
    request = valid_request("SubmitTask")
    request.spec.retry_policy.initial_backoff.seconds = 10
    request.spec.retry_policy.max_backoff.seconds = 10
    assert wrong_fields("SubmitTask", request) == []

    request.spec.retry_policy.max_backoff.FromMilliseconds(9_999)

    assert wrong_fields("SubmitTask", request) == ["spec.retry_policy.max_backoff"]


def test_first_backoff_alone_may_be_longer_than_the_default_of_the_longest():
    request = valid_request("SubmitTask")
    request.spec.retry_policy.initial_backoff.seconds = 3_600

    assert wrong_fields("SubmitTask", request) == []


def test_every_wrong_field_is_named_at_once():
    request = valid_request("SubmitTask")
    request.namespace = "NO"
    request.request_id = "a b"
    request.spec.priority = 10
    request.spec.task_type = ""
    request.idempotency.window.seconds = -1

    assert wrong_fields("SubmitTask", request) == [
        "namespace",
        "spec.priority",
        "spec.task_type",
        "idempotency.window",
        "idempotency.key",
        "request_id",
    ]


def test_a_violation_says_what_is_wrong_and_what_is_allowed():
    request = valid_request("SubmitTask")
    request.spec.priority = 10
    request.spec.lease_duration.seconds = 4
    request.spec.queue = "no spaces"

    refusal = refusal_of("SubmitTask", request)

    assert refusal is not None
    assert [violation.description for violation in refusal.violations] == [
        'is "no spaces", must be 1 to 128 characters of A-Z a-z 0-9 . _ -, '
        "the first one a letter or digit",
        "is 10, allowed are 0 to 9",
        "is 4 s and 0 ns, allowed are 5 s to 1 h",
    ]


def test_a_refusal_stays_small_whatever_is_wrong():
    request = valid_request("WatchTasks")
    request.task_ids.extend(["\x00" * 10_000] * 100)

    refusal = refusal_of("WatchTasks", request)

    assert refusal is not None
    assert len(refusal.violations) >= 5
    assert len(refusal.message) < 2_500


def test_spec_of_a_submit_is_required():
    request = valid_request("SubmitTask")
    request.ClearField("spec")

    assert wrong_fields("SubmitTask", request) == ["spec"]


def test_empty_idempotency_lacks_its_key():
    request = valid_request("SubmitTask")
    request.idempotency.SetInParent()

    assert wrong_fields("SubmitTask", request) == ["idempotency.key"]


def test_payload_beyond_the_bound_is_too_large():
    request = valid_request("SubmitTask")
    request.spec.payload.data = b"x" * 11

    refusal = refusal_of("SubmitTask", request, validate.Limits(payload_bytes=10))

    assert isinstance(refusal, TooLarge)
    assert refusal.facts == {"field": "spec.payload", "size": "11", "limit": "10"}


def test_payload_is_measured_by_its_content_alone():
    request = valid_request("SubmitTask")
    request.spec.payload.data = b"x" * 10
    request.spec.payload.content_type = "application/x-something"
    request.spec.payload.metadata["encoding"] = "none"

    assert wrong_fields("SubmitTask", request, validate.Limits(payload_bytes=10)) == []


def test_too_large_beside_other_mistakes_is_one_of_them():
    request = valid_request("SubmitTask")
    request.spec.payload.data = b"x" * 11
    request.spec.priority = 10

    refusal = refusal_of("SubmitTask", request, validate.Limits(payload_bytes=10))

    assert isinstance(refusal, FieldInvalid)
    assert [violation.field for violation in refusal.violations] == [
        "spec.payload",
        "spec.priority",
    ]


def test_a_retry_without_a_spec_keeps_the_old_one():
    assert wrong_fields("RetryTask", valid_request("RetryTask")) == []


def test_spec_of_a_retry_is_held_to_every_rule():
    request = valid_request("RetryTask")
    request.spec.priority = 10

    assert wrong_fields("RetryTask", request) == ["spec.priority", "spec.task_type"]


def test_an_ending_is_required_to_end_a_task():
    request = valid_request("EndTask")
    request.ClearField("ending")

    assert wrong_fields("EndTask", request) == ["ending"]


def test_result_of_an_ending_has_the_bound_of_results():
    request = valid_request("EndTask")
    request.result.data = b"x" * 11

    refusal = refusal_of("EndTask", request, validate.Limits(result_bytes=10))

    assert isinstance(refusal, TooLarge)


def test_long_texts_of_a_failure_are_cut_and_not_refused():
    request = valid_request("EndTask")
    request.failure.kind = "x" * 1_000
    request.failure.message = "x" * 100_000

    assert wrong_fields("EndTask", request) == []


def test_details_of_a_failure_are_bounded_down_to_its_eighth_cause():
    request = valid_request("EndTask")
    failure = request.failure
    for _ in range(8):
        failure = failure.cause
    failure.details["text"] = "x" * (17 << 10)
    failure.cause.details["cut"] = "x" * (17 << 10)

    assert wrong_fields("EndTask", request) == [f"failure{'.cause' * 8}.details"]


@pytest.mark.parametrize("wish", ["LeaseTasks", "ReportExecutions"])
def test_a_wish_for_tasks_says_which(wish: str):
    request = valid_request(wish)
    request.ClearField("queues")
    request.ClearField("task_types")
    assert wrong_fields(wish, request) == []

    request.max_tasks = 1

    assert wrong_fields(wish, request) == ["queues", "task_types"]


def test_update_of_a_task_needs_a_mask():
    request = valid_request("UpdateTask")
    request.ClearField("update_mask")

    assert wrong_fields("UpdateTask", request) == ["update_mask"]


@pytest.mark.parametrize("path", ["queue", "payload", "*", "", "labels.x", "spec.owner", "no"])
def test_only_some_fields_of_a_task_can_be_updated(path: str):
    request = valid_request("UpdateTask")
    request.update_mask.paths.append(path)

    assert wrong_fields("UpdateTask", request) == ["update_mask.paths[1]"]


def test_fields_outside_the_mask_are_not_looked_at():
    request = valid_request("UpdateTask")
    request.spec.priority = 10
    request.spec.payload.data = b"x" * (2 << 20)
    assert wrong_fields("UpdateTask", request) == []

    request.update_mask.paths.append("priority")

    assert wrong_fields("UpdateTask", request) == ["spec.priority"]


@pytest.mark.parametrize(
    ("paths", "wrong"),
    [
        ([], ["config.description", "config.lease_duration"]),
        (["*"], ["config.description", "config.lease_duration"]),
        (["description"], ["config.description"]),
        (["retention"], []),
        (["name"], ["update_mask.paths[0]"]),
    ],
)
def test_update_of_a_queue_looks_at_what_it_takes(paths: list[str], wrong: list[str]):
    request = valid_request("UpdateQueue")
    request.config.description = "x" * 1_025
    request.config.lease_duration.seconds = 1
    request.update_mask.paths.extend(paths)

    assert wrong_fields("UpdateQueue", request) == wrong


@pytest.mark.parametrize(
    ("paths", "wrong"),
    [
        ([], ["namespace.description"]),
        (["*"], ["namespace.description"]),
        (["labels"], []),
        (["namespace"], ["update_mask.paths[0]"]),
    ],
)
def test_update_of_a_namespace_looks_at_what_it_takes(paths: list[str], wrong: list[str]):
    request = valid_request("UpdateNamespace")
    request.namespace.description = "x" * 1_025
    request.namespace.create_time.seconds = -(2**63)
    request.update_mask.paths.extend(paths)

    assert wrong_fields("UpdateNamespace", request) == wrong


@pytest.mark.parametrize(
    ("asked", "used"), [(0, 50), (1, 1), (50, 50), (1_000, 1_000), (1_001, 1_000)]
)
def test_page_sizes_above_the_maximum_are_taken_as_the_maximum(asked: int, used: int):
    assert validate.page_size(asked, 50, 1_000) == used


@pytest.mark.parametrize(
    "wrong", [{"payload_bytes": 0}, {"result_bytes": -1}, {"batch_items": 0}, {"atomic_items": 0}]
)
def test_limits_that_allow_nothing_are_a_mistake(wrong: dict[str, Any]):
    with pytest.raises(ValueError, match="at least 1"):
        validate.Limits(**wrong)


def test_a_validator_changes_nothing():
    request = valid_request("SubmitTask")
    request.spec.CopyFrom(TaskSpec(task_type="t", queue="q", labels={"a": "b"}))
    before = request.SerializeToString(deterministic=True)

    refusal_of("SubmitTask", request)

    assert request.SerializeToString(deterministic=True) == before
