"""A page token names a place in one list, and is refused everywhere else."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.model.errors import PageTokenInvalid
from penstock_server.service.tokens import decode_page_token, encode_page_token

ASKED = ["ListQueues", "default", "", True]
VALUES = st.lists(st.text(max_size=20) | st.integers(-(2**63), 2**64 - 1), max_size=8)


def spelled(parts: Any) -> str:
    return urlsafe_b64encode(msgpack.packb(parts)).decode().rstrip("=")


@given(values=VALUES)
def test_a_token_gives_back_what_it_was_made_with(values: list[str | int]):
    token = encode_page_token(values, ASKED)

    kinds = [type(value) for value in values]
    assert decode_page_token(token, ASKED, *kinds) == values
    assert token.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "asked",
    [
        ["ListWorkers", "default", "", True],
        ["ListQueues", "other", "", True],
        ["ListQueues", "default", "x", True],
        ["ListQueues", "default", "", False],
        ["ListQueues", "default", ""],
        ["ListQueues", "default", "", True, ""],
        ["ListQueuesdefault", "", "", True],
    ],
)
def test_a_token_of_another_list_is_refused(asked: list[object]):
    token = encode_page_token(["a"], ASKED)

    with pytest.raises(PageTokenInvalid):
        decode_page_token(token, asked, str)


@given(token=st.text(max_size=200) | st.text("abcXYZ019-_=+/", max_size=200))
def test_any_other_text_is_refused(token: str):
    with pytest.raises(PageTokenInvalid):
        decode_page_token(token, ASKED, str)


@given(data=st.data())
def test_a_changed_token_is_refused(data: st.DataObject):
    token = encode_page_token(["queue-7", 12], ASKED)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("aZ0-_=+/ é").filter(lambda char: char != token[place]))
    changed = token[:place] + other + token[place + 1 :]

    try:
        values = decode_page_token(changed, ASKED, str, int)
    except PageTokenInvalid:
        return
    # The values themselves are not proved: a token is no secret.
    assert [type(value) for value in values] == [str, int]


@pytest.mark.parametrize("extra", ["=", "==", "A", "AA", " ", "\n", "!"])
def test_a_longer_token_is_refused(extra: str):
    with pytest.raises(PageTokenInvalid):
        decode_page_token(encode_page_token(["a"], ASKED) + extra, ASKED, str)


def parts_of(values: list[Any], asked: list[Any] = ASKED) -> list[Any]:
    token = encode_page_token([], asked)
    version, digest, _ = msgpack.unpackb(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return [version, digest, values]


@pytest.mark.parametrize(
    "parts",
    [
        [2, *parts_of(["a"])[1:]],
        ["1", *parts_of(["a"])[1:]],
        [True, *parts_of(["a"])[1:]],
        [1, b"short", ["a"]],
        [1, parts_of([])[1][:15] + b"\x00", ["a"]],
        parts_of([True]),
        parts_of([None]),
        parts_of([1.5]),
        parts_of([b"a"]),
        parts_of([["a"]]),
        parts_of([{"a": 1}]),
        parts_of([]),
        parts_of(["a", "b"]),
        parts_of([7]),
        parts_of(["x" * 2_000]),
        [1, b"", ["x" * 755]],  # within the bound, but with a whole hash it would be beyond
        [*parts_of(["a"]), "more"],
        parts_of(["a"])[:2],
        {"a": 1},
        7,
        None,
    ],
)
def test_a_token_of_another_form_is_refused(parts: Any):
    with pytest.raises(PageTokenInvalid):
        decode_page_token(spelled(parts), ASKED, str)


def test_deep_nesting_in_a_token_is_refused():
    token = urlsafe_b64encode(b"\x91" * 700).decode().rstrip("=")

    with pytest.raises(PageTokenInvalid):
        decode_page_token(token, ASKED, str)


def test_a_token_that_would_be_refused_is_never_made():
    with pytest.raises(ValueError, match="page token"):
        encode_page_token(["x" * 2_000], ASKED)
