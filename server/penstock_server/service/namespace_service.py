"""NamespaceService: translate, call the engine, translate back."""

from typing import Any

from penstock.v1 import namespace_service_pb2 as pb
from penstock.v1 import namespace_service_pb2_grpc
from penstock_server.engine.namespaces import Namespaces
from penstock_server.model.errors import EtagMismatch
from penstock_server.service import validate
from penstock_server.service.convert import queue as convert
from penstock_server.service.principal import current_principal
from penstock_server.service.tokens import encode_page_token, name_before_page
from penstock_server.service.validate import Limits

_ARGUMENTS = ("ListNamespaces",)


class NamespaceService(namespace_service_pb2_grpc.NamespaceServiceServicer):
    """For administrators."""

    def __init__(self, namespaces: Namespaces, limits: Limits) -> None:
        self._namespaces = namespaces
        self._limits = limits

    async def CreateNamespace(
        self, request: pb.CreateNamespaceRequest, context: Any
    ) -> pb.CreateNamespaceResponse:
        validate.create_namespace(request, self._limits)
        given = request.namespace
        record = await self._namespaces.create(given.namespace, convert.namespace_data(given))
        return pb.CreateNamespaceResponse(namespace=convert.namespace(record))

    async def GetNamespace(
        self, request: pb.GetNamespaceRequest, context: Any
    ) -> pb.GetNamespaceResponse:
        validate.get_namespace(request, self._limits)
        record = await self._namespaces.get(request.namespace)
        return pb.GetNamespaceResponse(namespace=convert.namespace(record))

    async def ListNamespaces(
        self, request: pb.ListNamespacesRequest, context: Any
    ) -> pb.ListNamespacesResponse:
        validate.list_namespaces(request, self._limits)
        after = name_before_page(request.page_token, _ARGUMENTS)
        size = validate.page_size(request.page_size, 50, 1000)
        principal = current_principal()
        records = [
            record
            for record in await self._namespaces.list()
            if record.namespace > after and principal.may_enter(record.namespace)
        ]
        response = pb.ListNamespacesResponse(
            namespaces=[convert.namespace(record) for record in records[:size]]
        )
        if len(records) > size:
            response.next_page_token = encode_page_token([records[size - 1].namespace], _ARGUMENTS)
        return response

    async def UpdateNamespace(
        self, request: pb.UpdateNamespaceRequest, context: Any
    ) -> pb.UpdateNamespaceResponse:
        validate.update_namespace(request, self._limits)
        given = request.namespace
        record = await self._namespaces.get(given.namespace)
        if given.etag and given.etag != f"{record.version:x}":
            raise EtagMismatch(etag=given.etag)
        data = convert.merged_namespace(record.data, given, request.update_mask.paths)
        changed = await self._namespaces.update(record, data, version=record.version)
        return pb.UpdateNamespaceResponse(namespace=convert.namespace(changed))

    async def DeleteNamespace(
        self, request: pb.DeleteNamespaceRequest, context: Any
    ) -> pb.DeleteNamespaceResponse:
        validate.delete_namespace(request, self._limits)
        await self._namespaces.delete(request.namespace)
        return pb.DeleteNamespaceResponse()
