"""What a request names and is not there is refused in a typed way, and nothing changes."""

from __future__ import annotations

import grpc
import pytest

from support.scene import (
    Scene,
    fields_with,
    in_scene,
    nothing_changes,
)
from support.validators import METHODS, TASK_ID, request_type, valid_request

ABOUT_TASKS = [method for method in METHODS if fields_with(method, "task_id")]


@pytest.mark.parametrize("method", ABOUT_TASKS)
def test_an_unknown_task_is_not_found(scene: Scene, method: str):
    request = in_scene(valid_request(method), scene)
    if method == "UpdateTask":
        request.spec.owner = "somebody"

    with nothing_changes(scene):
        refusal = scene.wire.refusal(method, request)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")
    assert refusal.facts == {"namespace": scene.namespace, "task_id": TASK_ID}


@pytest.mark.parametrize("method", ABOUT_TASKS)
def test_a_task_of_another_namespace_is_not_found(scene: Scene, method: str):
    request = valid_request(method)
    request.namespace = "default"
    request.task_id = scene.tasks["ready"]

    with nothing_changes(scene):
        refusal = scene.wire.refusal(method, request)

    assert refusal.reason == "TASK_NOT_FOUND"


def test_a_watch_of_an_unknown_task_is_refused(scene: Scene):
    request = request_type("WatchTasks")(
        namespace=scene.namespace, task_ids=[scene.tasks["ready"], TASK_ID]
    )

    assert scene.wire.refusal("WatchTasks", request).reason == "TASK_NOT_FOUND"


@pytest.mark.parametrize("state", ["ready", "running", "failed"])
def test_an_unknown_execution_is_not_found(scene: Scene, state: str):
    request = scene.about("GetExecution", state, number=7)

    refusal = scene.wire.refusal("GetExecution", request)

    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.reason == "EXECUTION_NOT_FOUND"


@pytest.mark.parametrize("method", ["GetQueue", "ResumeQueue", "PurgeQueue", "PeekQueue"])
def test_an_unknown_queue_is_not_found(scene: Scene, method: str):
    request = request_type(method)(namespace=scene.namespace, queue="no-such-queue")

    with nothing_changes(scene):
        refusal = scene.wire.refusal(method, request)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")
    assert refusal.facts == {"namespace": scene.namespace, "queue": "no-such-queue"}


@pytest.mark.parametrize("method", [m for m in METHODS if fields_with(m, "namespace")])
def test_an_unknown_namespace_is_not_found(scene: Scene, method: str):
    request = valid_request(method)
    request.namespace = "no-such-namespace"

    with nothing_changes(scene):
        refusal = scene.wire.refusal(method, request)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND")


def test_an_unknown_namespace_cannot_be_updated(scene: Scene):
    refusal = scene.wire.refusal("UpdateNamespace", namespace={"namespace": "no-such-namespace"})

    assert refusal.reason == "NAMESPACE_NOT_FOUND"


def test_an_unknown_worker_cannot_be_drained(scene: Scene):
    with nothing_changes(scene):
        refusal = scene.wire.refusal(
            "DrainWorker", namespace=scene.namespace, session_id="no-such-session"
        )

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "WORKER_NOT_FOUND")
