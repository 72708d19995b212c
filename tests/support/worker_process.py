"""Runs a real worker as a process of its own."""

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
_TESTS: Final = Path(__file__).parents[1]


@dataclass
class WorkerProcess:
    """A worker that polls. `metrics` is host:port of its page, or empty."""

    process: asyncio.subprocess.Process
    metrics: str

    async def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def worker_process(
    address: str,
    target: str,
    folder: Path,
    *flags: str,
    environ: Mapping[str, str] | None = None,
    cwd: Path = _TESTS,
) -> AsyncIterator[WorkerProcess]:
    """Starts `penstock worker` on a module that is found from `cwd`; drains it in the end."""
    ready = folder / "worker.json"
    ready.unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "penstock.cli", "worker", target),
        *("--ready-file", str(ready), "--drain-grace", "0s", *flags),
        cwd=cwd,
        env={**os.environ, "PENSTOCK_ADDRESS": address, **(environ or {})},
        stdin=asyncio.subprocess.DEVNULL,
    )
    try:
        await _until_ready(process, ready)
        yield WorkerProcess(process, json.loads(ready.read_text())["metrics"])
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), WITHIN)


async def _until_ready(process: asyncio.subprocess.Process, ready: Path) -> None:
    async with asyncio.timeout(WITHIN):
        while not ready.exists():  # noqa: ASYNC240 - a file sends no events
            assert process.returncode is None, f"the worker ended with {process.returncode}"
            await asyncio.sleep(0.02)
