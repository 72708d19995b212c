"""Handlers for tests of the worker, of every kind and every misbehaviour."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from penstock_worker import Context, ExecutionCancelled, Fail, NonRetryableError, Retry, Worker

worker = Worker("test-worker")
log = logging.getLogger("handlers")
_crowd = 0


@dataclass
class Image:
    """A payload with a shape."""

    path: str
    width: int = 640


# ---- well behaved ----


@worker.task("echo")
async def echo(payload: Any) -> Any:
    return payload


@worker.task("echo.thread")
def echo_in_thread(payload: Any) -> Any:
    return payload


@worker.task("echo.isolated", isolated=True)
def echo_isolated(payload: Any) -> Any:
    return payload


@worker.task("crowd")
async def crowd(payload: Any) -> Any:
    """Answers how many of its kind ran at this moment, itself included."""
    global _crowd
    _crowd += 1
    seen = _crowd
    await asyncio.sleep(0)
    _crowd -= 1
    return seen


@worker.task("facts")
async def facts(image: Image, context: Context) -> dict[str, Any]:
    return {
        "path": image.path,
        "width": image.width,
        "fence": context.fence,
        "task_id": context.task_id,
        "attempt": context.attempt,
        "headers": dict(context.headers),
        "pid": os.getpid(),
        "grpc": "grpc" in sys.modules,
    }


@worker.task("pid.isolated", isolated=True)
def pid_isolated() -> dict[str, int]:
    return {"pid": os.getpid(), "group": os.getpgid(0)}


@worker.task("sleep")
async def sleep(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "slept"


@worker.task("progress")
async def progress(steps: int, context: Context) -> None:
    for step in range(steps):
        context.progress((step + 1) / steps, f"step {step + 1}", {"step": step + 1})
        await asyncio.sleep(0)


@worker.task("work")
async def work(seconds: float, context: Context) -> str:
    context.progress(0.5)
    await asyncio.sleep(seconds)
    return "worked"


@worker.task("talk")
async def talk(context: Context) -> None:
    print("to stdout")
    print("to stderr", file=sys.stderr)
    log.warning("to the logger")
    context.log("to the context")
    await asyncio.sleep(0)
    sys.stdout.write("no line end")


@worker.task("talk.thread")
def talk_in_thread(name: str) -> None:
    for number in range(5):
        print(f"{name} {number}")
        time.sleep(0.001)


@worker.task("talk.isolated", isolated=True)
def talk_isolated() -> None:
    print("from python")
    subprocess.run(["/bin/sh", "-c", "echo from a child; echo oops >&2"], check=True)


@worker.task("talk.much")
async def talk_much(lines: int) -> None:
    for number in range(lines):
        print(f"line {number}")


@worker.task("burn.isolated", isolated=True)
def burn(megabytes: int) -> int:
    block = bytearray(megabytes * 1024 * 1024)
    end = time.process_time() + 0.05
    while time.process_time() < end:
        block[0] = 1
    return len(block)


# ---- failing ----


class Broken(Exception):
    """An exception of user code."""


@worker.task("fail")
async def fail(message: str) -> None:
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise Broken(message) from error


@worker.task("fail.thread")
def fail_in_thread() -> None:
    raise Broken("in a thread")


@worker.task("fail.final")
async def fail_finally() -> None:
    raise NonRetryableError("no use", details={"code": 7})


@worker.task("fail.own")
async def fail_own() -> None:
    raise Fail("in my words", kind="my.Kind")


@worker.task("fail.listed", retry=Retry(non_retryable=(LookupError,)))
async def fail_listed() -> None:
    raise KeyError("listed as not retryable")


@worker.task("unencodable")
async def unencodable() -> object:
    return object()


@worker.task("exit")
async def exit_politely() -> None:
    sys.exit(3)


@worker.task("exit.thread")
def exit_in_thread() -> None:
    sys.exit(3)


@worker.task("die")
async def die(status: int) -> None:
    os._exit(status)


@worker.task("die.thread")
def die_in_thread() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(30)  # another thread may be the one that takes the signal


@worker.task("die.isolated", isolated=True)
def die_isolated() -> None:
    print("last words")
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(30)


# ---- hard to stop ----


@worker.task("wait.cancelled")
async def wait_cancelled(context: Context) -> str:
    return await context.wait_cancelled()


@worker.task("wait.thread")
def wait_in_thread(context: Context) -> None:
    if context.wait(30):
        context.check_cancelled()


@worker.task("stubborn")
async def stubborn() -> str:
    for _ in range(1000):
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            return "finished anyway"
    return "never"


@worker.task("deaf.thread")
def deaf_in_thread(seconds: float) -> str:
    time.sleep(seconds)
    return "too late"


@worker.task("deaf.isolated", isolated=True)
def deaf_isolated(path: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    _tell_pids(path, child.pid)
    time.sleep(60)


def _tell_pids(path: str, *others: int) -> None:
    with open(path + ".part", "w") as file:
        file.write(" ".join(map(str, (os.getpid(), *others))))
    os.rename(path + ".part", path)


@worker.task("deafer.isolated", isolated=True)
async def deafer_isolated(path: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _tell_pids(path)
    time.sleep(60)  # noqa: ASYNC251 - it blocks its loop on purpose


@worker.task("block.loop")
async def block_loop(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - it blocks its loop on purpose


@worker.task("limited", timeout=timedelta(milliseconds=200))
async def limited() -> None:
    await asyncio.sleep(30)


@worker.task("limited.isolated", isolated=True, timeout=timedelta(milliseconds=300))
def limited_isolated() -> None:
    while True:
        pass


@worker.task("silent", heartbeat_timeout=timedelta(milliseconds=300))
async def silent() -> None:
    await asyncio.sleep(30)


@worker.task("beating", heartbeat_timeout=timedelta(milliseconds=300))
async def beating(context: Context) -> str:
    for step in range(20):
        context.progress(step / 20)
        await asyncio.sleep(0.05)
    return "done"


@worker.task("threads")
def threads() -> int:
    return threading.active_count()


def unused() -> None:
    raise ExecutionCancelled
