"""Queues and namespaces."""

from collections.abc import Sequence

from penstock.v1 import queue_pb2
from penstock.v1.namespace_pb2 import Namespace
from penstock_server.engine.queues import QueueView
from penstock_server.model.records import NamespaceRecord
from penstock_server.service.convert.times import set_span, set_time


def queue(view: QueueView) -> queue_pb2.Queue:
    """A queue with what is in it and how it is doing."""
    record = view.record
    message = queue_pb2.Queue(
        namespace=record.namespace,
        queue=record.queue,
        paused=record.paused,
        pause_reason=record.pause_reason,
        etag=f"{record.version:x}",
    )
    message.config.MergeFromString(record.config)
    message.config.SetInParent()
    _set_stats(message.stats, view)
    set_time(message.create_time, record.create_ms)
    if record.paused:
        message.health = queue_pb2.QUEUE_HEALTH_PAUSED
        message.health_reason = (
            f"paused: {record.pause_reason}" if record.pause_reason else "paused"
        )
    elif view.stopped and record.ready:
        message.health = queue_pb2.QUEUE_HEALTH_STOPPED
        message.health_reason = view.stopped
    elif view.unserved:
        message.health = queue_pb2.QUEUE_HEALTH_UNSERVED
        message.health_reason = view.unserved
    else:
        message.health = queue_pb2.QUEUE_HEALTH_HEALTHY
    return message


def _set_stats(stats: queue_pb2.QueueStats, view: QueueView) -> None:
    record = view.record
    stats.ready_count = record.ready
    stats.scheduled_count = record.scheduled
    stats.running_count = record.running
    stats.dead_count = record.dead
    stats.worker_count = view.workers
    for task_type in sorted(record.ready_by_type)[:1000]:
        stats.ready_by_type[task_type] = record.ready_by_type[task_type]
    if record.ready and record.oldest_ready_ms:
        set_span(stats.oldest_ready_age, max(0, record.now_ms - record.oldest_ready_ms))


def namespace(record: NamespaceRecord) -> Namespace:
    """A namespace."""
    message = Namespace.FromString(record.data)
    message.namespace = record.namespace
    message.etag = f"{record.version:x}"
    set_time(message.create_time, record.create_ms)
    set_time(message.update_time, record.update_ms)
    return message


def namespace_data(given: Namespace) -> bytes:
    """What of a namespace is kept as it was given."""
    return Namespace(description=given.description, labels=given.labels).SerializeToString()


def merged_namespace(known: bytes, given: Namespace, paths: Sequence[str]) -> bytes:
    """The data after an update with a mask; an empty mask takes the fields that are set."""
    merged = Namespace.FromString(known)
    everything = "*" in paths
    if everything or "description" in paths or (not paths and given.description):
        merged.description = given.description
    if everything or "labels" in paths or (not paths and given.labels):
        merged.labels.clear()
        merged.labels.update(given.labels)
    return merged.SerializeToString()
