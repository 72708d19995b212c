"""Who makes the call that is being served.

The edge sets it before it calls a service. Every call runs in a task of its own, so calls that
run side by side never see each other's.
"""

from contextvars import ContextVar

from penstock_server.model.access import ANONYMOUS, Principal

PRINCIPAL: ContextVar[Principal] = ContextVar("principal", default=ANONYMOUS)


def current_principal() -> Principal:
    """The principal of the call that is being served: the creator of what it submits."""
    return PRINCIPAL.get()
