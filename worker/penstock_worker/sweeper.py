"""Looks at every execution a few times a second: what is due is done.

One timer for all instead of several for each: an execution that ends in milliseconds never costs
one. Spans shorter than the interval are kept to the interval's precision.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Final

import structlog

from penstock_worker import events
from penstock_worker.held import Held
from penstock_worker.supervisor import TERM_GRACE, Supervisor

INTERVAL: Final = 0.05
IDLE_INTERVAL: Final = 0.25
# After receipt, before an accept of its own: most executions end sooner, and an ending accepts.
ACCEPT_AFTER: Final = 0.05
LINES_INTERVAL: Final = 0.2
# How long an ending is offered to servers that do not answer.
ENDING_PATIENCE: Final = 3600.0

log = structlog.stdlib.get_logger("penstock_worker")


class Sweeper:
    """Renews, accepts, times out, expires and kills, each when it is due."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._table = supervisor.table

    async def run(self) -> None:
        """Sweeps until it is cancelled."""
        while True:
            await asyncio.sleep(INTERVAL if self._table else IDLE_INTERVAL)
            self.run_once(time.monotonic())

    def run_once(self, now: float) -> None:
        """Does everything that is due at `now`."""
        due = [
            held
            for held in list(self._table.by_token.values())
            if self._is_kept(held, now) and self._is_renewal_due(held, now)
        ]
        if due:
            self._supervisor.reporter.renew(due)
        for held in list(self._table.by_id.values()):
            self._look(held, now)
        self._supervisor.crew.ping(now)

    # ---- the lease ----

    def _is_kept(self, held: Held, now: float) -> bool:
        """Stops the handler of a lease whose time is over; answers whether it is held on to.

        By its own count the worker must stop. Whether the lease is over the server alone knows,
        which takes nothing away for a term after an outage: so renewals and the ending are offered
        until it answers.
        """
        if now < held.expire_time:
            return True
        if held.item is None:
            self._supervisor.expire(held)
            return True
        if now < held.expire_time + ENDING_PATIENCE:
            return True
        log.warning(events.ENDING_DROPPED, task_id=held.task_id, execution=held.execution)
        self._supervisor.lose(held)
        return False

    @staticmethod
    def _is_renewal_due(held: Held, now: float) -> bool:
        return held.accepted and held.item is None and not held.in_flight and now >= held.renew_time

    # ---- the handler ----

    def _look(self, held: Held, now: float) -> None:
        if held.stop is not None:
            self._press(held, now)
        elif held.deadline is not None and now >= held.deadline:
            self._supervisor.time_out(held, "start_to_close")
        elif held.heartbeat is not None and now - held.beat_time >= held.heartbeat:
            self._supervisor.time_out(held, "heartbeat")
        elif held.memory_limit is not None:
            self._supervisor.look_at_memory(held)
        if held.item is None and not held.in_flight and self._has_news(held, now):
            self._supervisor.reporter.touch(held)

    def _has_news(self, held: Held, now: float) -> bool:
        if held.token not in self._table.by_token:
            return False
        if not held.accepted:
            return now - held.start_time >= ACCEPT_AFTER
        if held.lines and now >= held.lines_time + LINES_INTERVAL:
            return True
        return held.progress is not None and now >= held.progress_time + held.progress_interval

    def _press(self, held: Held, now: float) -> None:
        """Goes on with a stop: signals an isolated runner, reports without a deaf handler."""
        if held.is_isolated and held.kill_time is not None and now >= held.kill_time:
            self._kill(held, now)
        if held.report_time is not None and now >= held.report_time:
            held.report_time = None
            self._supervisor.report_without(held, "the handler did not stop within its grace")
        if held.warn_time is not None and now >= held.warn_time:
            held.warn_time = None
            self._warn(held)

    @staticmethod
    def _warn(held: Held) -> None:
        log.warning(
            events.HANDLER_UNSTOPPABLE,
            task_id=held.task_id,
            task_type=held.task_type,
            stop=held.stop.value if held.stop else "",
        )

    def _kill(self, held: Held, now: float) -> None:
        if held.runner is None:
            return
        if held.was_terminated:
            held.runner.kill(signal.SIGKILL)
            held.kill_time = None
        else:
            held.runner.kill(signal.SIGTERM)
            held.was_terminated = True
            held.kill_time = now + TERM_GRACE
