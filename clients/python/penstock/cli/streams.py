"""Reads streams that can be resumed, across restarts of the server."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Self, TypeVar, cast

import grpc

from penstock.cli.session import Session

_T = TypeVar("_T")

#: Waits between attempts to come back, seconds; the last one is repeated.
_WAITS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)


def resumed(
    session: Session, start: Callable[[str], Any], cursor: str, *, patient: bool = False
) -> Iterator[Any]:
    """Answers of a stream, without gap or repeat when the server goes away and comes back.

    `start` opens the stream at a cursor. A server that never answered at all is an error at once,
    unless the caller is `patient`: it knows that what it follows is there.
    """
    failures = 0
    with _CtrlC() as ctrl_c:
        while True:
            call = ctrl_c.call = start(cursor)
            try:
                for answer in call:
                    cursor, failures = answer.cursor or cursor, 0
                    yield answer
                return
            except grpc.RpcError as error:
                if ctrl_c.was_pressed:
                    raise KeyboardInterrupt from None
                if cast(Any, error).code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                if not (cursor or patient):
                    raise
                if failures == 0:
                    session.screen.note(
                        "the server went away; going on when it is back (Ctrl-C ends)"
                    )
            finally:
                ctrl_c.call = None
                # gRPC keeps a stream that is dropped without this alive until the channel closes.
                call.cancel()
            time.sleep(_WAITS[min(failures, len(_WAITS) - 1)])
            failures += 1


class _CtrlC:
    """Makes the first Ctrl-C end the call that is being read, and the reader raise for it.

    Python would raise KeyboardInterrupt wherever the reader is, at times where an exception is only
    noted and thrown away; then nothing ended. Pressed again, it raises at once all the same.
    """

    def __init__(self) -> None:
        self.call: Any = None
        self.was_pressed = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _press(self, *_: object) -> None:
        if self.call is None or self.was_pressed:
            raise KeyboardInterrupt
        self.was_pressed = True
        self.call.cancel()


def with_cursors(items: Sequence[_T], cursor: str) -> Iterator[tuple[_T, dict[str, str]]]:
    """Each item of an answer with what JSON says of going on behind it.

    The answer's cursor stands behind all of its items, so only the last one carries it: going on
    at it after an earlier one would leave out the rest.
    """
    for place, item in enumerate(items, start=1):
        yield item, {"cursor": cursor} if place == len(items) else {}
