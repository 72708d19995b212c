"""The runner process: loads the user's worker, then runs what the supervisor sends.

It ends when the supervisor closes the socket or dies.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from io import TextIOWrapper
from typing import Final

import uvloop

from penstock.v1 import worker_pb2
from penstock_worker import frames
from penstock_worker.context import Context
from penstock_worker.errors import WorkerStartError
from penstock_worker.frames import FrameReader, Record
from penstock_worker.lines import LineBounds
from penstock_worker.runner import watchdog
from penstock_worker.runner.capture import Capture
from penstock_worker.runner.config import RunnerConfig
from penstock_worker.runner.executor import Executor
from penstock_worker.runner.loader import load
from penstock_worker.runner.outbox import Outbox
from penstock_worker.runner.usage import ProcessMeter
from penstock_worker.worker import Worker

_READ_BYTES: Final = 1024 * 1024


def main() -> None:
    """Runs a runner process until its supervisor has no more use for it."""
    config = RunnerConfig.from_argument(sys.argv[1])
    # The name that child processes of handlers must not inherit.
    os.set_inheritable(config.descriptor, False)
    watchdog.arm(config.parent)
    link = Link(socket.socket(fileno=config.descriptor))
    if config.isolated:
        _unbuffer()
    lines = _Late()
    capture = Capture(lines, streams=not config.isolated)
    capture.install()
    try:
        worker = load(config.target)
    except WorkerStartError as error:
        link.send([(frames.BROKEN, str(error))])
        raise SystemExit(1) from None
    capture.settle()
    uvloop.run(_serve(config, link, worker, lines))


def _unbuffer() -> None:
    """Lets every line reach the pipe as it is written: its writer may be killed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=True)


class _Late:
    """Takes lines for an executor that is made after the user's module was loaded."""

    executor: Executor | None = None

    def write(self, context: Context, stream: int, text: str) -> None:
        if self.executor is not None:
            self.executor.write(context, stream, text)

    def line(self, context: Context, stream: int, level: str, logger: str, text: str) -> None:
        if self.executor is not None:
            self.executor.line(context, stream, level, logger, text)


class Link:
    """The socket to the supervisor. Reads never block; writes do, and may come from any thread.

    A blocking write is the back-pressure: a handler that floods its log waits for the supervisor.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reader = FrameReader()

    def fileno(self) -> int:
        """Answers the descriptor."""
        return self._socket.fileno()

    def send(self, records: list[Record]) -> None:
        """Sends one frame. The caller makes sure that only one sends at a time."""
        try:
            self._socket.sendall(frames.pack(records))
        except (BrokenPipeError, ConnectionResetError):
            # The supervisor is gone, so nobody can be told; the end of the reads ends us.
            return

    def receive(self) -> list[Record] | None:
        """Answers what has come; None if the supervisor has closed."""
        try:
            data = self._socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return None
        return self._reader.feed(data) if data else None


async def _serve(config: RunnerConfig, link: Link, worker: Worker, lines: _Late) -> None:
    loop = asyncio.get_running_loop()
    outbox = Outbox(loop, link.send, eager=config.isolated)
    executor = Executor(
        worker.registry,
        outbox,
        threads=config.threads,
        bounds=LineBounds(lines=config.log_lines, size=config.log_bytes),
        meter=ProcessMeter() if config.isolated else None,
        before_end=_flush_streams if config.isolated else None,
    )
    lines.executor = executor
    closed = asyncio.Event()
    loop.add_reader(link.fileno(), _receive, link, executor, outbox, closed)
    outbox.put(hello_record(worker))
    await closed.wait()
    loop.remove_reader(link.fileno())
    await executor.cancel_all("shutdown")


def hello_record(worker: Worker) -> Record:
    """Answers what a worker declares."""
    infos = [handler.describe() for handler in worker.registry]
    handlers = [(i.task_type, i.isolated, i.timeout, i.heartbeat_timeout) for i in infos]
    return (frames.HELLO, worker.name, worker.queues, handlers)


def _flush_streams() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _receive(link: Link, executor: Executor, outbox: Outbox, closed: asyncio.Event) -> None:
    records = link.receive()
    if records is None:
        closed.set()
        return
    parse = worker_pb2.Lease.FromString
    for record in records:
        kind = record[0]
        if kind == frames.START:
            executor.start(record[1], parse(record[2]), record[3], record[4])
        elif kind == frames.CANCEL:
            executor.cancel(record[1], record[2])
        elif kind == frames.PING:
            outbox.put((frames.PONG, record[1]))
