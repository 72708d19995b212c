"""The handlers of a worker, by task type.

Holds what the decorator was told; knows nothing of processes, leases or gRPC, so that the
children which run user code can load it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from penstock_worker.signature import Binding, bind

LEAST_MEMORY: Final = 64 * 1024 * 1024

_TASK_TYPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When this worker tells the server that another attempt would be pointless.

    The task's own retry policy holds as well: whichever gives up first decides.
    """

    max_attempts: int | None = None
    """From this attempt on a failure is reported as not retryable. At least 1."""
    non_retryable: tuple[type[BaseException], ...] = ()
    """Exceptions, with their subclasses, that are never retried."""

    def __post_init__(self) -> None:
        if self.max_attempts is not None and self.max_attempts < 1:
            raise ValueError(f"max_attempts is {self.max_attempts}; it must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """One handler and the policies that its decorator gave it."""

    task_type: str
    function: Callable[..., Any]
    binding: Binding
    is_async: bool
    isolated: bool = False
    retry: Retry | None = None
    timeout: timedelta | None = None
    heartbeat_timeout: timedelta | None = None
    memory_limit: int | None = None

    def describe(self) -> HandlerInfo:
        """Answers what the supervisor needs to know, without the code."""
        return HandlerInfo(
            task_type=self.task_type,
            isolated=self.isolated,
            timeout=seconds(self.timeout),
            heartbeat_timeout=seconds(self.heartbeat_timeout),
            memory_limit=self.memory_limit,
        )


@dataclass(frozen=True, slots=True)
class HandlerInfo:
    """What the supervisor knows of a handler. Spans are in seconds; None means no limit."""

    task_type: str
    isolated: bool = False
    timeout: float | None = None
    heartbeat_timeout: float | None = None
    memory_limit: int | None = None


def seconds(span: timedelta | None) -> float | None:
    """Answers the span in seconds, or None."""
    return None if span is None else span.total_seconds()


def _check_memory(task_type: str, limit: int, *, isolated: bool) -> None:
    if not isolated:
        raise ValueError(
            f"task type {task_type!r} has a memory_limit and is not isolated:"
            " only a process of its own can be limited"
        )
    if limit < LEAST_MEMORY:
        raise ValueError(
            f"the memory_limit of task type {task_type!r} is {limit} bytes; it must be at least"
            f" {LEAST_MEMORY}, because the interpreter itself takes most of that"
        )


class Registry:
    """Handlers by task type. A type has one handler."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}

    def add(
        self,
        task_type: str,
        function: Callable[..., Any],
        *,
        retry: Retry | None = None,
        timeout: timedelta | None = None,
        heartbeat_timeout: timedelta | None = None,
        isolated: bool = False,
        memory_limit: int | None = None,
    ) -> Handler:
        """Adds a handler. Raises ValueError for a bad or taken type or a bad signature."""
        self._check(task_type, timeout, heartbeat_timeout)
        if memory_limit is not None:
            _check_memory(task_type, memory_limit, isolated=isolated)
        handler = Handler(
            task_type=task_type,
            function=function,
            binding=bind(function),
            is_async=inspect.iscoroutinefunction(function),
            isolated=isolated,
            retry=retry,
            timeout=timeout,
            heartbeat_timeout=heartbeat_timeout,
            memory_limit=memory_limit,
        )
        self._handlers[task_type] = handler
        return handler

    def adopt(self, handler: Handler) -> None:
        """Adds a handler that was made elsewhere. Raises ValueError for a taken type."""
        self._check(handler.task_type)
        self._handlers[handler.task_type] = handler

    def _check(self, task_type: str, *spans: timedelta | None) -> None:
        if not _TASK_TYPE.fullmatch(task_type):
            raise ValueError(
                f"{task_type!r} is no task type: use 1 to 128 characters of A-Z a-z 0-9 . _ -,"
                " the first one a letter or digit"
            )
        if task_type in self._handlers:
            raise ValueError(f"task type {task_type!r} already has a handler")
        for span in spans:
            if span is not None and span <= timedelta():
                raise ValueError(f"a timeout of task type {task_type!r} is not above zero: {span}")

    def get(self, task_type: str) -> Handler | None:
        """Answers the handler of a type, or None."""
        return self._handlers.get(task_type)

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._handlers.values())

    def __len__(self) -> int:
        return len(self._handlers)
