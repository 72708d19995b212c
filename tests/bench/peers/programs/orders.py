"""Orders of a measurement, as every Python peer takes them. Needs the standard library alone.

One JSON object per line on standard input, one answer per line on standard output, as Penstock's
own producer has it. Times are monotonic seconds, which all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

STORE = os.environ["PEER_STORE"]
"""Path of the store's unix socket."""
KEEPS = os.environ["PEER_FORM"] == "kept"
"""Whether results are kept and, where the library can, tasks are delivered at least once."""
# Exactly 200 bytes once it is JSON, as Penstock's own.
PAYLOAD = {"text": "x" * 189}
BULK = 1_000
_LOOK_EVERY = 100


def obey(
    submit_many: Callable[[int], None],
    submit: Callable[[], None],
    run: Callable[[], None],
) -> None:
    """Carries out orders until standard input ends."""
    verbs: dict[str, Callable[..., dict[str, Any]]] = {
        "bulk": lambda **order: _submit(lambda: submit_many(BULK), BULK, **order),
        "one_by_one": lambda **order: _submit(submit, 1, **order),
        "round_trips": lambda **order: _round_trips(run, **order),
    }
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(verbs[order.pop("do")](**order)), flush=True)


def _submit(step: Callable[[], None], size: int, *, tasks: int, seconds: float) -> dict[str, Any]:
    begin = time.monotonic()
    submitted = 0
    while submitted < tasks:
        if submitted % _LOOK_EVERY == 0 and time.monotonic() > begin + seconds:
            break
        step()
        submitted += size
    return {"begin": begin, "end": time.monotonic(), "tasks": submitted}


def _round_trips(run: Callable[[], None], *, tasks: int, seconds: float) -> dict[str, Any]:
    times: list[float] = []
    begin = time.monotonic()
    while len(times) < tasks and time.monotonic() < begin + seconds:
        start = time.monotonic()
        run()
        times.append(time.monotonic() - start)
    return {"begin": begin, "end": time.monotonic(), "times": times}
