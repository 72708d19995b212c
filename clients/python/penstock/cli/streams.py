"""Reads streams that can be resumed, across restarts of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import grpc

from penstock.cli.session import Session

#: Waits between attempts to come back, seconds; the last one is repeated.
_WAITS: Final = (0.2, 0.5, 1.0, 2.0, 5.0)


def resumed(session: Session, start: Callable[[str], Any], cursor: str) -> Iterator[Any]:
    """Answers of a stream, without gap or repeat when the server goes away and comes back.

    `start` opens the stream at a cursor. A server that never answered at all is an error at once.
    """
    failures = 0
    while True:
        call = start(cursor)
        try:
            for answer in call:
                cursor, failures = answer.cursor or cursor, 0
                yield answer
            return
        except grpc.RpcError as error:
            if cast(Any, error).code() is not grpc.StatusCode.UNAVAILABLE or not cursor:
                raise
            if failures == 0:
                session.screen.note("the server went away; going on when it is back (Ctrl-C ends)")
        finally:
            # gRPC keeps a stream that is dropped without this alive until the channel closes.
            call.cancel()
        time.sleep(_WAITS[min(failures, len(_WAITS) - 1)])
        failures += 1
