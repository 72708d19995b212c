"""Reads lists to their end, page by page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from penstock.cli.rpc import Server
from penstock.pages import PAGE_SIZE, ListRequest, ListResponse
from penstock.v1.namespace_pb2 import Namespace
from penstock.v1.namespace_service_pb2 import ListNamespacesRequest
from penstock.v1.queue_pb2 import Queue
from penstock.v1.queue_service_pb2 import ListQueuesRequest
from penstock.v1.task_type_pb2 import TaskType
from penstock.v1.task_type_service_pb2 import ListTaskTypesRequest
from penstock.v1.worker_pb2 import Worker
from penstock.v1.worker_service_pb2 import ListWorkersRequest

_Request = TypeVar("_Request", bound=ListRequest)
_Response = TypeVar("_Response", bound=ListResponse)


def all_queues(server: Server, namespace: str) -> list[Queue]:
    """Every queue of a namespace, by name."""
    pages = _pages(server.queues.ListQueues, ListQueuesRequest(namespace=namespace))
    return [queue for page in pages for queue in page.queues]


def all_task_types(server: Server, namespace: str) -> list[TaskType]:
    """Every task type of a namespace that has a record, by name."""
    pages = _pages(server.task_types.ListTaskTypes, ListTaskTypesRequest(namespace=namespace))
    return [task_type for page in pages for task_type in page.task_types]


def all_workers(server: Server, namespace: str, queue: str = "") -> list[Worker]:
    """Every worker session that was heard of lately, newest first; of one queue if it is named."""
    request = ListWorkersRequest(namespace=namespace, queue=queue)
    pages = _pages(server.workers.ListWorkers, request)
    return [worker for page in pages for worker in page.workers]


def all_namespaces(server: Server) -> list[Namespace]:
    """Every namespace that the caller may see, by name."""
    pages = _pages(server.namespaces.ListNamespaces, ListNamespacesRequest())
    return [namespace for page in pages for namespace in page.namespaces]


def _pages(call: Callable[[_Request], _Response], request: _Request) -> Iterator[_Response]:
    """The answers of a list method, up to the last one."""
    request.page_size = PAGE_SIZE
    while True:
        page = call(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
