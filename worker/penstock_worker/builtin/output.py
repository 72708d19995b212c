"""Standard output and error of a child process, as log lines of an execution."""

from __future__ import annotations

import asyncio
import codecs
import os
from typing import Final, Self

from penstock_worker.context import Context

_READ_BYTES: Final = 64 * 1024
# Somebody may have taken the pipe out of the group that was killed; do not wait for them.
_END_TIMEOUT: Final = 2.0


class Output:
    """Two pipes: hand `stdout` and `stderr` to the child, then `close_writers`.

    At the end of the block everything that was written has become log lines.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._readers: dict[int, codecs.IncrementalDecoder] = {}
        self._errors: set[int] = set()
        self._ended = asyncio.Event()
        self.stdout = self._pipe(error=False)
        self.stderr = self._pipe(error=True)
        self._writers = [self.stdout, self.stderr]

    def _pipe(self, *, error: bool) -> int:
        read, write = os.pipe()
        os.set_blocking(read, False)
        self._readers[read] = codecs.getincrementaldecoder("utf-8")("replace")
        if error:
            self._errors.add(read)
        self._loop.add_reader(read, self._read, read)
        return write

    def _read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        if data:
            text = self._readers[descriptor].decode(data)
            self._context.output(text, error=descriptor in self._errors)
        else:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        del self._readers[descriptor]
        if not self._readers:
            self._ended.set()

    def close_writers(self) -> None:
        """Closes our ends of what the child writes to."""
        for descriptor in self._writers:
            os.close(descriptor)
        self._writers.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close_writers()
        try:
            async with asyncio.timeout(_END_TIMEOUT):
                await self._ended.wait()
        except TimeoutError:
            self._context.log("output is cut here: another process keeps it open", "WARNING")
        finally:
            for descriptor in list(self._readers):
                self._close(descriptor)
