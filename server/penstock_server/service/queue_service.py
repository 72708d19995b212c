"""QueueService: translate, call the engine, translate back."""

from typing import Any

from penstock.v1 import queue_service_pb2 as pb
from penstock.v1 import queue_service_pb2_grpc
from penstock.v1.queue_pb2 import QueueConfig
from penstock_server.engine.engine import Engine
from penstock_server.engine.queues import QueueConfigs
from penstock_server.model.errors import EtagMismatch
from penstock_server.service import validate
from penstock_server.service.convert import queue as convert
from penstock_server.service.convert import task as convert_task
from penstock_server.service.convert.masked import merged
from penstock_server.service.tokens import encode_page_token, name_before_page
from penstock_server.service.validate import Limits


class QueueService(queue_service_pb2_grpc.QueueServiceServicer):
    """For operators."""

    def __init__(self, engine: Engine, configs: QueueConfigs[QueueConfig], limits: Limits) -> None:
        self._engine = engine
        self._queues = engine.queues
        self._configs = configs
        self._limits = limits

    async def GetQueue(self, request: pb.GetQueueRequest, context: Any) -> pb.GetQueueResponse:
        validate.get_queue(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        return pb.GetQueueResponse(
            queue=convert.queue(await self._queues.get(namespace, request.queue))
        )

    async def ListQueues(
        self, request: pb.ListQueuesRequest, context: Any
    ) -> pb.ListQueuesResponse:
        validate.list_queues(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        arguments = ("ListQueues", namespace)
        after = name_before_page(request.page_token, arguments)
        size = validate.page_size(request.page_size, 50, 1000)
        views, last = await self._queues.list(namespace, after=after, limit=size)
        response = pb.ListQueuesResponse(queues=[convert.queue(view) for view in views])
        if last:
            response.next_page_token = encode_page_token([last], arguments)
        return response

    async def UpdateQueue(
        self, request: pb.UpdateQueueRequest, context: Any
    ) -> pb.UpdateQueueResponse:
        validate.update_queue(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        known, version = await self._queues.config(namespace, request.queue)
        if request.etag and request.etag != f"{version:x}":
            raise EtagMismatch(etag=request.etag)
        config = merged(known, request.config, request.update_mask.paths)
        # Held against the version that was read: two updates at once cannot undo each other.
        view = await self._queues.configure(
            namespace, request.queue, config.SerializeToString(), version=version
        )
        self._configs.forget(namespace, request.queue)
        return pb.UpdateQueueResponse(queue=convert.queue(view))

    async def PauseQueue(
        self, request: pb.PauseQueueRequest, context: Any
    ) -> pb.PauseQueueResponse:
        validate.pause_queue(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        view = await self._queues.pause(namespace, request.queue, request.reason)
        return pb.PauseQueueResponse(queue=convert.queue(view))

    async def ResumeQueue(
        self, request: pb.ResumeQueueRequest, context: Any
    ) -> pb.ResumeQueueResponse:
        validate.resume_queue(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        view = await self._queues.resume(namespace, request.queue)
        self._engine.polls.on_queue(namespace, request.queue)
        return pb.ResumeQueueResponse(queue=convert.queue(view))

    async def PurgeQueue(
        self, request: pb.PurgeQueueRequest, context: Any
    ) -> pb.PurgeQueueResponse:
        validate.purge_queue(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        return pb.PurgeQueueResponse(task_count=await self._queues.purge(namespace, request.queue))

    async def PeekQueue(self, request: pb.PeekQueueRequest, context: Any) -> pb.PeekQueueResponse:
        validate.peek_queue(request, self._limits)
        namespace = await self._engine.namespaces.resolve(request.namespace)
        limit = validate.page_size(request.limit, 10, 100)
        peek = await self._queues.peek(namespace, request.queue, limit)
        return pb.PeekQueueResponse(
            ready=[convert_task.task(record, payload=False) for record in peek.ready],
            scheduled=[convert_task.task(record, payload=False) for record in peek.scheduled],
            running=[convert_task.task(record, payload=False) for record in peek.running],
            dead=[convert_task.task(record, payload=False) for record in peek.dead],
        )
