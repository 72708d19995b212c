"""Changes some of what operators set on a queue or a task type and keeps the rest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import grpc

from penstock.cli.rpc import Server
from penstock.cli.spec import set_number
from penstock.v1.queue_pb2 import Queue, QueueConfig
from penstock.v1.queue_service_pb2 import GetQueueRequest, UpdateQueueRequest
from penstock.v1.task_type_pb2 import TaskTypeConfig


def changed(
    server: Server,
    namespace: str,
    queue: str,
    description: str | None,
    numbers: Mapping[str, int | None],
    spans: Mapping[str, timedelta | None],
) -> UpdateQueueRequest:
    """The update that sets what is not None. Its etag refuses it if somebody else was faster."""
    old = _current(server, namespace, queue)
    request = UpdateQueueRequest(namespace=namespace, queue=queue, config=old.config, etag=old.etag)
    request.update_mask.paths.append("*")
    set_config(request.config, description, numbers, spans)
    return request


def set_config(
    config: QueueConfig | TaskTypeConfig,
    description: str | None,
    numbers: Mapping[str, int | None],
    spans: Mapping[str, timedelta | None],
) -> None:
    """Sets what is not None: numbers of the retry policy, and spans by their path."""
    if description is not None:
        config.description = description
    for name, number in numbers.items():
        if number is not None:
            set_number(config.retry_policy, name, number, f"--{name.replace('_', '-')}")
    for path, value in spans.items():
        if value is not None:
            _field(config, path).FromTimedelta(value)


def _field(message: Any, path: str) -> Any:
    for name in path.split("."):
        message = getattr(message, name)
    return message


def _current(server: Server, namespace: str, queue: str) -> Queue:
    """The queue as it is; an empty one if there is none, because an update makes it."""
    try:
        return server.queues.GetQueue(GetQueueRequest(namespace=namespace, queue=queue)).queue
    except grpc.RpcError as error:
        if cast(Any, error).code() is grpc.StatusCode.NOT_FOUND:
            return Queue()
        raise
