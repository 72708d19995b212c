"""Long texts are cut by bytes, between characters, and keep what matters most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.v1.execution_pb2 import LogLine
from penstock.v1.task_pb2 import Failure, Progress
from penstock_server.service import trim

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(text=TEXTS, most=st.integers(3, 80))
def test_the_start_is_kept_and_the_cut_is_marked(text: str, most: int):
    cut = trim.keep_start(text, most)

    assert len(cut.encode()) <= most
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))
    assert (cut == text) == (len(text.encode()) <= most)


@given(text=TEXTS, most=st.integers(3, 80))
def test_the_end_is_kept_and_the_cut_is_marked(text: str, most: int):
    cut = trim.keep_end(text, most)

    assert len(cut.encode()) <= most
    assert cut == text or (cut.startswith("…") and text.endswith(cut[1:]))
    assert (cut == text) == (len(text.encode()) <= most)


@given(text=TEXTS, most=st.integers(3, 80))
def test_no_more_is_cut_than_must_be(text: str, most: int):
    assert len(trim.keep_start(text, most).encode()) > min(len(text.encode()), most) - 4
    assert len(trim.keep_end(text, most).encode()) > min(len(text.encode()), most) - 4


def test_texts_of_a_failure_are_cut():
    failure = Failure(kind="k" * 200, message="m" * 9_999, stack_trace="a" + "s" * 20_000 + "z")

    trim.trim_failure(failure)

    assert failure.kind == "k" * 128
    assert failure.message == "m" * (4_096 - 3) + "…"
    assert failure.stack_trace == "…" + "s" * (16_384 - 4) + "z"


def test_a_failure_within_bounds_stays_as_it_is():
    failure = Failure(kind="k" * 128, message="é" * 2_048, stack_trace="s" * 16_384)
    failure.cause.kind = "ValueError"
    before = failure.SerializeToString()

    trim.trim_failure(failure)

    assert failure.SerializeToString() == before


def test_causes_are_kept_eight_deep_and_cut_like_the_failure():
    failure = Failure(kind="0")
    inner = failure
    for depth in range(1, 12):
        inner = inner.cause
        inner.kind = str(depth)
        inner.message = "m" * 5_000

    trim.trim_failure(failure)

    kinds = [failure.kind]
    inner = failure
    while inner.HasField("cause"):
        inner = inner.cause
        kinds.append(inner.kind)
        assert len(inner.message.encode()) == 4_096
    assert kinds == [str(depth) for depth in range(9)]


@pytest.mark.parametrize(
    ("text", "cut"), [("x" * 256, "x" * 256), ("x" * 257, "x" * 253 + "…"), ("", "")]
)
def test_message_of_progress_is_cut(text: str, cut: str):
    progress = Progress(fraction=0.5, message=text)

    trim.trim_progress(progress)

    assert progress == Progress(fraction=0.5, message=cut)


@pytest.mark.parametrize(
    ("text", "cut"), [("x" * 16_384, "x" * 16_384), ("é" * 9_000, "é" * 8_190 + "…"), ("", "")]
)
def test_text_of_a_log_line_is_cut(text: str, cut: str):
    line = LogLine(number=1, text=text)

    trim.trim_log_line(line)

    assert line == LogLine(number=1, text=cut)
