"""Bad fields and sizes are refused in a typed way, and a refused call changes nothing."""

from __future__ import annotations

import grpc
import pytest

from support.bounds import BOUNDS, Bound, named, request_with
from support.messages import put
from support.scene import (
    TASK_TYPE,
    Scene,
    fields_with,
    in_scene,
    nothing_changes,
    reason_of,
)
from support.validators import valid_request

MIB = 1 << 20
LARGE = b"x" * (MIB + 1)


@pytest.mark.parametrize("bound", named(BOUNDS))
def test_a_field_out_of_bounds_is_named_and_nothing_changes(scene: Scene, bound: Bound):
    with nothing_changes(scene):
        for value in bound.refused:
            request = in_scene(request_with(bound, value), scene)
            if bound.field == "namespace":
                put(request, "namespace", value)
            if bound.field != "task_id" and fields_with(bound.method, "task_id"):
                request.task_id = scene.tasks["ready"]

            refusal = scene.wire.refusal(bound.method, request)

            assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
            assert refusal.reason in ("FIELD_INVALID", "TOO_LARGE"), refusal
            assert refusal.fields == [bound.wrong or bound.field], repr(value)[:99]


def test_each_wrong_item_of_a_batch_is_refused_by_itself(scene: Scene):
    request = valid_request("SubmitTasks")
    request.namespace = scene.namespace
    spec = {"task_type": TASK_TYPE, "queue": "batch"}
    request.ClearField("items")
    request.items.add(spec=spec)
    request.items.add(spec=spec | {"priority": 10})
    request.items.add(spec=spec | {"payload": {"data": LARGE}})
    request.items.add()
    request.items.add(spec=spec)

    results = scene.wire.call("SubmitTasks", request).results

    assert [bool(result.task_id) for result in results] == [True, False, False, False, True]
    assert [reason_of(result) for result in results[1:4]] == [
        "FIELD_INVALID",
        "TOO_LARGE",
        "FIELD_INVALID",
    ]
    assert [v.field for result in results for v in result.error.field_violations] == [
        "items[1].spec.priority",
        "items[2].spec.payload",
        "items[3].spec",
    ]


def test_one_wrong_item_refuses_an_atomic_batch(scene: Scene):
    request = valid_request("SubmitTasks")
    request.namespace = scene.namespace
    request.all_or_none = True
    request.ClearField("items")
    request.items.add(spec={"task_type": TASK_TYPE, "queue": "ready"})
    request.items.add(spec={"task_type": TASK_TYPE, "queue": "ready", "priority": 10})

    with nothing_changes(scene):
        results = scene.wire.call("SubmitTasks", request).results

    assert [reason_of(result) for result in results] == ["BATCH_ABORTED", "FIELD_INVALID"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("SubmitTask", "spec.payload"),
        ("RunTask", "spec.payload"),
        ("RetryTask", "spec.payload"),
        ("EndTask", "result"),
    ],
)
def test_oversize_content_is_too_large(scene: Scene, method: str, path: str):
    request = valid_request(method)
    request.namespace = scene.namespace
    if method == "RetryTask":
        request.spec.task_type = TASK_TYPE
        request.task_id = scene.tasks["failed"]
    if method == "EndTask":
        request.task_id = scene.tasks["ready"]
    put(request, f"{path}.data", LARGE)

    with nothing_changes(scene):
        refusal = scene.wire.refusal(method, request)

    assert (refusal.reason, refusal.fields) == ("TOO_LARGE", [path])
    assert refusal.facts == {"field": path, "size": str(MIB + 1), "limit": str(MIB)}


def test_an_oversize_result_is_too_large_and_the_lease_goes_on(scene: Scene):
    with nothing_changes(scene):
        result = scene.result_of(scene.tokens["running"], complete={"result": {"data": LARGE}})

    assert reason_of(result) == "TOO_LARGE"
    assert scene.state_of("running") == "RUNNING"


def test_too_many_bytes_of_log_lines_are_too_large(scene: Scene):
    lines = [{"number": number, "text": "x" * (16 << 10)} for number in range(2, 19)]

    with nothing_changes(scene):
        result = scene.result_of(scene.tokens["running"], log_lines=lines)

    assert reason_of(result) == "TOO_LARGE"


def test_a_request_beyond_every_bound_is_too_large(scene: Scene):
    request = valid_request("SubmitTasks")
    request.namespace = scene.namespace
    request.ClearField("items")
    for _ in range(33):
        request.items.add(spec={"task_type": TASK_TYPE, "payload": {"data": b"x" * MIB}})

    with nothing_changes(scene):
        refusal = scene.wire.refusal("SubmitTasks", request)

    assert refusal.reason == "TOO_LARGE"
