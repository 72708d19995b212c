"""Payloads in the form that a handler's type hints ask for, and results back."""

from __future__ import annotations

import datetime
import enum
import json
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from penstock.v1 import task_pb2
from penstock_worker import Context, PayloadError, ResultError
from penstock_worker.codec import write_result
from penstock_worker.signature import bind


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass
class Shape:
    name: str
    points: list[Point]
    colour: Colour = Colour.RED
    tags: Mapping[str, int] = field(default_factory=dict)
    made: datetime.datetime | None = None
    size: tuple[int, float] = (0, 0.0)
    parent: Shape | None = None


class Model(BaseModel):
    n: int


def data(content: bytes, content_type: str = "application/json") -> task_pb2.Payload:
    return task_pb2.Payload(content_type=content_type, data=content)


def decode(handler: Callable[..., Any], payload: task_pb2.Payload | None) -> Any:
    context: Any = None
    return bind(handler).arguments(context, payload or task_pb2.Payload())


def test_dataclass_is_filled_to_its_depths() -> None:
    def handler(shape: Shape) -> None: ...

    shape = decode(
        handler,
        data(
            b'{"name":"a","points":[{"x":1},{"x":2,"y":3}],"tags":{"k":1},"size":[1,2],'
            b'"made":"2026-01-02T03:04:05+00:00","parent":{"name":"p","points":[]}}'
        ),
    )["shape"]

    assert shape == Shape(
        name="a",
        points=[Point(1, 0), Point(2, 3)],
        tags={"k": 1},
        made=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        size=(1, 2.0),
        parent=Shape("p", []),
    )


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"points":[]}', "`name`"),
        (b'{"name":"a","points":[{"x":"one"}]}', "`points[0].x` it wants int, not str"),
        (b'{"name":"a","points":[],"extra":1}', "`extra`"),
        (b'{"name":"a","points":[],"colour":"pink"}', "`colour`"),
        (b'{"name":"a","points":{}}', "a list"),
        (b"[]", "an object"),
        (b"{", "not JSON"),
        (b"{} {}", "not JSON"),
        (b'{"name":"\xff"}', "not JSON"),
    ],
)
def test_payload_that_does_not_fit_names_the_place(content: bytes, text: str) -> None:
    def handler(shape: Shape) -> None: ...

    with pytest.raises(PayloadError) as caught:
        decode(handler, data(content))

    assert text in str(caught.value)


def test_payload_that_is_no_json_has_one_cause() -> None:
    def handler(value: dict[str, Any]) -> None: ...

    with pytest.raises(PayloadError) as caught:
        decode(handler, data(b"{"))

    assert isinstance(caught.value.__cause__, json.JSONDecodeError)
    assert caught.value.__cause__.__context__ is None


def test_bool_is_no_int() -> None:
    def handler(n: int) -> None: ...

    with pytest.raises(PayloadError, match="wants int, not bool"):
        decode(handler, data(b"true"))


@pytest.mark.parametrize(
    ("hint", "payload", "expected"),
    [
        (bytes, data(b"\x00\x01", ""), b"\x00\x01"),
        (str, data(b'"text"'), "text"),
        (str, data(b"text", "text/plain"), "text"),
        (dict, data(b'{"a":1}'), {"a": 1}),
        (list[int], data(b"[1,2]"), [1, 2]),
        (set[str], data(b'["a","a"]'), {"a"}),
        (float, data(b"1"), 1.0),
        (int | None, data(b"null"), None),
        (Literal["a", "b"], data(b'"b"'), "b"),
        (uuid.UUID, data(b'"' + b"0" * 32 + b'"'), uuid.UUID(int=0)),
        (Any, data(b'{"a":[1]}'), {"a": [1]}),
        (Any, data(b"raw", "application/octet-stream"), b"raw"),
        (Any, data(b"text", "text/plain"), "text"),
        (Any, None, None),
        (dict | None, None, None),
        (dict[str, Any], data(b'{"a":{"b":1}}'), {"a": {"b": 1}}),
        (dict, data(b' {"a": 1}\n'), {"a": 1}),
        (dict, data('{"a":"é"}'.encode("utf-16")), {"a": "é"}),
        (dict, data('{"a":"é"}'.encode("utf-8-sig")), {"a": "é"}),
    ],
)
def test_payload_takes_the_form_of_the_hint(
    hint: Any, payload: task_pb2.Payload | None, expected: object
) -> None:
    def handler(value: Any) -> None: ...

    handler.__annotations__["value"] = hint

    assert decode(handler, payload) == {"value": expected}


def test_json_value_of_the_contract_keeps_whole_numbers_whole() -> None:
    def handler(value: Any) -> None: ...

    payload = task_pb2.Payload()
    payload.json.struct_value.update({"n": 3, "f": 0.5, "l": [True, None]})

    assert decode(handler, payload) == {"value": {"n": 3, "f": 0.5, "l": [True, None]}}


def test_pydantic_model_is_validated() -> None:
    def handler(model: Model) -> None: ...

    assert decode(handler, data(b'{"n":"3"}')) == {"model": Model(n=3)}
    with pytest.raises(PayloadError, match="no Model"):
        decode(handler, data(b'{"n":"x"}'))


def test_context_may_stand_anywhere_and_the_payload_may_be_missing() -> None:
    def first(context: Context, n: int) -> None: ...
    def alone(context: Context) -> None: ...
    def nothing() -> None: ...
    def optional(n: int = 7) -> None: ...

    assert decode(first, data(b"1")) == {"context": None, "n": 1}
    assert decode(alone, data(b"1")) == {"context": None}
    assert decode(nothing, data(b"1")) == {}
    assert decode(optional, None) == {}


def test_handler_that_cannot_be_called_is_refused_at_once() -> None:
    def greedy(a: int, b: int) -> None: ...
    def positional(a: int, /) -> None: ...
    def odd(a: Callable[[], int]) -> None: ...

    cases: list[tuple[Callable[..., Any], str]] = [
        (greedy, "'b'"),
        (positional, "positional-only"),
        (odd, "decoded"),
    ]
    for handler, text in cases:
        with pytest.raises(ValueError, match=text):
            bind(handler)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, None]}, b'{"a":[1,null]}'),
        (Point(1, 2), b'{"x":1,"y":2}'),
        ([Colour.RED], b'["red"]'),
        ("\u00e4", b'"\xc3\xa4"'),
        (Model(n=1), b'{"n":1}'),
        (datetime.date(2026, 1, 2), b'"2026-01-02"'),
        (0, b"0"),
    ],
)
def test_result_becomes_compact_json(value: object, expected: bytes) -> None:
    payload = write_result(value)

    assert payload is not None
    assert (payload.content_type, payload.data) == ("application/json", expected)


def test_nothing_bytes_and_payloads_stay_what_they_are() -> None:
    own = task_pb2.Payload(content_type="image/png", data=b"x")

    assert write_result(None) is None
    assert write_result(own) is own
    assert write_result(bytearray(b"ab")) == task_pb2.Payload(
        content_type="application/octet-stream", data=b"ab"
    )


@pytest.mark.parametrize("value", [object(), {1: {2: object()}}, math.nan, {"a"}, print])
def test_result_that_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ResultError, match="cannot be encoded"):
        write_result(value)


def test_result_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)

    with pytest.raises(ResultError):
        write_result(loop)
