"""Task types."""

from collections.abc import Sequence

from penstock.v1.task_type_pb2 import TaskType, TaskTypeConfig
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


def merged_config(known: bytes, given: TaskTypeConfig, paths: Sequence[str]) -> TaskTypeConfig:
    """The config after an update with a mask; an empty mask takes the fields that are set."""
    config = TaskTypeConfig.FromString(known)
    if "*" in paths:
        return given
    set_fields = {field.name: value for field, value in given.ListFields()}
    for name in paths or set_fields:
        config.ClearField(name)  # type: ignore[arg-type]  # validated names
        if name in ("description", "priority"):
            if name in set_fields:
                setattr(config, name, set_fields[name])
        elif name in set_fields:
            getattr(config, name).CopyFrom(set_fields[name])
    return config
