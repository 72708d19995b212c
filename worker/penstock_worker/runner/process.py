"""The runner process: loads the user's worker, then runs what the supervisor sends.

It ends when the supervisor closes the socket or dies.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import select
import socket
import sys
from io import TextIOWrapper
from typing import Final

import psutil
import uvloop

from penstock.v1 import worker_pb2
from penstock_worker import collector, frames
from penstock_worker.context import Context
from penstock_worker.errors import WorkerStartError
from penstock_worker.frames import FrameReader, Record
from penstock_worker.lines import LineBounds
from penstock_worker.runner import watchdog
from penstock_worker.runner.capture import Capture
from penstock_worker.runner.config import RunnerConfig
from penstock_worker.runner.executor import Executor
from penstock_worker.runner.loader import load
from penstock_worker.runner.offspring import Offspring
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
    os.register_at_fork(after_in_child=lambda: _leave(link, capture, lines))
    try:
        worker = load(config.target)
    except WorkerStartError as error:
        link.send([(frames.BROKEN, str(error))])
        raise SystemExit(1) from None
    capture.settle()
    with collector.settled():
        uvloop.run(_serve(config, link, worker, lines))


def _leave(link: Link, capture: Capture, lines: _Late) -> None:
    """Cuts the ties of a copy of this process that user code has forked.

    It shares the socket: what it prints would get between the frames of the original.
    """
    capture.remove()
    link.close()
    if lines.executor is not None:
        lines.executor.abandon()


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

    def close(self) -> None:
        """Lets go of the socket, without a word to the other end; nothing is sent any more."""
        self._socket.close()

    def send(self, records: list[Record]) -> None:
        """Sends one frame. The caller makes sure that only one sends at a time."""
        if self._socket.fileno() < 0:
            return
        data = memoryview(frames.pack(records))
        try:
            while data:
                data = data[self._send_some(data) :]
        except (BrokenPipeError, ConnectionResetError):
            # The supervisor is gone, so nobody can be told; the end of the reads ends us.
            return

    def _send_some(self, data: memoryview) -> int:
        """Sends what the socket takes, once it takes anything; answers how much that was.

        Not `sendall`: the loop that watches the descriptor has made it non-blocking, and then
        that gives up in the middle of a frame.
        """
        while True:
            try:
                return self._socket.send(data)
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._socket, select.POLLOUT)
                poll.poll()

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
    offspring = Offspring() if config.isolated else None
    executor = Executor(
        worker.registry,
        outbox,
        threads=config.threads,
        bounds=LineBounds(lines=config.log_lines, size=config.log_bytes),
        meter=ProcessMeter() if config.isolated else None,
        before_end=None if offspring is None else lambda: _clean_up(offspring),
    )
    lines.executor = executor
    closed = asyncio.Event()
    loop.add_reader(link.fileno(), _receive, link, executor, outbox, closed)
    outbox.put(hello_record(worker))
    await closed.wait()
    loop.remove_reader(link.fileno())
    await executor.cancel_all("shutdown")
    if offspring is not None:
        offspring.end()


def hello_record(worker: Worker) -> Record:
    """Answers what a worker declares."""
    handlers = [dataclasses.astuple(handler.describe()) for handler in worker.registry]
    return (frames.HELLO, worker.name, worker.queues, handlers)


def _clean_up(offspring: Offspring) -> str:
    """Ends what an isolated execution left; answers what that was, if it spoils the process."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception as error:  # the handler may have put anything there
        offspring.end()
        return f"no standard output or error to the next: {error}"
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
        count = offspring.end()
    except (OSError, psutil.Error) as error:
        return f"its process unable to look for others: {error}"
    return f"{count} processes running, which were killed" if count else ""


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
