"""Reads lists to their end, page by page."""

from __future__ import annotations

from typing import Final

from penstock.cli.rpc import Server
from penstock.v1.namespace_pb2 import Namespace
from penstock.v1.namespace_service_pb2 import ListNamespacesRequest
from penstock.v1.queue_pb2 import Queue
from penstock.v1.queue_service_pb2 import ListQueuesRequest
from penstock.v1.task_type_pb2 import TaskType
from penstock.v1.task_type_service_pb2 import ListTaskTypesRequest
from penstock.v1.worker_pb2 import Worker
from penstock.v1.worker_service_pb2 import ListWorkersRequest

#: Entries per page: few calls, and no answer near a message's largest size.
_PAGE: Final = 200


def all_queues(server: Server, namespace: str) -> list[Queue]:
    """Every queue of a namespace, by name."""
    found: list[Queue] = []
    request = ListQueuesRequest(namespace=namespace, page_size=_PAGE)
    while True:
        page = server.queues.ListQueues(request)
        found.extend(page.queues)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def all_task_types(server: Server, namespace: str) -> list[TaskType]:
    """Every task type of a namespace that has a record, by name."""
    found: list[TaskType] = []
    request = ListTaskTypesRequest(namespace=namespace, page_size=_PAGE)
    while True:
        page = server.task_types.ListTaskTypes(request)
        found.extend(page.task_types)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def all_workers(server: Server, namespace: str, queue: str = "") -> list[Worker]:
    """Every worker session that was heard of lately, newest first; of one queue if it is named."""
    found: list[Worker] = []
    request = ListWorkersRequest(namespace=namespace, queue=queue, page_size=_PAGE)
    while True:
        page = server.workers.ListWorkers(request)
        found.extend(page.workers)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def all_namespaces(server: Server) -> list[Namespace]:
    """Every namespace that the caller may see, by name."""
    found: list[Namespace] = []
    request = ListNamespacesRequest(page_size=_PAGE)
    while True:
        page = server.namespaces.ListNamespaces(request)
        found.extend(page.namespaces)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token
