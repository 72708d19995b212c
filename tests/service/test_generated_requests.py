"""Whatever a client sends to any method, it is answered in a typed way, and in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import grpc
import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.bounds import BOUNDS, Bound, named, request_with
from support.messages import changed, messages
from support.scene import SESSION, TASK_TYPE, Scene, fields_with, in_scene
from support.validators import METHODS, TASK_ID, repaired, request_type, valid_request
from support.wire import Refusal, Wire

#: What a server that works never answers.
FAULTS: Final = {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DATA_LOSS,
}

GENERATED: Final = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def scene(wire: Wire) -> Scene:
    return Scene(wire)


def assert_typed(wire: Wire, outcome: Message | Refusal, request: Message) -> None:
    if isinstance(outcome, Refusal) and outcome.code is not grpc.StatusCode.OK:
        said = f"{outcome} to {str(request)[:2_000]}"
        assert outcome.code not in FAULTS, f"{said}\n{wire.log()}"
        assert outcome.is_typed, said


def hints_of(scene: Scene) -> dict[str, list[Any]]:
    """Values that exist, so that generated requests get past the first check."""
    return {
        "namespace": ["", "default", scene.namespace, scene.namespace, "no-such"],
        "task_id": [*scene.tasks.values(), TASK_ID],
        "task_ids": [*scene.tasks.values(), TASK_ID],
        "queue": [*scene.tasks, "no-such"],
        "queues": [*scene.tasks, "no-such"],
        "task_type": [TASK_TYPE, "other"],
        "task_types": [TASK_TYPE, "other"],
        "session_id": [SESSION, "other-session"],
        "lease_token": [*scene.tokens.values(), "no-token", "AAAA"],
        "paths": ["*", "labels", "owner", "priority", "schedule_time", "description"],
        "key": ["key-1", "key-2"],
        "request_id": ["request-1", "request-2"],
        "number": [1, 2],
        "execution": [0, 1, 2],
    }


def base_of(method: str, scene: Scene) -> Any:
    """A request in the scene that is taken."""
    request = in_scene(valid_request(method), scene)
    if fields_with(method, "task_id"):
        request.task_id = scene.tasks["ready"]
    return request


def requests_of(method: str, scene: Scene) -> st.SearchStrategy[Any]:
    """Any request, and as often one that would be taken but for a few fields."""
    hints, base = hints_of(scene), base_of(method, scene)
    if not fields_with(method, "task_id"):
        return messages(request_type(method), hints) | changed(base, hints)
    about = st.sampled_from(sorted(scene.tasks.values())).map(lambda task: with_task(base, task))
    near = about.flatmap(lambda request: changed(request, hints))
    return messages(request_type(method), hints) | near


def with_task(base: Any, task_id: str) -> Any:
    request = type(base)()
    request.CopyFrom(base)
    request.task_id = task_id
    return request


def without_waiting(request: Any) -> Any:
    """The request with a short wait, where it says none or a long one; wrong ones stay."""
    if "wait" not in request.DESCRIPTOR.fields_by_name:
        return request
    if not request.HasField("wait") or 0 <= request.wait.seconds <= 3_600:
        request.wait.seconds = 0
        request.wait.nanos = min(request.wait.nanos, 1_000_000)
    return request


@pytest.mark.parametrize("method", METHODS)
@GENERATED
@given(data=st.data())
def test_any_request_is_answered_in_a_typed_way(
    method: str, wire: Wire, scene: Scene, data: st.DataObject
):
    request = without_waiting(data.draw(requests_of(method, scene)))
    if method == "TailLogs":
        request.follow = False  # with it the first answer may take 15 s; see the test below

    outcome = wire.outcome(method, request)

    assert_typed(wire, outcome, request)


@pytest.mark.parametrize("method", METHODS)
@GENERATED
@given(data=st.data())
def test_any_request_within_bounds_is_answered_in_a_typed_way(
    method: str, wire: Wire, scene: Scene, data: st.DataObject
):
    generated = data.draw(requests_of(method, scene))
    request = without_waiting(repaired(method, generated, base_of(method, scene)))
    if method == "TailLogs":
        request.follow = False

    outcome = wire.outcome(method, request)

    assert_typed(wire, outcome, request)


@pytest.mark.parametrize("method", METHODS)
@settings(GENERATED, max_examples=10)
@given(data=st.binary(min_size=1, max_size=64))
def test_any_bytes_are_answered_in_a_typed_way(method: str, wire: Wire, data: bytes):
    # Field 15 as a group that never ends: no message of any type begins so.
    refusal = wire.raw(method, b"\x7b" + data)

    assert refusal is not None
    assert refusal.reason == "FIELD_INVALID"
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("bound", named([bound for bound in BOUNDS if bound.taken]))
def test_values_at_the_edge_of_their_bounds_are_no_trouble(wire: Wire, scene: Scene, bound: Bound):
    for value in bound.taken:
        request = without_waiting(request_with(bound, value))

        outcome = wire.outcome(bound.method, request)

        assert_typed(wire, outcome, request)
        if isinstance(outcome, Refusal):
            assert (bound.wrong or bound.field) not in outcome.fields, repr(value)[:99]


def followed(scene: Scene) -> Iterator[Message]:
    request = scene.about("TailLogs", "running", follow=True)
    return scene.wire.stream("TailLogs", request)


def test_a_followed_log_answers_its_first_lines_at_once(scene: Scene):
    first: Any = next(followed(scene))

    assert [line.text for line in first.lines] == ["a line"]


@pytest.mark.parametrize("method", ["RunTask", "AwaitTask", "LeaseTasks"])
def test_a_wait_ends_with_the_deadline_of_the_call(wire: Wire, scene: Scene, method: str):
    request: Any = valid_request(method)
    request.namespace = scene.namespace
    if method == "AwaitTask":
        request.task_id = scene.tasks["ready"]
    if method == "LeaseTasks":
        request.wait.seconds = 60
    else:
        request.wait.seconds = 3_600

    answer = wire.call(method, request, patience=2.0)

    assert type(answer).__name__ == f"{method}Response"
