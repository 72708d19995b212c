"""Handlers that do what handlers should not, each in every kind, and companions that go on."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from penstock_worker import Worker

worker = Worker("misbehaving")

MEGABYTE: Final = 1024 * 1024
MEMORY_LIMIT: Final = 256 * MEGABYTE
CHILDREN: Final = 50

# ---- companions: they run until a file is there ----


@worker.task("companion.async")
async def companion(path: str) -> str:
    while not os.path.exists(path):  # noqa: ASYNC110, ASYNC240 - the file of a test
        await asyncio.sleep(0.02)
    return "went on"


@worker.task("companion.thread")
def companion_in_thread(path: str) -> str:
    while not os.path.exists(path):
        time.sleep(0.02)
    return "went on"


@worker.task("companion.isolated", isolated=True)
def companion_isolated(path: str) -> str:
    return companion_in_thread(path)


# ---- misbehaviour ----


class Unpicklable(Exception):
    """Neither pickle nor str() can do anything with it."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def __reduce__(self) -> Any:
        raise TypeError("not to be pickled")

    def __str__(self) -> str:
        raise SystemExit("not to be shown")


class Unencodable:
    """What no encoder knows, with code of its own that raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


def block(_: str) -> None:
    threading.Event().wait()


def burn(path: str) -> None:
    while not os.path.exists(path):
        for _ in range(1_000_000):
            pass


def hold_gil(_: str) -> str:
    """Holds the GIL for one to four seconds at a stretch, whatever the machine."""
    size, seconds = 18, 0.0
    while seconds < 1.0:
        size += 1
        start = time.monotonic()
        re.match(r"(a+)+$", "a" * size + "b")
        seconds = time.monotonic() - start
    return "let go"


def hold_gil_for_ever(_: str) -> None:
    re.match(r"(a+)+$", "a" * 80 + "b")


def grow(_: str) -> None:
    kept = []
    while True:
        kept.append(b"x" * (8 * MEGABYTE))
        time.sleep(0.005)


def fork(_: str) -> list[int]:
    """Leaves children behind, one of them in a session of its own and without its parent."""
    read, write = os.pipe()
    pids = [_forked(lambda: time.sleep(120)) for _ in range(CHILDREN - 1)]
    os.waitpid(_forked(lambda: _leave_session(write)), 0)
    pids.append(int(os.read(read, 32)))
    os.close(read)
    os.close(write)
    return pids


def _forked(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        print("the copy has a word")  # must not get between the frames of its original
        work()
        os._exit(0)
    return pid


def _leave_session(write: int) -> None:
    os.setsid()
    pid = _forked(lambda: time.sleep(120))
    os.write(write, str(pid).encode())


def fork_and_block(path: str) -> None:
    pids = fork("")
    with open(path, "w") as file:
        file.write(" ".join(map(str, pids)))
    threading.Event().wait()


def fork_and_return(_: str) -> str:
    """Both the original and its copy return."""
    return "original" if os.fork() else "copy"


def flood(_: str) -> str:
    text = "x" * 1023
    for __ in range(100 * 1024):
        print(text)
    return "printed 100 MiB"


def flood_at_once(_: str) -> str:
    sys.stdout.write("x\n" * (50 * MEGABYTE))
    return "printed 100 MiB"


def fail(_: str) -> None:
    raise ValueError("\udcff is no character")


def fail_unpicklable(_: str) -> None:
    raise Unpicklable


def answer_unencodable(_: str) -> Unencodable:
    return Unencodable()


def exit_politely(_: str) -> None:
    sys.exit(3)


def exit_at_once(_: str) -> None:
    os._exit(3)


def kill_itself(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # another thread may be the one that takes the signal


def ignore_sigterm(path: str) -> None:
    # Python lets only the main thread set a handler; C does not ask.
    ctypes.CDLL(None).signal(int(signal.SIGTERM), ctypes.c_void_p(1))
    while not os.path.exists(path):
        time.sleep(0.02)


def close_output(_: str) -> str:
    print("before")
    sys.stdout.close()
    return "closed"


def close_descriptors(_: str) -> str:
    os.closerange(0, 3)
    return "closed"


def use_up_descriptors(_: str) -> str:
    """Leaves not one descriptor to whoever comes next."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    try:
        while True:
            os.dup(0)
    except OSError as error:
        return error.strerror or ""


def large(_: str) -> str:
    return "x" * (3 * MEGABYTE)


def end_strangely(_: str) -> None:
    raise GeneratorExit


def stop_itself(_: str) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    # Another thread may take the signal: this one must not end before it is stopped too.
    time.sleep(60)


MISBEHAVIOURS: Final[dict[str, Callable[[str], Any]]] = {
    function.__name__: function
    for function in (
        *(block, burn, hold_gil, hold_gil_for_ever, grow, fork, fork_and_return, fork_and_block),
        *(flood, flood_at_once, fail, fail_unpicklable, answer_unencodable),
        *(exit_politely, exit_at_once, kill_itself, stop_itself, ignore_sigterm, close_output),
        *(close_descriptors, use_up_descriptors, large, end_strangely),
    )
}


def _add(name: str, function: Callable[[str], Any]) -> None:
    def in_thread(path: str) -> Any:
        return function(path)

    async def on_loop(path: str) -> Any:
        return function(path)

    limit = MEMORY_LIMIT if name == "grow" else None
    worker.task(f"{name}.async")(on_loop)
    worker.task(f"{name}.thread")(in_thread)
    worker.task(f"{name}.isolated", isolated=True, memory_limit=limit)(in_thread)
    worker.task(f"{name}.isolated.async", isolated=True, memory_limit=limit)(on_loop)


for _name, _function in MISBEHAVIOURS.items():
    _add(_name, _function)
