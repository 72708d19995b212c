"""A page token or cursor that is damaged, or of something else, is refused."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock_server.service.tokens import encode_page_token
from support.scene import (
    Scene,
    in_scene,
)
from support.validators import request_type
from support.wire import Refusal

LISTS = ["ListExecutions", "ListQueues", "ListWorkers", "ListNamespaces"]
BAD_TOKENS = ["x", "AAAA", "not a token", "é", "A" * 1_024, "A" * 100_000, "\x00", "==", "../.."]


def list_request(method: str, scene: Scene, **fields: Any) -> Any:
    request = in_scene(request_type(method)(**fields), scene)
    if method == "ListExecutions":
        request.task_id = scene.tasks["leased-again"]
    return request


@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize("token", BAD_TOKENS)
def test_a_bad_page_token_is_refused(scene: Scene, method: str, token: str):
    refusal = scene.wire.refusal(method, list_request(method, scene, page_token=token))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.reason, refusal.fields) == ("PAGE_TOKEN_INVALID", ["page_token"])


@pytest.mark.parametrize("method", ["ListExecutions", "ListWorkers", "ListNamespaces"])
def test_a_page_token_of_another_list_is_refused(scene: Scene, method: str):
    token = scene.wire.call("ListQueues", namespace=scene.namespace, page_size=1).next_page_token
    assert token

    refusal = scene.wire.refusal(method, list_request(method, scene, page_token=token))

    assert refusal.reason == "PAGE_TOKEN_INVALID"


def test_a_page_token_of_another_namespace_is_refused(scene: Scene):
    token = scene.wire.call("ListQueues", namespace=scene.namespace, page_size=1).next_page_token

    refusal = scene.wire.refusal("ListQueues", namespace="default", page_token=token)

    assert refusal.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize("values", [[], ["a", "b", "c"], [1, 2], ["x"] * 9, [2**64 - 1]])
@pytest.mark.parametrize("method", LISTS)
def test_a_forged_page_token_is_answered_in_a_typed_way(
    scene: Scene, method: str, values: list[str | int]
):
    arguments = {
        "ListExecutions": ["ListExecutions", scene.namespace, scene.tasks["leased-again"]],
        "ListQueues": ["ListQueues", scene.namespace],
        "ListWorkers": ["ListWorkers", scene.namespace, ""],
        "ListNamespaces": ["ListNamespaces"],
    }[method]
    token = encode_page_token(values, arguments)

    outcome = scene.wire.outcome(method, list_request(method, scene, page_token=token))

    if isinstance(outcome, Refusal):
        assert outcome.reason == "PAGE_TOKEN_INVALID", outcome
    else:
        assert values == [2**64 - 1]  # a number where the list has numbers


@pytest.mark.parametrize("cursor", BAD_TOKENS)
def test_a_bad_cursor_of_a_watch_is_refused(scene: Scene, cursor: str):
    request = request_type("WatchTasks")(namespace=scene.namespace, cursor=cursor)

    refusal = scene.wire.refusal("WatchTasks", request)

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.reason, refusal.fields) == ("CURSOR_INVALID", ["cursor"])


@pytest.mark.parametrize("cursor", BAD_TOKENS)
def test_a_bad_cursor_of_a_log_is_refused(scene: Scene, cursor: str):
    refusal = scene.wire.refusal("TailLogs", scene.about("TailLogs", "running", cursor=cursor))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.reason, refusal.fields) == ("CURSOR_INVALID", ["cursor"])


def test_the_cursor_of_a_watch_is_no_cursor_of_a_log(scene: Scene):
    watch = request_type("WatchTasks")(namespace=scene.namespace)
    first: Any = next(scene.wire.stream("WatchTasks", watch))

    request = scene.about("TailLogs", "running", cursor=first.cursor)

    assert scene.wire.refusal("TailLogs", request).reason == "CURSOR_INVALID"


def damaged(text: str) -> st.SearchStrategy[str]:
    """The text with some of its bytes changed, cut or repeated."""
    places = st.integers(0, len(text))
    parts = st.tuples(places, places, st.text("AZaz09-_=", max_size=4))
    return parts.map(lambda drawn: text[: drawn[0]] + drawn[2] + text[drawn[1] :])


@pytest.mark.parametrize("method", ["WatchTasks", "TailLogs"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_cursor_is_answered_in_a_typed_way(
    scene: Scene, method: str, data: st.DataObject
):
    request = in_scene(request_type(method)(), scene)
    if method == "TailLogs":
        request.task_id = scene.tasks["running"]
    first: Any = next(scene.wire.stream(method, request))
    request.cursor = data.draw(damaged(first.cursor) | st.binary(max_size=60).map(spelled))

    outcome = scene.wire.outcome(method, request)

    if isinstance(outcome, Refusal) and outcome.code is not grpc.StatusCode.OK:
        assert outcome.reason in ("CURSOR_INVALID", "CURSOR_EXPIRED"), outcome


def spelled(data: bytes) -> str:
    return urlsafe_b64encode(data).decode()
