"""Counts what the engine tells. Called on hot paths, so labelled children are kept."""

from collections.abc import Sequence
from typing import Any

from penstock_server.model.errors import PenstockError
from penstock_server.model.lifecycle import Outcome
from penstock_server.model.records import QueueRecord, Submitted, TaskDraft
from penstock_server.telemetry import events
from penstock_server.telemetry.logging import get_logger
from penstock_server.telemetry.metrics import Metrics

_log = get_logger(__name__)


class EngineObserver:
    """Hears of what happens in the engine, and puts it into numbers and log lines."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._submitted: dict[tuple[str, str], Any] = {}
        self._ended: dict[tuple[str, Outcome], Any] = {}
        self._unserved: set[tuple[str, str]] = set()

    def submitted(
        self,
        namespace: str,
        drafts: Sequence[TaskDraft],
        results: Sequence[Submitted | PenstockError],
    ) -> None:
        """Tasks were taken in or refused."""
        counts: dict[str, int] = {}
        for draft, result in zip(drafts, results, strict=True):
            if not isinstance(result, PenstockError) and not result.existing:
                counts[draft.queue] = counts.get(draft.queue, 0) + 1
        for queue, count in counts.items():
            counter = self._submitted.get((namespace, queue))
            if counter is None:
                counter = self._metrics.submitted.labels(namespace, queue)
                self._submitted[namespace, queue] = counter
            counter.inc(count)

    def ended(self, namespace: str, outcome: Outcome, count: int) -> None:
        """Executions ended by a report."""
        counter = self._ended.get((namespace, outcome))
        if counter is None:
            counter = self._metrics.executions_ended.labels(namespace, outcome.name.lower())
            self._ended[namespace, outcome] = counter
        counter.inc(count)

    def refused(self, count: int) -> None:
        """Reports named leases that were over."""
        self._metrics.reports_refused.inc(count)

    def reaped(self, namespace: str, queue: str, outcome: Outcome) -> None:
        """The server ended an execution by itself."""
        self.ended(namespace, outcome, 1)
        self._metrics.leases_expired.labels(namespace, queue).inc()
        _log.warning(
            events.LEASE_EXPIRED, namespace=namespace, queue=queue, outcome=outcome.name.lower()
        )

    def looked(self, queue: QueueRecord, *, unserved: bool) -> None:
        """A queue was looked at."""
        name = (queue.namespace, queue.queue)
        tasks = self._metrics.queue_tasks
        tasks.labels(*name, "ready").set(queue.ready)
        tasks.labels(*name, "scheduled").set(queue.scheduled)
        tasks.labels(*name, "running").set(queue.running)
        tasks.labels(*name, "dead").set(queue.dead)
        waited_ms = queue.now_ms - queue.oldest_ready_ms if queue.oldest_ready_ms else 0
        self._metrics.queue_oldest_age.labels(*name).set(max(0, waited_ms) / 1000)
        self._metrics.queue_unserved.labels(*name).set(int(unserved))
        self._tell_once(queue, unserved=unserved)

    def quarantined(self, partition: int, count: int) -> None:
        """Entries of a partition's event stream that nobody can read."""
        self._metrics.events_quarantined.labels(partition).set(count)

    def leasing_stopped(self, reason: str) -> None:
        """Nothing is leased from now on, and why; empty: leasing goes on."""
        self._metrics.leasing_stopped.set(int(bool(reason)))
        if reason:
            _log.error(events.LEASING_STOPPED, why=reason)
        else:
            _log.warning(events.LEASING_RESUMED)

    def _tell_once(self, queue: QueueRecord, *, unserved: bool) -> None:
        name = (queue.namespace, queue.queue)
        if not unserved:
            self._unserved.discard(name)
        elif name not in self._unserved:
            self._unserved.add(name)
            _log.warning(
                events.QUEUE_UNSERVED,
                namespace=queue.namespace,
                queue=queue.queue,
                ready=queue.ready,
            )
