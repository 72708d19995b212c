"""Streams on the command line: a cursor stands behind everything that was shown, and a break is
survived where it can be.
"""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from penstock.cli import streams
from penstock.cli.streams import resumed, with_cursors


class Away(grpc.RpcError):
    """The server went away."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE


class Call:
    """Gives some answers and breaks."""

    def __init__(self, *answers: Any) -> None:
        self._answers = answers

    def __iter__(self) -> Any:
        for answer in self._answers:
            if isinstance(answer, Exception):
                raise answer
            yield answer

    def cancel(self) -> None:
        pass


class Answer:
    def __init__(self, cursor: str) -> None:
        self.cursor = cursor


class Quiet:
    """A session that says nothing."""

    class screen:
        @staticmethod
        def note(_text: str) -> None:
            pass


def test_only_the_last_of_what_came_together_has_the_cursor_behind_it():
    assert list(with_cursors(["a", "b"], "C")) == [("a", {}), ("b", {"cursor": "C"})]


@pytest.mark.parametrize("patient", [True, False])
def test_a_stream_that_never_answered_is_opened_again_only_for_a_patient_caller(
    monkeypatch: pytest.MonkeyPatch, patient: bool
):
    monkeypatch.setattr(streams, "_WAITS", (0.0,))
    calls = [Call(Away()), Call(Answer("C"))]
    session: Any = Quiet()
    answers = resumed(session, lambda _: calls.pop(0), "", patient=patient)

    if patient:
        assert [answer.cursor for answer in answers] == ["C"]
    else:
        with pytest.raises(Away):
            list(answers)
