"""Holds the leases: takes what polls bring, hands it to runners, reports how it ended.

One event loop, one process, no user code (but in inline mode). Everything here is done for many
executions at a time; nothing makes a task or a future for a single one.
"""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import structlog

from penstock.v1 import task_pb2, worker_pb2
from penstock.v1 import worker_service_pb2 as pb
from penstock_worker import endings, events, frames
from penstock_worker.capacity import Capacity
from penstock_worker.crew import Crew
from penstock_worker.endings import Ending
from penstock_worker.frames import Record
from penstock_worker.held import PROGRESS_INTERVAL, Held, HeldTable, Stop
from penstock_worker.metrics import Metrics
from penstock_worker.poller import Poller
from penstock_worker.registry import HandlerInfo
from penstock_worker.reporter import Reporter
from penstock_worker.runners import ChildRunner, Runner
from penstock_worker.tracing import Tracing

log = structlog.stdlib.get_logger("penstock_worker")

DEFAULT_GRACE: Final = 10.0
# Between telling an isolated handler to stop and the first signal: a cancel has to reach plain
# user code in under a second.
NOTICE: Final = 0.5
# Between SIGTERM and SIGKILL.
TERM_GRACE: Final = 2.0
# A handler that is told to stop because its time is over has so long to end with a stack trace.
TIMEOUT_NOTICE: Final = 0.2
# So many log lines do not wait for others.
LINES_AT_ONCE: Final = 200


class Wishes(Protocol):
    """What the server may ask of the whole worker."""

    def drain(self, reason: str) -> None:
        """Stop leasing; finish or release what runs; end."""

    def reconnect(self, reason: str) -> None:
        """Make a new connection."""


class Supervisor:
    """The executions of a worker, between the server and the runners."""

    def __init__(
        self,
        capacity: Capacity,
        metrics: Metrics,
        tracing: Tracing,
        wishes: Wishes,
    ) -> None:
        self.table = HeldTable()
        self.capacity = capacity
        self.metrics = metrics
        self._tracing = tracing
        self._wishes = wishes
        self._ids = itertools.count(1)
        self._handlers: Mapping[str, HandlerInfo] = {}
        self._acks: dict[str, None] = {}
        self._waiting: list[tuple[Held, worker_pb2.Lease, str]] = []
        self.crew: Crew
        self.reporter: Reporter
        self.poller: Poller
        self._has_poller = False

    def connect(self, reporter: Reporter, poller: Poller) -> None:
        """Gives the supervisor its two ways to the server."""
        self.reporter, self.poller = reporter, poller
        self._has_poller = True

    def serve(self, handlers: Mapping[str, HandlerInfo]) -> None:
        """Says which types there are."""
        self._handlers = handlers
        self.capacity.serve(handlers.values())

    # ---- from the server ----

    def on_polled(self, response: pb.LeaseTasksResponse, sent: float) -> None:
        """Takes the answer to a poll.

        A poll waits on the server, so its leases are younger than the call. Their first term is
        counted from receipt; the accept that follows at once says whether it still held.
        """
        if response.leases:
            self._admit(response.leases, time.monotonic(), sent)
        if response.directives:
            self._follow(response.directives)

    def on_answer(self, response: pb.ReportExecutionsResponse, sent: float) -> None:
        """Takes the leases and directives of an answer to a report."""
        if response.leases:
            self._admit(response.leases, sent, sent)
        if response.directives:
            self._follow(response.directives)
        # While others go on, they ask for what is free; not for more than their shares, though.
        if not self.reporter.goes_on or self.capacity.more_waiting:
            self.poller.look_again()

    def acknowledged(self) -> list[str]:
        """Answers the directives that need not come again."""
        return list(itertools.islice(self._acks, 1000))

    def on_acknowledged(self, directive_ids: list[str]) -> None:
        """Forgets acknowledgements that the server has."""
        for directive_id in directive_ids:
            self._acks.pop(directive_id, None)

    def _follow(self, directives: Iterable[worker_pb2.Directive]) -> None:
        for directive in directives:
            if directive.directive_id in self._acks:
                continue
            self._acks[directive.directive_id] = None
            kind = directive.WhichOneof("directive")
            if kind == "cancel":
                held = self.table.by_token.get(directive.cancel.lease_token)
                if held is not None and held.stop is None:
                    grace = directive.cancel.grace
                    self.cancel(held, grace.seconds + grace.nanos / 1e9)
            elif kind == "drain":
                self._wishes.drain(directive.drain.reason)
            elif kind == "reconnect":
                self._wishes.reconnect(directive.reconnect.reason)

    # ---- admission ----

    def _admit(self, leases: Iterable[worker_pb2.Lease], since: float, sent: float) -> None:
        now = time.monotonic()
        link = self._tracing.received(leases, time.time() - (now - sent))
        for lease in leases:
            spec = lease.spec  # read once: each read of a message's field makes an object
            held = self._hold(lease, spec, since, now)
            info = self._handlers.get(held.task_type)
            if info is None:
                text = f"no handler for {held.task_type!r}"
                self._settle_unstarted(held, endings.released(endings.UNSUPPORTED_TYPE, text))
            elif not self.capacity.open:
                text = "the worker drains"
                self._settle_unstarted(held, endings.released(endings.SHUTDOWN, text))
            else:
                held.is_isolated = info.isolated
                self._limit(held, spec, info)
                self.capacity.started(isolated=info.isolated)
                self._start(held, lease, self._tracing.begin(held, lease, link))

    def _hold(
        self, lease: worker_pb2.Lease, spec: task_pb2.TaskSpec, since: float, now: float
    ) -> Held:
        first = lease.accept_within
        held = Held(next(self._ids), lease.lease_token, lease.term.seconds, now)
        held.task_id = lease.task_id
        held.execution = lease.execution
        held.task_type = spec.task_type
        held.queue = spec.queue
        held.expire_time = since + first.seconds + first.nanos / 1e9
        # Long enough after receipt that most executions end before they need a word of their own.
        held.renew_time = held.start_time
        self.table.add(held)
        return held

    def _limit(self, held: Held, spec: task_pb2.TaskSpec, info: HandlerInfo) -> None:
        timeout, heartbeat = info.timeout, info.heartbeat_timeout
        held.memory_limit = info.memory_limit
        if spec.HasField("timeouts"):
            timeouts = spec.timeouts
            if timeouts.HasField("start_to_close"):
                timeout = timeouts.start_to_close.ToNanoseconds() / 1e9
            if timeouts.HasField("heartbeat"):
                heartbeat = timeouts.heartbeat.ToNanoseconds() / 1e9
        if timeout is not None:
            held.deadline = held.start_time + timeout
        if heartbeat is not None:
            held.heartbeat = heartbeat
            # The server counts the handler's silence between reports of progress.
            held.progress_interval = min(PROGRESS_INTERVAL, heartbeat / 3)
        if spec.HasField("cancel_grace"):
            held.grace = spec.cancel_grace.ToNanoseconds() / 1e9

    def _start(self, held: Held, lease: worker_pb2.Lease, traceparent: str) -> None:
        # The token stays here: whoever has it can end the execution.
        lease.lease_token = ""
        if held.is_isolated:
            self.crew.start_isolated(held, lease, held.deadline, traceparent)
            return
        runner = self.crew.shared()
        if runner is None:  # it died while the call was under way; its successor comes soon
            self._waiting.append((held, lease, traceparent))
            return
        held.runner = runner
        runner.start(held, lease, held.deadline, traceparent)

    def _settle_unstarted(self, held: Held, ending: Ending) -> None:
        self.table.by_id.pop(held.id, None)
        held.running = False
        held.outcome, held.item = ending
        self.reporter.touch(held)

    # ---- from runners ----

    def on_records(self, runner: Runner, records: list[Record]) -> None:
        """Takes what a runner says."""
        by_id = self.table.by_id
        for record in records:
            kind = record[0]
            held = by_id.get(record[1])
            if kind == frames.END:
                if held is not None:
                    self._on_end(runner, held, record)
            elif kind == frames.PONG:
                runner.pong_time = time.monotonic()
            elif held is None:
                continue  # of an execution that is over
            elif kind == frames.LINE:
                self.on_line(held, record[2:])
            elif kind == frames.PROGRESS:
                self._on_progress(held, record[2])

    def _on_end(self, runner: Runner, held: Held, record: Record) -> None:
        _, _, outcome, item, left = record
        if runner.is_isolated and isinstance(runner, ChildRunner):
            self.crew.settle_output(runner)
        runner.finished(held)
        self._free(held)
        if held.item is None and held.token in self.table.by_token:
            self._end(held, endings.from_handler(held, outcome, item))
        if runner.is_isolated and isinstance(runner, ChildRunner):
            self.crew.recycle(runner, left)

    def _end(self, held: Held, ending: Ending) -> None:
        """Reports how an execution ended; its handler may still run."""
        outcome, item = held.outcome, held.item = ending
        seconds = time.monotonic() - held.start_time
        self.metrics.ended(held.queue, held.task_type, outcome, seconds)
        if held.span is not None:
            kind = "" if outcome == endings.SUCCEEDED else endings.kind_of(item)
            self._tracing.end(held, outcome, kind)
        self.reporter.touch(held)

    def _free(self, held: Held) -> None:
        """Gives the slot back: the handler has ended or its process is gone."""
        if self.table.by_id.pop(held.id, None) is not None:
            held.running = False
            self.capacity.ended(isolated=held.is_isolated)
            if held.token not in self.table.by_token:
                self.poller.reconsider()

    def on_line(self, held: Held, line: tuple[int, int, str, str, str]) -> None:
        """Takes a log line; it travels with the next report, a fraction of a second later."""
        if held.token in self.table.by_token and held.item is None:
            held.add_line(*line)
            if len(held.lines) == 1:
                held.lines_time = time.monotonic()
            elif len(held.lines) == LINES_AT_ONCE:
                self.reporter.touch(held)

    def _on_progress(self, held: Held, progress: bytes) -> None:
        now = time.monotonic()
        held.beat_time = now
        held.progress = progress
        if now - held.progress_time >= held.progress_interval:
            self.reporter.touch(held)

    def on_not_started(self, held: Held, why: str) -> None:
        """Gives back an execution that no process could be had for."""
        self._free(held)
        if held.token in self.table.by_token and held.item is None:
            if held.stop is None:
                self._end(held, endings.released(endings.NO_RESOURCES, why))
            else:
                self._end(held, endings.without_handler(held, why))

    def on_ready(self) -> None:
        """Hands out what waited for a runner, and asks for more."""
        self.capacity.shared_ready = self.crew.is_ready
        waiting, self._waiting = self._waiting, []
        for held, lease, traceparent in waiting:
            if held.id in self.table.by_id:
                self._start(held, lease, traceparent)
        if self._has_poller:  # not while the first runners start
            self.poller.reconsider()

    def on_death(self, runner: Runner, how: str, *, was_ready: bool, was_asked: bool) -> None:
        """Ends the executions of a runner that has died."""
        self.capacity.shared_ready = self.crew.is_ready
        self.metrics.runner_deaths += not was_asked
        for held in list(runner.executions.values()):
            if not was_ready:
                self.on_not_started(held, f"the process for its handler {how} while it loaded")
                continue
            self._free(held)
            if held.item is None and held.token in self.table.by_token:
                self._end(held, endings.crashed(held, how))

    # ---- from the reporter ----

    def on_settled(self, held: Held) -> None:
        """Forgets a lease whose ending the server has."""
        self.table.by_token.pop(held.token, None)
        self.reporter.forget(held)

    def on_lost(self, held: Held) -> None:
        """Drops the work of a lease that is over, and stops its handler."""
        log.warning(
            events.LEASE_LOST,
            task_id=held.task_id,
            execution=held.execution,
            ended=not held.running,
        )
        self.lose(held)

    def expire(self, held: Held) -> None:
        """Stops the handler of a lease that ran out by this worker's own count.

        Once the handler has ended, its success or the lease is offered to the server, which may
        not have taken it away. A handler that does not end keeps it.
        """
        if held.stop is None:
            log.warning(events.LEASE_EXPIRED, task_id=held.task_id, execution=held.execution)
            self.stop(held, Stop.LOST, grace=0.0)
            held.report_time = None

    def lose(self, held: Held) -> None:
        """Drops a lease that is over and stops its handler."""
        self.metrics.leases_lost += 1
        self.on_settled(held)
        if held.span is not None:
            self._tracing.end(held, endings.LOST, "penstock_worker.LeaseLost")
        if held.running and held.stop is not Stop.LOST:
            self.stop(held, Stop.LOST, grace=0.0)

    def on_cancel_requested(self, held: Held) -> None:
        """Cancels an execution that a report's answer says is to stop."""
        self.cancel(held, held.grace)

    # ---- stopping ----

    def cancel(self, held: Held, grace: float) -> None:
        """Stops an execution whose task is to be cancelled."""
        if held.item is None:
            self.stop(held, Stop.CANCEL, grace=grace)

    def time_out(self, held: Held, name: str) -> None:
        """Stops an execution whose time is over."""
        held.timeout_name = name
        self.stop(held, Stop.TIMEOUT, grace=TIMEOUT_NOTICE)

    def stop(self, held: Held, why: Stop, *, grace: float) -> None:
        """Tells a handler to stop.

        After `grace` its ending is reported without it. An isolated one is signalled sooner, so
        that its report can say that it is gone.
        """
        now = time.monotonic()
        held.stop = why
        held.report_time = now + grace
        held.warn_time = now + max(grace, held.grace)
        held.kill_time = now + min(NOTICE, max(grace, TIMEOUT_NOTICE))
        if held.runner is not None:
            held.runner.cancel(held, why.value)

    def look_at_memory(self, held: Held) -> None:
        """Kills an isolated execution whose process holds more than its handler may."""
        runner, limit = held.runner, held.memory_limit
        if not isinstance(runner, ChildRunner) or limit is None:
            return
        resident = runner.resident_bytes()
        if resident > limit:
            held.stop = Stop.MEMORY
            held.memory_text = (
                f"the process of the handler held {resident} bytes;"
                f" its memory_limit is {limit} bytes"
            )
            runner.kill(signal.SIGKILL)

    def report_without(self, held: Held, note: str) -> None:
        """Reports an execution that was told to stop without waiting for its handler."""
        if held.item is None and held.token in self.table.by_token:
            self._end(held, endings.without_handler(held, note))

    def release_all(self) -> None:
        """Gives back everything that still runs, and tells the handlers to stop."""
        for held in list(self.table.by_id.values()):
            if held.item is None and held.token in self.table.by_token:
                text = "the worker shut down before the handler had ended"
                self._end(held, endings.released(endings.SHUTDOWN, text))
            if held.stop is None:
                self.stop(held, Stop.SHUTDOWN, grace=0.0)
