"""Checks of requests about namespaces."""

from typing import Any, Final

from penstock.v1 import namespace_service_pb2 as pb
from penstock.v1.namespace_pb2 import Namespace
from penstock_server.service.validate import names
from penstock_server.service.validate.found import Found
from penstock_server.service.validate.limits import Limits
from penstock_server.service.validate.masks import UpdateRules
from penstock_server.service.validate.requests import check
from penstock_server.service.validate.rules import Check, MessageRules, anything, not_negative, text

_NAMESPACE: Final[dict[str, Check]] = {
    "namespace": names.NAMESPACE,
    "description": text(1_024),
    "labels": names.labels(),
    "create_time": anything,  # output only
    "update_time": anything,  # output only
    "etag": anything,
}

_create_namespace = MessageRules(
    pb.CreateNamespaceRequest,
    {"namespace": MessageRules(Namespace, _NAMESPACE, required=["namespace"])},
    required=["namespace"],
)
_get_namespace = MessageRules(
    pb.GetNamespaceRequest, {"namespace": names.NAMESPACE}, required=["namespace"]
)
_list_namespaces = MessageRules(
    pb.ListNamespacesRequest, {"page_size": not_negative, "page_token": anything}
)
_delete_namespace = MessageRules(
    pb.DeleteNamespaceRequest, {"namespace": names.NAMESPACE}, required=["namespace"]
)

_identity = MessageRules(
    Namespace,
    {**dict.fromkeys(_NAMESPACE, anything), "namespace": names.NAMESPACE, "etag": names.ETAG},
    required=["namespace"],
)
_update = UpdateRules(MessageRules(Namespace, _NAMESPACE), ["description", "labels"], whole=True)


def _masked_fields_fit(request: Any, prefix: str, found: Found) -> None:
    _update(request.namespace, "namespace", request.update_mask, found)


_update_namespace = MessageRules(
    pb.UpdateNamespaceRequest,
    {"namespace": _identity, "update_mask": anything},
    required=["namespace"],
    also=_masked_fields_fit,
)


def create_namespace(request: pb.CreateNamespaceRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_create_namespace, request, limits)


def get_namespace(request: pb.GetNamespaceRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_get_namespace, request, limits)


def list_namespaces(request: pb.ListNamespacesRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds. The page token is judged by who reads
    it."""
    check(_list_namespaces, request, limits)


def update_namespace(request: pb.UpdateNamespaceRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the mask, or a field that is taken, is out of bounds."""
    check(_update_namespace, request, limits)


def delete_namespace(request: pb.DeleteNamespaceRequest, limits: Limits) -> None:
    """Raises FieldInvalid if the request is out of bounds."""
    check(_delete_namespace, request, limits)
