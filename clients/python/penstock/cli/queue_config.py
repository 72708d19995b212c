"""Changes some of what operators set on a queue and keeps the rest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import grpc

from penstock.cli.rpc import Server
from penstock.cli.spec import set_number
from penstock.v1.queue_pb2 import Queue
from penstock.v1.queue_service_pb2 import GetQueueRequest, UpdateQueueRequest


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
    if description is not None:
        request.config.description = description
    for name, number in numbers.items():
        if number is not None:
            option = f"--{name.replace('_', '-')}"
            set_number(request.config.retry_policy, name, number, option)
    for path, value in spans.items():
        if value is not None:
            _field(request.config, path).FromTimedelta(value)
    return request


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
