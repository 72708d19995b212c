"""An event loop in a thread of its own, for code that is not asyncio.

Calls may come from any number of threads, also from one that runs another event loop (which then
stands still until the answer is there). The caller's context goes along, so its trace is continued.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Final, Generic, TypeVar

from penstock.errors import ClientClosed

T = TypeVar("T")
_END: Final = object()


class LoopThread:
    """Runs coroutines for other threads, from construction to `close`."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._closed = False
        # A daemon, so that a program that forgets to close can end.
        self._thread = threading.Thread(target=self._main, name="penstock-client", daemon=True)
        self._thread.start()
        self._ready.wait()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine and returns its result; an interrupt of the caller cancels it."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("a blocking call in the client's own thread would wait for itself")
        call = _Call(coroutine)
        self._submit(call)
        try:
            return call.outcome.result()
        except BaseException:
            if not call.outcome.done():
                self._cancel(call)  # an interrupt of this thread, and not the call's own error
            raise

    def iterate(self, items: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        """The items of an async generator; closing or dropping the result closes it."""
        try:
            while (item := self.call(_next(items))) is not _END:
                yield item  # type: ignore[misc] # _END is the only other value
        finally:
            self._finish(items)

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Runs `last`, then ends the loop and its thread. May be repeated."""
        with self._lock:
            if self._closed:
                last.close()
                return
            self._closed = True
        call = _Call(last)
        self._loop.call_soon_threadsafe(call.start)
        try:
            call.outcome.result()
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _submit(self, call: _Call[Any]) -> None:
        with self._lock:
            if self._closed:
                call.coroutine.close()
                raise ClientClosed("this client is closed: make a new one")
            self._loop.call_soon_threadsafe(call.start, context=copy_context())

    def _cancel(self, call: _Call[Any]) -> None:
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(call.cancel)

    def _finish(self, items: AsyncGenerator[Any, None]) -> None:
        """Closes an async generator. Does not wait: a garbage collection may call this anywhere."""
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(_Call(_close(items)).start)

    def _main(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_report)
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()


class _Call(Generic[T]):
    """One coroutine on its way through the loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.coroutine = coroutine
        self.outcome: Future[T] = Future()
        self._task: asyncio.Task[T] | None = None

    def start(self) -> None:
        """Starts the coroutine; called in the loop."""
        self._task = asyncio.create_task(self.coroutine)
        self._task.add_done_callback(self._done)

    def cancel(self) -> None:
        """Cancels the coroutine; called in the loop."""
        if self._task is not None:
            self._task.cancel()

    def _done(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self.outcome.set_exception(ClientClosed("the client was closed during the call"))
        elif error := task.exception():
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(task.result())


async def _next(items: AsyncGenerator[T, None]) -> T | object:
    return await anext(items, _END)


async def _close(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Reports what went wrong in a callback, but not what gRPC cannot help.

    With two event loops in a process gRPC wakes both for every event, and the one that comes second
    finds nothing to read.
    """
    expected = isinstance(context.get("exception"), BlockingIOError)
    if not (expected and "_handle_events" in repr(context.get("handle"))):
        loop.default_exception_handler(context)
