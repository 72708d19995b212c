"""What the state does not allow is refused in a typed way, and nothing changes."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from support.messages import put
from support.scene import (
    TASK_TYPE,
    Scene,
    in_scene,
    nothing_changes,
)
from support.validators import valid_request

WRONG_STATES = [
    *(("CancelTask", state) for state in ("succeeded", "failed")),
    *(("UpdateTask", state) for state in ("running", "succeeded", "failed", "cancelled")),
    *(("EndTask", state) for state in ("succeeded", "failed", "cancelled")),
    *(("RetryTask", state) for state in ("ready", "running")),
    *(("DeleteTask", state) for state in ("ready", "scheduled", "running")),
]


@pytest.mark.parametrize(("method", "state"), WRONG_STATES)
def test_a_task_in_the_wrong_state_is_left_alone(scene: Scene, method: str, state: str):
    request = in_scene(valid_request(method), scene)
    request.task_id = scene.tasks[state]
    if method == "UpdateTask":
        request.spec.owner = "somebody else"

    with nothing_changes(scene):
        refusal = scene.wire.refusal(method, request)

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "TASK_STATE_CONFLICT"
    assert refusal.facts["task_id"] == scene.tasks[state]
    assert refusal.facts["state"].lower() == state


@pytest.mark.parametrize("field", ["queue", "task_type"])
def test_a_retry_keeps_queue_and_type(scene: Scene, field: str):
    spec = {"task_type": TASK_TYPE, "queue": "failed"} | {field: "other"}
    request = scene.about("RetryTask", "failed", spec=spec)

    with nothing_changes(scene):
        refusal = scene.wire.refusal("RetryTask", request)

    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", [f"spec.{field}"])


@pytest.mark.parametrize("method", ["UpdateTask", "UpdateQueue", "UpdateNamespace"])
def test_an_update_with_an_old_etag_is_refused(scene: Scene, method: str):
    request = in_scene(valid_request(method), scene)
    match method:
        case "UpdateTask":
            request.task_id, request.etag = scene.tasks["ready"], "old"
            request.spec.owner = "somebody else"
        case "UpdateQueue":
            request.queue, request.etag = "ready", "old"
            request.config.description = "changed"
        case _:
            request.namespace.namespace, request.namespace.etag = scene.namespace, "old"
            request.namespace.description = "changed"

    with nothing_changes(scene):
        refusal = scene.wire.refusal(method, request)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


def test_a_namespace_is_made_once(scene: Scene):
    with nothing_changes(scene):
        refusal = scene.wire.refusal("CreateNamespace", namespace={"namespace": scene.namespace})

    assert refusal.code is grpc.StatusCode.ALREADY_EXISTS
    assert refusal.reason == "NAMESPACE_ALREADY_EXISTS"


@pytest.mark.parametrize("which", ["default", "its own"])
def test_a_namespace_in_use_cannot_be_removed(scene: Scene, which: str):
    name = "default" if which == "default" else scene.namespace

    with nothing_changes(scene):
        refusal = scene.wire.refusal("DeleteNamespace", namespace=name)

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "NAMESPACE_NOT_EMPTY"


def submit_with_key(scene: Scene, key: str, **changes: Any) -> Any:
    spec = {"task_type": TASK_TYPE, "queue": "keyed", "payload": {"data": b"one"}}
    request: Any = valid_request("SubmitTask")
    request.MergeFrom(type(request)(namespace=scene.namespace, spec=spec, idempotency={"key": key}))
    for path, value in changes.items():
        put(request, path.replace("__", "."), value)
    return request


def test_an_idempotency_key_belongs_to_one_spec(scene: Scene):
    first = scene.wire.call("SubmitTask", submit_with_key(scene, "one-spec")).task.task_id

    with nothing_changes(scene):
        other = submit_with_key(scene, "one-spec", spec__payload__data=b"two")
        refusal = scene.wire.refusal("SubmitTask", other)

    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal.reason == "IDEMPOTENCY_KEY_REUSED"
    assert refusal.facts == {"task_id": first}


def test_a_known_idempotency_key_can_be_refused(scene: Scene):
    first = scene.wire.call("SubmitTask", submit_with_key(scene, "refuse")).task.task_id

    with nothing_changes(scene):
        again = submit_with_key(scene, "refuse", idempotency__conflict_policy=2)
        refusal = scene.wire.refusal("SubmitTask", again)

    assert refusal.code is grpc.StatusCode.ALREADY_EXISTS
    assert refusal.reason == "TASK_ALREADY_EXISTS"
    assert refusal.facts == {"task_id": first}
