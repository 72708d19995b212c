"""Whole services under the fuzzer: requests over a real channel to a server in this process, over a
real store. What it answers must be typed, and in time.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from penstock_server.telemetry.logging import LogOptions, configure_logging
from support.scene import Scene, fields_with, in_scene
from support.service import app_on
from support.stores import KINDS, StoreProgram, store_program
from support.validators import METHODS, request_type, valid_request
from support.wire import Refusal, Wire

SERVICES: Final = sorted({method.containing_service.name for method in METHODS.values()})
FAULTS: Final = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""What a server that works never answers."""
_SHOWN_EVERY: Final = 10_000


class ServiceTarget:
    """Sends a service what the fuzzer makes: a byte for the method, then the request."""

    def __init__(self, service: str, requests: int) -> None:
        """`requests` are to be sent, beside inputs that are no request at all."""
        self._service = service
        self._methods = sorted(
            name for name, method in METHODS.items() if method.containing_service.name == service
        )
        self._left = requests
        self._sent = 0
        self._answers: Counter[str] = Counter()
        self._open = ExitStack()
        self._wire = Wire(_serving(self._open))
        self._scene = Scene(self._wire)

    def seeds(self) -> list[bytes]:
        """For each method a request that is taken, also about each task that there is."""
        seeds: list[bytes] = []
        for number, method in enumerate(self._methods):
            request = in_scene(valid_request(method), self._scene)
            seeds.append(bytes([number]) + request.SerializeToString())
            if fields_with(method, "task_id"):
                for task_id in self._scene.tasks.values():
                    request.task_id = task_id
                    seeds.append(bytes([number]) + request.SerializeToString())
            if method == "ReportExecutions":
                for token in self._scene.tokens.values():
                    request.ClearField("items")
                    request.items.add(lease_token=token).heartbeat.SetInParent()
                    seeds.append(bytes([number]) + request.SerializeToString())
        return seeds

    def __call__(self, data: bytes) -> None:
        """Raises AssertionError for an answer that a server that works never gives."""
        if not data or self._left <= 0:
            return
        method = self._methods[data[0] % len(self._methods)]
        try:
            request = _without_waiting(request_type(method).FromString(data[1:]))
        except DecodeError:
            return
        outcome = self._wire.outcome(method, request)
        self._left -= 1
        self._sent += 1
        if isinstance(outcome, Refusal) and outcome.code is not grpc.StatusCode.OK:
            self._answers[outcome.reason] += 1
            assert outcome.code not in FAULTS, f"{method} answered {outcome} to {request}"
            assert outcome.is_typed, f"{method} answered {outcome} to {request}"
        else:
            self._answers["OK"] += 1
        if self._sent % _SHOWN_EVERY == 0 or self._left == 0:
            told = ", ".join(f"{reason} {count:,}" for reason, count in self._answers.most_common())
            print(f"{self._service}: {self._sent:,} requests: {told}", flush=True)

    def close(self) -> None:
        """Ends the store: the fuzzer leaves without any of Python's farewells."""
        self._open.close()

    @property
    def is_done(self) -> bool:
        """Whether all requests were sent."""
        return self._left <= 0


def _without_waiting(request: Any) -> Any:
    """A wait that the contract allows is made short: it is no hang to wait as long as was asked."""
    if "wait" in request.DESCRIPTOR.fields_by_name:
        request.wait.seconds = min(request.wait.seconds, 0)
        request.wait.nanos = min(request.wait.nanos, 1_000_000)
    if "follow" in request.DESCRIPTOR.fields_by_name:
        request.follow = False
    return request


def _serving(stack: ExitStack) -> str:
    """A server in a thread of this process, for as long as the process lives; its address."""
    program = stack.enter_context(store_program(KINDS[0]))
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-fuzz-")))
    configure_logging(LogOptions(level="error"))
    ready: list[str] = []
    begun = threading.Event()

    def on_ready(address: str) -> None:
        ready.append(address)
        begun.set()

    work = _serve(program, folder, on_ready)
    threading.Thread(target=asyncio.run, args=(work,), daemon=True).start()
    if not begun.wait(30):
        raise RuntimeError("the server does not serve")
    return ready[0]


async def _serve(program: StoreProgram, folder: Path, on_ready: Callable[[str], None]) -> None:
    async with app_on(program, folder) as app:
        on_ready(app.address)
        await asyncio.Event().wait()
