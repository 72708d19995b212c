"""Tells metrics and traces of leases.

A span is built when a task is leased: then all is known of what went before, its earlier executions
and waits, also if their worker died.
"""

from collections.abc import Sequence
from typing import Final

from penstock.v1.worker_pb2 import Lease
from penstock_server.engine.dispatch import Delivery
from penstock_server.model.lifecycle import Outcome
from penstock_server.model.records import LeaseRecord
from penstock_server.telemetry.metrics import Metrics
from penstock_server.telemetry.tracing import Tracing

_AS_MEANT: Final = frozenset({Outcome.SUCCEEDED, Outcome.CANCELLED, Outcome.RELEASED})
"""Outcomes that are no error: what follows them was asked for."""


class LeaseObserver:
    """Counts leases on their way out, and builds the server's own spans of sampled tasks."""

    def __init__(self, metrics: Metrics, tracing: Tracing) -> None:
        self._metrics = metrics
        self._tracing = tracing

    def leased(
        self, namespace: str, delivery: Delivery, leases: Sequence[Lease], worker: str
    ) -> None:
        """Counts leases and how long their tasks waited, and tells the traces of sampled ones."""
        queue, now_ms = delivery.queue, delivery.now_ms
        self._metrics.leased.labels(namespace, queue).inc(len(leases))
        waits = self._metrics.queue_wait.labels(namespace, queue)
        for record in delivery.leases:
            waits.observe(max(0, now_ms - _ready_ms(record)) / 1000)
        if self._tracing.enabled:
            for record, lease in zip(delivery.leases, leases, strict=True):
                if lease.spec.HasField("trace_context"):
                    self._trace(namespace, queue, record, lease, now_ms, worker)

    def _trace(
        self,
        namespace: str,
        queue: str,
        record: LeaseRecord,
        lease: Lease,
        now_ms: int,
        worker: str,
    ) -> None:
        traceparent = lease.spec.trace_context.traceparent
        before = record.previous
        ready_ms = _ready_ms(record)
        if before is not None:
            self._tracing.lease(
                traceparent,
                namespace=namespace,
                queue=queue,
                task_id=record.task_id,
                execution=before.number,
                worker=before.session_id,
                outcome=(before.outcome or Outcome.LOST).name.lower(),
                start_ms=before.start_ms,
                end_ms=before.end_ms,
                failed=before.outcome not in _AS_MEANT,
            )
            self._tracing.retry_wait(
                traceparent,
                namespace=namespace,
                queue=queue,
                task_id=record.task_id,
                attempt=before.attempt,
                start_ms=before.end_ms,
                end_ms=ready_ms,
            )
        self._tracing.queue_wait(
            traceparent,
            namespace=namespace,
            queue=queue,
            task_id=record.task_id,
            start_ms=ready_ms,
            end_ms=now_ms,
        )


def _ready_ms(record: LeaseRecord) -> int:
    """When the task became ready: a lost or released one keeps its old time to run."""
    before = record.previous
    return record.due_ms if before is None else max(record.due_ms, before.end_ms)
