"""A round trip with nothing in it: what gRPC, the store and the ways between processes take alone.

The processes and messages of a RunTask with a worker in default mode, and none of Penstock: the
caller's call, a poll that waits and is sent anew, a report, a runner behind a socket pair, and
three calls of the store, each of which sets one key: the submit, the end, and the look for tasks
with which a new poll begins. Messages are 300 bytes that nobody reads. What Penstock's own round
trip takes beyond this is Penstock's. In the form `stream` one open stream carries tasks to the
worker and reports back, whose receipt nobody confirms: less than a real one would take.

Each process has the name of the run's folder as its last argument, for whoever looks for processes
that were left behind.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Literal

import grpc
import redis.asyncio
import uvloop

from bench.processes import python

Form = Literal["calls", "stream"]
Handle = Callable[[bytes], Awaitable[bytes]]
"""Has a task carried out by the runner; gives its end."""
FORMS: Final[tuple[Form, ...]] = ("calls", "stream")

_SERVICE: Final = "bench.Bare"
_BODY: Final = b"x" * 300
_SET: Final = "return redis.call('SET', KEYS[1], ARGV[1])"
_PATIENCE: Final = 30.0


class Server:
    """Hands the task of the one caller to the one worker, and its end back."""

    def __init__(self, store: redis.asyncio.Redis, script: str) -> None:
        self._store = store
        self._script = script
        self._tasks: asyncio.Queue[bytes] = asyncio.Queue()
        self._ends: asyncio.Queue[bytes] = asyncio.Queue()

    async def run(self, task: bytes, _: Any) -> bytes:
        """What the caller calls: submits and waits for the end."""
        await self._keep("submit", task)
        self._tasks.put_nowait(task)
        return await self._ends.get()

    async def lease(self, request: bytes, _: Any) -> bytes:
        """A poll: looks for tasks, waits for one."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep("look", request))
            return await self._tasks.get()

    async def report(self, end: bytes, _: Any) -> bytes:
        """Takes the end of a task."""
        await self._keep("end", end)
        self._ends.put_nowait(end)
        await asyncio.sleep(0)  # the caller is answered first, as Penstock does
        return end

    async def work(self, ends: AsyncIterator[bytes], context: Any) -> None:
        """Both in one stream."""
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write_tasks(context))
            async for end in ends:
                await self._keep("end", end)
                self._ends.put_nowait(end)
            writing.cancel()

    async def _write_tasks(self, context: Any) -> None:
        while True:
            await context.write(await self._tasks.get())

    async def _keep(self, name: str, value: bytes) -> None:
        await self._store.evalsha(self._script, 1, name, value)


async def _serve(store_path: str, _folder: str) -> None:
    store = redis.asyncio.Redis(unix_socket_path=store_path)
    bare = Server(store, await store.script_load(_SET))
    make: Any = grpc.unary_unary_rpc_method_handler
    make_both: Any = grpc.stream_stream_rpc_method_handler
    handlers = {"Run": make(bare.run), "Lease": make(bare.lease), "Report": make(bare.report)}
    handlers["Work"] = make_both(bare.work)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


async def _work(port: str, form: str, folder: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        handle = await _through(_start_runner(folder))
        await {"calls": _work_by_calls, "stream": _work_by_stream}[form](channel, handle)


async def _work_by_calls(channel: Any, handle: Handle) -> None:
    lease = channel.unary_unary(f"/{_SERVICE}/Lease")
    report = channel.unary_unary(f"/{_SERVICE}/Report")

    async def carry_out(task: bytes) -> None:
        await report(await handle(task), timeout=_PATIENCE)

    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(carry_out(await lease(_BODY, timeout=None)))


async def _work_by_stream(channel: Any, handle: Handle) -> None:
    stream = channel.stream_stream(f"/{_SERVICE}/Work")()
    async for task in stream:
        await stream.write(await handle(task))


def _start_runner(folder: str) -> socket.socket:
    """Our end of the pair of sockets; the runner ends when it is closed."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = python("bench.bare", "runner", str(theirs.fileno()), folder)
        subprocess.Popen(command, pass_fds=[theirs.fileno()])
    return ours


async def _through(runner: socket.socket) -> Handle:
    reader, writer = await asyncio.open_connection(sock=runner)

    async def handle(task: bytes) -> bytes:
        writer.write(task)
        return await reader.readexactly(len(task))

    return handle


async def _run(descriptor: str, _folder: str) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=int(descriptor)))
    while task := await reader.read(len(_BODY)):
        writer.write(task)


async def _call(port: str, _folder: str) -> None:
    channel: Any = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    async with channel:
        run = channel.unary_unary(f"/{_SERVICE}/Run")
        for line in sys.stdin:  # nothing else goes on in this process
            times = []
            for _ in range(int(line)):
                begin = time.perf_counter()
                await run(_BODY, timeout=_PATIENCE)
                times.append(time.perf_counter() - begin)
            print(json.dumps(times), flush=True)


_PARTS: Final[dict[str, Callable[..., Any]]] = {
    "server": _serve,
    "worker": _work,
    "runner": _run,
    "caller": _call,
}

if __name__ == "__main__":
    # The producer of the other measurements runs on the event loop that comes with Python.
    run = asyncio.run if sys.argv[1] == "caller" else uvloop.run
    run(_PARTS[sys.argv[1]](*sys.argv[2:]))
