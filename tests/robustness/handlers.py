"""Handlers of the workers under test. Each writes down when it begins and when it ends.

The record is a file of the process, written with one `write` for each line: it survives `kill -9`.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from functools import cache
from typing import Any, Final

from penstock_worker import Context, Worker

RECORD: Final = "PENSTOCK_ROBUSTNESS_RECORD"
worker = Worker("robustness")


@cache
def _record() -> int:
    path = os.path.join(os.environ[RECORD], f"marks-{os.getpid()}.jsonl")
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _mark(phase: str, context: Context, lines: int = 0) -> None:
    entry = {
        "entry": "mark",
        "phase": phase,
        "task": context.task_id,
        "execution": context.execution,
        "fence": context.fence,
        "attempt": context.attempt,
        "worker": os.getppid(),
        "pid": os.getpid(),
        "at": time.time(),
        "lines": lines,
    }
    os.write(_record(), json.dumps(entry).encode() + b"\n")


def _proof(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    return {"m": payload["m"], "execution": context.execution, "fence": context.fence}


def _lines(payload: dict[str, Any], context: Context) -> int:
    lines: int = payload.get("lines", 0)
    for number in range(lines):
        context.log(f"{context.execution}.{number + 1}")
    return lines


@worker.task("r.async")
async def on_loop(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    """Sleeps in steps, with progress and log lines between them."""
    _mark("start", context)
    lines = _lines(payload, context)
    for step in range(3):
        context.progress(step / 3)
        await asyncio.sleep(payload.get("seconds", 0) / 3)
    _mark("end", context, lines)
    return _proof(payload, context)


@worker.task("r.thread")
def in_thread(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    """Plain code in a thread; ends early when it is cancelled."""
    _mark("start", context)
    lines = _lines(payload, context)
    if context.wait(payload.get("seconds", 0)):
        context.check_cancelled()
    _mark("end", context, lines)
    return _proof(payload, context)


@worker.task("r.isolated", isolated=True)
def alone(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    """Plain code in a process of its own, which knows nothing of cancelling."""
    _mark("start", context)
    lines = _lines(payload, context)
    time.sleep(payload.get("seconds", 0))
    _mark("end", context, lines)
    return _proof(payload, context)


@worker.task("r.flaky")
async def flaky(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    """Fails in its first attempts: `fails` of them."""
    _mark("start", context)
    await asyncio.sleep(payload.get("seconds", 0))
    if context.attempt <= payload.get("fails", 1):
        raise RuntimeError(f"attempt {context.attempt} fails on purpose")
    _mark("end", context)
    return _proof(payload, context)


@worker.task("r.deadly", isolated=True)
def deadly(payload: dict[str, Any], context: Context) -> dict[str, Any]:
    """Kills its process in its first executions: `fails` of them."""
    _mark("start", context)
    if context.crash_count < payload.get("fails", 1):
        os._exit(1)
    _mark("end", context)
    return _proof(payload, context)
