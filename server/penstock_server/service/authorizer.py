"""Decides whether a principal may make a call, before anything is looked up.

Permission comes before existence: who may not see a namespace learns nothing about what is in it.
"""

from typing import Protocol

from penstock_server.model.access import Principal, Role
from penstock_server.model.errors import PermissionDenied
from penstock_server.service.roles import WHOLE_SERVER


class Authorizer(Protocol):
    """Something that decides about calls. Other policies can take the place of the roles."""

    def check(
        self, principal: Principal, method: str, allowed: frozenset[Role], namespace: str | None
    ) -> None:
        """Raises PermissionDenied if `principal` may not call `method` in `namespace`.

        `namespace` is None for calls that are about no single namespace.
        """


class RoleAuthorizer:
    """Goes by the principal's role and namespaces."""

    def check(
        self, principal: Principal, method: str, allowed: frozenset[Role], namespace: str | None
    ) -> None:
        """As `Authorizer.check`."""
        if principal.role in allowed and _may_enter(principal, method, namespace):
            return
        raise PermissionDenied(
            principal=principal.name,
            role=principal.role.value,
            method=method.rpartition("/")[2],
            namespace=namespace or "(any)",
        )


def _may_enter(principal: Principal, method: str, namespace: str | None) -> bool:
    if namespace is not None:
        return principal.may_enter(namespace)
    return principal.namespaces is None or method not in WHOLE_SERVER
