"""Task types."""

from penstock.v1.task_type_pb2 import TaskType
from penstock_server.model.records import TaskTypeRecord
from penstock_server.service.convert.times import set_time


def task_type(record: TaskTypeRecord) -> TaskType:
    """A type with what operators set."""
    message = TaskType(
        namespace=record.namespace, task_type=record.task_type, etag=f"{record.version:x}"
    )
    message.config.MergeFromString(record.config)
    message.config.SetInParent()
    set_time(message.create_time, record.create_ms)
    set_time(message.update_time, record.update_ms)
    return message
