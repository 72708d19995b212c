"""Who makes a call: the holder of an API key or of a client certificate, or nobody in particular.

A key outweighs a certificate: it is the more deliberate of the two. Where somebody has to say who
they are, a call without either is refused; where nobody has to, it is made by `anonymous`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Protocol

from penstock_server.model.access import ANONYMOUS, Principal, Role
from penstock_server.model.errors import Unauthenticated

_ALTERNATIVE_NAMES: Final = "x509_subject_alternative_name"


class KeyRing(Protocol):
    """What the engine knows about API keys."""

    @property
    def is_open(self) -> bool:
        """True if nobody needs a key."""

    async def principal_of(self, text: str | None) -> Principal:
        """Who calls with the key. Raises Unauthenticated and StoreUnavailable."""


class Call(Protocol):
    """The part of grpc.aio.ServicerContext that says who calls."""

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]] | None:
        """Metadata of the call."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What the transport knows about the peer."""


@dataclass(frozen=True, slots=True)
class CertificateRule:
    """Who the holder of a client certificate is. `*` in the name stands for any text."""

    name: str
    role: Role
    namespaces: frozenset[str] | None = None


class Authenticator:
    """Finds the principal of a call."""

    def __init__(
        self,
        keys: KeyRing,
        *,
        certificates: Sequence[CertificateRule] = (),
        certificate_required: bool = False,
    ) -> None:
        self._keys = keys
        self._rules = tuple(certificates)
        self._certificate_required = certificate_required

    def at_once(self) -> Principal | None:
        """The principal if it does not depend on the call: nobody has to say who they are."""
        if self._certificate_required or self._rules or not self._keys.is_open:
            return None
        return ANONYMOUS

    async def principal_of(self, call: Call) -> Principal:
        """Who makes the call. Raises Unauthenticated; StoreUnavailable before keys were read."""
        text = bearer_of(call.invocation_metadata() or ())
        if text is not None and not self._keys.is_open:
            return await self._keys.principal_of(text)
        holder = self._holder_of_certificate(call)
        if holder is not None:
            return holder
        if self._certificate_required:
            raise Unauthenticated(
                "the client certificate has no role here (setting security.certificates)"
            )
        return await self._keys.principal_of(text)

    def _holder_of_certificate(self, call: Call) -> Principal | None:
        if not self._rules:
            return None
        names = [name.decode() for name in call.auth_context().get(_ALTERNATIVE_NAMES, ())]
        for rule in self._rules:
            for name in names:
                if fnmatchcase(name, rule.name):
                    return Principal(f"certificate:{name}", rule.role, rule.namespaces)
        return None


def bearer_of(metadata: Iterable[tuple[str, str | bytes]]) -> str | None:
    """The key in `authorization: Bearer <key>`; None if there is none."""
    for name, value in metadata:
        if name == "authorization" and isinstance(value, str):
            scheme, _, key = value.partition(" ")
            return key.strip() if scheme.lower() == "bearer" else None
    return None
