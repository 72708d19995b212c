"""Runs a real server as a process of its own, on ports that the system chooses."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WITHIN: Final = 30.0


class ServerEnded(Exception):
    """The server ended before it served; `status` and `said` tell why."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"the server ended with status {status}: {said}")
        self.status = status
        self.said = said


@dataclass
class ServerProcess:
    """A server that serves."""

    process: asyncio.subprocess.Process
    log: Path
    address: str
    metrics: str | None
    store: str

    @property
    def pid(self) -> int:
        return self.process.pid

    async def end(self) -> int:
        """Asks it to drain, and gives its exit status."""
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), WITHIN)


@asynccontextmanager
async def server_process(
    folder: Path, *flags: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[ServerProcess]:
    """Starts `python -m penstock_server` with its data in `folder`; ends it with the block.

    Raises ServerEnded if it ends before it serves.
    """
    ready, log = folder / "ready.json", folder / "server.log"
    ready.unlink(missing_ok=True)
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "penstock_server"),
            *("--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"),
            *("--data", str(folder / "data"), "--ready-file", str(ready)),
            *flags,
            cwd=folder,
            env={**os.environ, **(environ or {})},
            stdout=output,
            stderr=output,
        )
    try:
        await _until_ready(process, ready, log)
        facts = json.loads(ready.read_text(encoding="utf-8"))
        yield ServerProcess(process, log, facts["address"], facts["metrics"], facts["store"])
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()


def _there(path: Path) -> bool:
    return path.exists()


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


async def _until_ready(process: asyncio.subprocess.Process, ready: Path, log: Path) -> None:
    ended = asyncio.ensure_future(process.wait())
    try:
        async with asyncio.timeout(WITHIN):
            while not _there(ready):
                if ended.done():
                    raise ServerEnded(ended.result(), _text_of(log))
                await asyncio.wait([ended], timeout=0.02)
    finally:
        ended.cancel()
