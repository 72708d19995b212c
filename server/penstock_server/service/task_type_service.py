"""TaskTypeService: translate, call the engine, translate back."""

from typing import Any

from penstock.v1 import task_type_service_pb2 as pb
from penstock.v1 import task_type_service_pb2_grpc
from penstock.v1.task_type_pb2 import TaskTypeConfig
from penstock_server.engine.engine import Engine
from penstock_server.engine.task_types import TaskTypeConfigs
from penstock_server.model.errors import EtagMismatch
from penstock_server.service import validate
from penstock_server.service.convert import task_type as convert
from penstock_server.service.convert.masked import merged
from penstock_server.service.tokens import encode_page_token, name_before_page
from penstock_server.service.validate import Limits


class TaskTypeService(task_type_service_pb2_grpc.TaskTypeServiceServicer):
    """For operators."""

    def __init__(
        self, engine: Engine, configs: TaskTypeConfigs[TaskTypeConfig], limits: Limits
    ) -> None:
        self._namespaces = engine.namespaces
        self._types = engine.task_types
        self._configs = configs
        self._limits = limits

    async def CreateTaskType(
        self, request: pb.CreateTaskTypeRequest, context: Any
    ) -> pb.CreateTaskTypeResponse:
        validate.create_task_type(request, self._limits)
        namespace = await self._namespaces.resolve(request.namespace)
        config = request.config.SerializeToString()
        record = await self._types.create(namespace, request.task_type, config)
        self._configs.forget(namespace)
        return pb.CreateTaskTypeResponse(task_type=convert.task_type(record))

    async def GetTaskType(
        self, request: pb.GetTaskTypeRequest, context: Any
    ) -> pb.GetTaskTypeResponse:
        validate.get_task_type(request, self._limits)
        namespace = await self._namespaces.resolve(request.namespace)
        record = await self._types.get(namespace, request.task_type)
        return pb.GetTaskTypeResponse(task_type=convert.task_type(record))

    async def ListTaskTypes(
        self, request: pb.ListTaskTypesRequest, context: Any
    ) -> pb.ListTaskTypesResponse:
        validate.list_task_types(request, self._limits)
        namespace = await self._namespaces.resolve(request.namespace)
        arguments = ("ListTaskTypes", namespace)
        after = name_before_page(request.page_token, arguments)
        size = validate.page_size(request.page_size, 50, 1000)
        records, last = await self._types.list(namespace, after=after, limit=size)
        response = pb.ListTaskTypesResponse(task_types=map(convert.task_type, records))
        if last:
            response.next_page_token = encode_page_token([last], arguments)
        return response

    async def UpdateTaskType(
        self, request: pb.UpdateTaskTypeRequest, context: Any
    ) -> pb.UpdateTaskTypeResponse:
        validate.update_task_type(request, self._limits)
        namespace = await self._namespaces.resolve(request.namespace)
        known = await self._types.get(namespace, request.task_type)
        if request.etag and request.etag != f"{known.version:x}":
            raise EtagMismatch(etag=request.etag)
        config = merged(known.config, request.config, request.update_mask.paths)
        # Held against the version that was read: two updates at once cannot undo each other.
        record = await self._types.update(
            namespace, request.task_type, config.SerializeToString(), version=known.version
        )
        self._configs.forget(namespace)
        return pb.UpdateTaskTypeResponse(task_type=convert.task_type(record))

    async def DeleteTaskType(
        self, request: pb.DeleteTaskTypeRequest, context: Any
    ) -> pb.DeleteTaskTypeResponse:
        validate.delete_task_type(request, self._limits)
        namespace = await self._namespaces.resolve(request.namespace)
        await self._types.delete(namespace, request.task_type)
        self._configs.forget(namespace)
        return pb.DeleteTaskTypeResponse()
