"""Tells metrics and traces of leases.

Spans are built when a task is leased: then all is known of what went before, its earlier executions
and waits, also if their worker died. Only where a task ends with the loss of its worker no lease
follows, and its span is built then.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from penstock.v1.task_pb2 import TaskSpec
from penstock.v1.worker_pb2 import Lease
from penstock_server.engine.background import Background
from penstock_server.engine.dispatch import Delivery
from penstock_server.model.lifecycle import Outcome
from penstock_server.model.records import ExecutionRecord, LeaseRecord
from penstock_server.store.leases import Reaped
from penstock_server.store.tasks import TaskStore
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
        # Tasks that came together became ready together: few waits, each of many tasks.
        waits: Counter[int] = Counter()
        for ready_ms, count in Counter(map(_ready_ms, delivery.leases)).items():
            waits[max(0, now_ms - ready_ms)] += count
        self._metrics.queue_wait.observe(
            (namespace, queue), {ms / 1000: count for ms, count in waits.items()}
        )
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
            _tell_lease(self._tracing, traceparent, namespace, queue, record.task_id, before)
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


class LossObserver:
    """Tells the traces of tasks that end because their worker was lost."""

    def __init__(self, tasks: TaskStore, tracing: Tracing, background: Background) -> None:
        self._tasks = tasks
        self._tracing = tracing
        self._background = background

    def reaped(self, execution: Reaped) -> None:
        """The server ended an execution. If its task has ended with it, no lease will tell."""
        if self._tracing.enabled:
            self._background.spawn(self._tell(execution))

    async def _tell(self, execution: Reaped) -> None:
        (task,) = await self._tasks.read(execution.namespace, [execution.task_id])
        if task is None or not task.state.ended or task.spec is None:
            return
        last = task.last_execution
        if last is not None and last.outcome is execution.outcome:
            traceparent = TaskSpec.FromString(task.spec).trace_context.traceparent
            _tell_lease(self._tracing, traceparent, task.namespace, task.queue, task.task_id, last)


def _tell_lease(
    tracing: Tracing,
    traceparent: str,
    namespace: str,
    queue: str,
    task_id: str,
    execution: ExecutionRecord,
) -> None:
    tracing.lease(
        traceparent,
        namespace=namespace,
        queue=queue,
        task_id=task_id,
        execution=execution.number,
        worker=execution.session_id,
        outcome=(execution.outcome or Outcome.LOST).name.lower(),
        start_ms=execution.start_ms,
        end_ms=execution.end_ms,
        failed=execution.outcome not in _AS_MEANT,
    )


def _ready_ms(record: LeaseRecord) -> int:
    """When the task became ready: a lost or released one keeps its old time to run."""
    before, due_ms = record.previous, record.kind.due_ms
    return due_ms if before is None else max(due_ms, before.end_ms)
