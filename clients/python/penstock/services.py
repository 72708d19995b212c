"""Queues, workers and namespaces: what operators look at and set.

These answer the contract's messages (`penstock.v1`) as they are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import timedelta

from google.protobuf.field_mask_pb2 import FieldMask

from penstock.errors import NamespaceNotFound, PenstockError
from penstock.pages import Pages
from penstock.spec import RetryPolicy, Timeouts
from penstock.transport import Transport
from penstock.v1 import namespace_pb2, queue_pb2, worker_pb2
from penstock.v1 import namespace_service_pb2 as namespaces_pb
from penstock.v1 import queue_service_pb2 as queues_pb
from penstock.v1 import worker_service_pb2 as workers_pb


class Queues:
    """The queues of the client's namespace."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._namespace = transport.options.namespace

    async def get(self, queue: str) -> queue_pb2.Queue:
        """One queue with what is in it. Raises QueueNotFound."""
        request = queues_pb.GetQueueRequest(namespace=self._namespace, queue=queue)
        return (await self._transport.call(self._transport.queues.GetQueue, request)).queue

    async def list(self) -> AsyncGenerator[queue_pb2.Queue, None]:
        """Every queue, by name; pages are fetched as they are needed."""
        request = queues_pb.ListQueuesRequest(namespace=self._namespace)
        async for page in Pages(self._transport, self._transport.queues.ListQueues, request):
            for queue in page.queues:
                yield queue

    async def update(
        self,
        queue: str,
        *,
        description: str | None = None,
        lease_duration: timedelta | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        retention: timedelta | None = None,
        reset: Sequence[str] = (),
        etag: str = "",
    ) -> queue_pb2.Queue:
        """Sets what is given, and makes the queue if need be.

        The fields named in `reset` (as in QueueConfig) go back to their defaults. Raises
        EtagMismatch if `etag` is given and old.
        """
        values = {
            "description": description,
            "lease_duration": lease_duration,
            "retry_policy": retry.pb if retry else None,
            "timeouts": timeouts.pb if timeouts else None,
            "retention": retention,
        }
        request = queues_pb.UpdateQueueRequest(
            namespace=self._namespace,
            queue=queue,
            config=queue_pb2.QueueConfig(**values),  # type: ignore[arg-type] # fits by name
            update_mask=mask(values, reset),
            etag=etag,
        )
        return (await self._transport.call(self._transport.queues.UpdateQueue, request)).queue

    async def pause(self, queue: str, *, reason: str = "") -> queue_pb2.Queue:
        """Stops leasing from the queue; what runs goes on and submits are taken."""
        request = queues_pb.PauseQueueRequest(namespace=self._namespace, queue=queue, reason=reason)
        return (await self._transport.call(self._transport.queues.PauseQueue, request)).queue

    async def resume(self, queue: str) -> queue_pb2.Queue:
        """Starts leasing from the queue again. Raises QueueNotFound."""
        request = queues_pb.ResumeQueueRequest(namespace=self._namespace, queue=queue)
        return (await self._transport.call(self._transport.queues.ResumeQueue, request)).queue

    async def purge(self, queue: str) -> int:
        """Cancels every task that waits now, and answers how many. Raises QueueNotFound."""
        request = queues_pb.PurgeQueueRequest(namespace=self._namespace, queue=queue)
        return (await self._transport.call(self._transport.queues.PurgeQueue, request)).task_count

    async def peek(self, queue: str, *, limit: int = 10) -> queues_pb.PeekQueueResponse:
        """The first tasks that wait, run or are dead: `limit` (1 to 100) of each, no payloads."""
        request = queues_pb.PeekQueueRequest(namespace=self._namespace, queue=queue, limit=limit)
        return await self._transport.call(self._transport.queues.PeekQueue, request)


class Workers:
    """The worker sessions of the client's namespace."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._namespace = transport.options.namespace

    async def list(self, *, queue: str = "") -> AsyncGenerator[worker_pb2.Worker, None]:
        """Sessions heard of in the last minutes, newest first; `queue`: those that poll it."""
        request = workers_pb.ListWorkersRequest(namespace=self._namespace, queue=queue)
        async for page in Pages(self._transport, self._transport.workers.ListWorkers, request):
            for worker in page.workers:
                yield worker

    async def drain(self, session_id: str, *, reason: str = "") -> worker_pb2.Worker:
        """Tells a session to lease nothing more. Raises WorkerNotFound."""
        request = workers_pb.DrainWorkerRequest(
            namespace=self._namespace, session_id=session_id, reason=reason
        )
        return (await self._transport.call(self._transport.workers.DrainWorker, request)).worker


class Namespaces:
    """The namespaces of the server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def create(
        self, namespace: str, *, description: str = "", labels: Mapping[str, str] | None = None
    ) -> namespace_pb2.Namespace:
        """Makes a namespace. Never repeated by itself. Raises NamespaceAlreadyExists."""
        made = namespace_pb2.Namespace(namespace=namespace, description=description, labels=labels)
        request = namespaces_pb.CreateNamespaceRequest(namespace=made)
        method = self._transport.namespaces.CreateNamespace
        return (await self._transport.call(method, request, repeatable=False)).namespace

    async def get(self, namespace: str) -> namespace_pb2.Namespace:
        """One namespace. Raises NamespaceNotFound."""
        request = namespaces_pb.GetNamespaceRequest(namespace=namespace)
        method = self._transport.namespaces.GetNamespace
        return (await self._transport.call(method, request)).namespace

    async def list(self) -> AsyncGenerator[namespace_pb2.Namespace, None]:
        """The namespaces that the caller may see, by name."""
        method = self._transport.namespaces.ListNamespaces
        async for page in Pages(self._transport, method, namespaces_pb.ListNamespacesRequest()):
            for namespace in page.namespaces:
                yield namespace

    async def update(
        self,
        namespace: str,
        *,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        etag: str = "",
    ) -> namespace_pb2.Namespace:
        """Sets what is given. Raises NamespaceNotFound, EtagMismatch."""
        changed = namespace_pb2.Namespace(
            namespace=namespace, description=description or "", labels=labels, etag=etag
        )
        request = namespaces_pb.UpdateNamespaceRequest(
            namespace=changed,
            update_mask=mask({"description": description, "labels": labels}),
        )
        method = self._transport.namespaces.UpdateNamespace
        return (await self._transport.call(method, request)).namespace

    async def delete(self, namespace: str) -> None:
        """Removes a namespace without tasks. Raises NamespaceNotFound, NamespaceNotEmpty."""
        await self._transport.call(
            self._transport.namespaces.DeleteNamespace,
            namespaces_pb.DeleteNamespaceRequest(namespace=namespace),
            on_repeat=_already_deleted,
        )


def _already_deleted(error: PenstockError) -> namespaces_pb.DeleteNamespaceResponse | None:
    """A repeat that finds nothing: the first call took effect and its reply was lost."""
    if isinstance(error, NamespaceNotFound):
        return namespaces_pb.DeleteNamespaceResponse()
    return None


def mask(values: Mapping[str, object], more: Sequence[str] = ()) -> FieldMask:
    """The fields that are given. Never empty of meaning: a falsy value that is given is set."""
    return FieldMask(paths=[name for name, value in values.items() if value is not None] + [*more])
