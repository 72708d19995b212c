"""What every call passes on its way to a service: errors, credentials, roles, bounds, numbers.

The parts are small and know nothing of each other; `Edge` joins them. They are not a chain of
grpc.aio interceptors: such a chain costs a coroutine and a lookup per part and call, while the edge
wraps each handler once, when its service is registered.
"""

from penstock_server.service.interceptors.admission import Admission, AdmissionLimits
from penstock_server.service.interceptors.authentication import Authenticator, CertificateRule
from penstock_server.service.interceptors.edge import Edge, EdgeParts
from penstock_server.service.interceptors.methods import CallTimes
from penstock_server.service.interceptors.registry import Registry

__all__ = [
    "Admission",
    "AdmissionLimits",
    "Authenticator",
    "CallTimes",
    "CertificateRule",
    "Edge",
    "EdgeParts",
    "Registry",
]
