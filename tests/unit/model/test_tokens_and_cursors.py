"""Lease tokens and cursors: whole or not at all."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.model.cursor import (
    Place,
    decode_logs,
    decode_watch,
    encode_logs,
    encode_watch,
)
from penstock_server.model.errors import CursorInvalid
from penstock_server.model.ids import TaskIds
from penstock_server.model.lease_token import (
    LeaseToken,
    decode_lease_token,
    decode_lease_tokens,
    encode_lease_token,
)

TASK = TaskIds().first(5)
TOKEN = encode_lease_token(TASK, 7, bytes(range(16)))
OTHER_TOKEN = encode_lease_token(TaskIds().first(1023), (1 << 64) - 1, b"\xff" * 16)
NUMBERS = st.integers(0, (1 << 63) - 1)
PLACES = st.builds(lambda ms, n, count: Place(f"{ms}-{n}", count), NUMBERS, NUMBERS, NUMBERS)


# ---- lease tokens -------------------------------------------------------------------------------


@given(st.integers(0, (1 << 64) - 1), st.binary(min_size=16, max_size=16))
def test_a_token_is_read_as_it_was_written(fence: int, random: bytes):
    text = encode_lease_token(TASK, fence, random)

    assert decode_lease_token(text) == LeaseToken(TASK, fence, random)
    assert text.isascii()
    assert LeaseToken(TASK, fence, random).partition == 5


@given(st.text(max_size=100))
def test_a_text_that_is_no_token_is_none(text: str):
    assert decode_lease_token(text) is None


@given(st.integers(0, 67), st.sampled_from("AZaz09-_!é \n="))
def test_a_token_with_another_character_is_another_token_or_none(place: int, char: str):
    text = TOKEN[:place] + char + TOKEN[place + 1 :]

    found = decode_lease_token(text)

    assert found is None or (found == decode_lease_token(TOKEN)) == (text == TOKEN)


def test_a_token_with_characters_that_mean_nothing_is_none():
    assert decode_lease_token("!!!!" + TOKEN[4:]) is None
    assert decode_lease_token("é" * 68) is None


@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_token_of_another_version_is_none(version: int):
    data = bytes([version]) + base64.urlsafe_b64decode(TOKEN)[1:]

    assert decode_lease_token(base64.urlsafe_b64encode(data).decode()) is None


@given(
    st.lists(
        st.sampled_from(
            [
                TOKEN,
                OTHER_TOKEN,
                "",
                "t" * 68,
                "!!!!" + TOKEN[4:],
                TOKEN[:-1],
                TOKEN + "A",
                "é" * 68,
            ]
        ),
        max_size=6,
    )
)
def test_tokens_that_come_together_are_read_as_each_by_itself(texts: list[str]):
    assert decode_lease_tokens(texts) == [decode_lease_token(text) for text in texts]


# ---- cursors ------------------------------------------------------------------------------------


@given(st.lists(PLACES, min_size=1, max_size=8))
def test_a_cursor_of_a_watch_is_read_as_it_was_written(places: list[Place]):
    text = encode_watch("here", places)

    assert decode_watch(text, "here", len(places)) == places


@given(st.integers(0, 1 << 31), NUMBERS)
def test_a_cursor_of_a_log_is_read_as_it_was_written(execution: int, number: int):
    assert decode_logs(encode_logs("here", TASK, execution, number), "here", TASK) == (
        execution,
        number,
    )


def test_a_cursor_belongs_to_its_store_and_its_stream():
    watch = encode_watch("here", [Place("1-0", 1)])
    logs = encode_logs("here", TASK, 1, 1)

    for read in (
        lambda: decode_watch(watch, "elsewhere", 1),
        lambda: decode_watch(watch, "here", 2),
        lambda: decode_watch(logs, "here", 1),
        lambda: decode_logs(watch, "here", TASK),
        lambda: decode_logs(logs, "elsewhere", TASK),
        lambda: decode_logs(logs, "here", TaskIds().first(1)),
    ):
        with pytest.raises(CursorInvalid):
            read()


@given(st.text(max_size=60))
def test_a_text_that_is_no_cursor_is_refused(text: str):
    with pytest.raises(CursorInvalid):
        decode_watch(text, "here", 1)
    with pytest.raises(CursorInvalid):
        decode_logs(text, "here", TASK)
