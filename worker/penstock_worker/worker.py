"""The public face of the worker: collect handlers, then run them.

    worker = Worker(queues=["images"])

    @worker.task("images.resize", timeout=timedelta(minutes=5))
    async def resize(image: Image, context: Context) -> Thumbnail: ...

Loading this module loads no gRPC: the processes that run handlers load it too.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from types import ModuleType
from typing import Any, TypeVar

from penstock_worker.errors import WorkerStartError
from penstock_worker.registry import Registry, Retry

Function = TypeVar("Function", bound=Callable[..., Any])


class Worker:
    """Handlers by task type, and the queues that they are for.

    `name` is shown to people (default: the program and host name). `queues` are polled in turn
    (default: `default`); the command line and `run_worker` can override both.
    """

    def __init__(self, name: str = "", *, queues: Iterable[str] = ("default",)) -> None:
        if isinstance(queues, str):
            raise TypeError(f'queues is one string; write queues=["{queues}"]')
        self.name = name
        self.queues = tuple(queues)
        self.registry = Registry()

    def task(
        self,
        task_type: str,
        *,
        retry: Retry | None = None,
        timeout: timedelta | None = None,
        heartbeat_timeout: timedelta | None = None,
        isolated: bool = False,
        memory_limit: int | None = None,
    ) -> Callable[[Function], Function]:
        """Makes the decorated function the handler of a task type.

        `async def` handlers share one event loop, `def` handlers run in threads, and those with
        `isolated=True` have a process of their own for each execution, which can be killed.
        `timeout` (one execution) and `heartbeat_timeout` (longest silence between progress
        reports) hold where the task itself sets none. `retry` see `Retry`. `memory_limit`, for
        isolated handlers, is the bytes of memory that the process may hold, at least 64 MiB: one
        that holds more is killed and its execution has FAILED with kind
        `penstock_worker.MemoryLimit`. Raises ValueError for a bad or taken type, a signature
        that cannot be called, or a limit that cannot be kept.
        """

        def decorate(function: Function) -> Function:
            self.registry.add(
                task_type,
                function,
                retry=retry,
                timeout=timeout,
                heartbeat_timeout=heartbeat_timeout,
                isolated=isolated,
                memory_limit=memory_limit,
            )
            return function

        return decorate

    def include(self, other: Worker) -> None:
        """Adds the handlers of another Worker. Raises ValueError if a type is taken."""
        for handler in other.registry:
            self.registry.adopt(handler)

    def run(self, **options: Any) -> None:
        """Runs the worker until it is told to stop; the options are those of `run_worker`.

        For `if __name__ == "__main__":`. The worker must be a global of the program's file or of
        a module, because the processes that run its handlers load it from there.
        """
        # By name: a plain import here would tie gRPC to every process that loads a Worker.
        run = importlib.import_module("penstock_worker.run")
        run.run_worker(self.target(), **options)

    def target(self) -> str:
        """Answers `module:attribute` or `file.py:attribute` of this worker.

        Raises WorkerStartError if no loaded module has it as a global.
        """
        for name, module in list(sys.modules.items()):
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if value is self:
                    return f"{_place(name, module)}:{attribute}"
        raise WorkerStartError(
            "this Worker is not a global of any module, so that other processes cannot load it:"
            " assign it at the top level of its file"
        )


def _place(name: str, module: ModuleType) -> str:
    if name != "__main__":
        return name
    if module.__spec__ is not None:  # started by `python -m`
        return module.__spec__.name
    file = module.__file__
    if file is None:
        raise WorkerStartError("a Worker made at the prompt cannot be run: put it into a file")
    return os.path.abspath(file)
