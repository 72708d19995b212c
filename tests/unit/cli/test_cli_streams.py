"""Streams on the command line: a cursor stands behind everything that was shown, and a break is
survived where it can be.
"""

from __future__ import annotations

import signal
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


class Cancelled(grpc.RpcError):
    """The call was cancelled here."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.CANCELLED


class PressedWhileRead:
    """A call whose reader presses Ctrl-C where it waits for the second answer."""

    def __init__(self) -> None:
        self.cancels = 0

    def __iter__(self) -> Any:
        yield Answer("1")
        signal.raise_signal(signal.SIGINT)
        assert self.cancels == 1, "cancelled by the key, with nothing raised here"
        raise Cancelled

    def cancel(self) -> None:
        self.cancels += 1


def read(call: PressedWhileRead, *, presses: int = 0) -> list[str]:
    """The cursors of what is read until Ctrl-C, which is pressed so often at each answer too."""
    seen: list[str] = []

    def follow() -> None:
        for answer in resumed(Quiet(), lambda _: call, ""):  # type: ignore[arg-type]
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)
            seen.append(answer.cursor)

    with pytest.raises(KeyboardInterrupt):
        follow()
    return seen


def test_ctrl_c_ends_the_call_that_is_read_and_only_then_the_reader():
    call = PressedWhileRead()
    before = signal.getsignal(signal.SIGINT)

    assert read(call) == ["1"]
    assert call.cancels
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_pressed_twice_raises_wherever_the_reader_is():
    assert read(PressedWhileRead(), presses=2) == []
