"""How a client reaches its server: address, namespace, credentials, times.

Everything has a default, so `ClientOptions()` reaches a server on this machine. Secrets never
appear in a repr.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self

DEFAULT_ADDRESS: Final = "127.0.0.1:7700"
DEFAULT_PORT: Final = 7700
_TLS_SCHEMES: Final = ("https://", "grpcs://")
_PLAIN_SCHEMES: Final = ("http://", "grpc://")
_TRUE: Final = ("1", "true", "yes", "on")


@dataclass(frozen=True, kw_only=True)
class BackoffOptions:
    """Waits between repeats: drawn from 0 to `initial` × `multiplier`ⁿ, at most `longest`."""

    initial: timedelta = timedelta(milliseconds=100)
    longest: timedelta = timedelta(seconds=5)
    multiplier: float = 2.0

    def __post_init__(self) -> None:
        if not timedelta(0) < self.initial <= self.longest:
            raise ValueError("backoff: 0 < initial <= longest must hold")
        if self.multiplier < 1.0:
            raise ValueError("backoff: multiplier must be at least 1.0")


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """How a client reaches its server. Frozen; `dataclasses.replace` makes a changed one."""

    address: str = DEFAULT_ADDRESS
    """`host:port` (port 7700 if none is given), `unix:/path`; with `https://` before it for TLS."""
    namespace: str = "default"
    """Namespace of every call."""
    api_key: str | None = field(default=None, repr=False)
    """Sent as `authorization: Bearer <key>`. Refused on a plain connection to another machine."""
    plaintext_key: bool = False
    """Allows the API key on a plain connection to another machine: who is between can read it."""
    tls_ca: Path | None = None
    """PEM file of the authorities to trust; switches TLS on. Default with TLS: gRPC's own list."""
    tls_cert: Path | None = None
    """PEM file of the client's certificate chain, for mTLS."""
    tls_key: Path | None = None
    """PEM file of the client's private key, for mTLS."""
    timeout: timedelta = timedelta(seconds=30)
    """Overall time of a call, repeats included, unless the call says otherwise."""
    stream_patience: timedelta = timedelta(minutes=5)
    """How long a watch, a log tail or a wait goes on without any answer before it gives up."""
    backoff: BackoffOptions = BackoffOptions()
    """Waits between repeats."""
    submit_flights: int = 3
    """SubmitTasks calls under way at a time, for `submit` and for `submit_many` each. 1 to 16."""
    max_message_bytes: int = 64 * 1024 * 1024
    """Largest message that the client sends or takes. A server may take less."""

    def __post_init__(self) -> None:
        if not self.address or not self.namespace:
            raise ValueError("address and namespace must not be empty")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError(
                "mTLS needs both tls_cert and tls_key (PENSTOCK_TLS_CERT, PENSTOCK_TLS_KEY)"
            )
        if self.tls_cert is not None and not self.tls:
            raise ValueError(
                "tls_cert is set but TLS is off: set tls_ca or use an https:// address"
            )
        if not 1 <= self.submit_flights <= 16:
            raise ValueError("submit_flights must be 1 to 16")
        if self.timeout <= timedelta(0) or self.stream_patience <= timedelta(0):
            raise ValueError("timeout and stream_patience must be positive")
        self._check_key_is_safe()

    def _check_key_is_safe(self) -> None:
        if self.api_key and not (self.tls or self.loopback or self.plaintext_key):
            raise ValueError(
                f"an API key would travel in the clear to {self.target}: use TLS (PENSTOCK_TLS_CA "
                "or an https:// address), or allow it with plaintext_key (PENSTOCK_PLAINTEXT_KEY=1)"
            )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **changes: Any) -> Self:
        """Options from PENSTOCK_ADDRESS, _NAMESPACE, _API_KEY, _TLS_CA, _TLS_CERT, _TLS_KEY and
        _PLAINTEXT_KEY; empty variables count as unset. `changes` go before the environment.
        """
        env = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for name in ("address", "namespace", "api_key"):
            if value := env.get(f"PENSTOCK_{name.upper()}"):
                values[name] = value
        for name in ("tls_ca", "tls_cert", "tls_key"):
            if value := env.get(f"PENSTOCK_{name.upper()}"):
                values[name] = Path(value)
        if value := env.get("PENSTOCK_PLAINTEXT_KEY"):
            values["plaintext_key"] = value.lower() in _TRUE
        return cls(**(values | changes))

    def with_namespace(self, namespace: str) -> ClientOptions:
        """The same options for another namespace."""
        return replace(self, namespace=namespace)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.tls_ca is not None or self.address.startswith(_TLS_SCHEMES)

    @property
    def target(self) -> str:
        """The address as gRPC wants it: without scheme, with a port."""
        address = self.address
        for scheme in (*_TLS_SCHEMES, *_PLAIN_SCHEMES):
            address = address.removeprefix(scheme)
        address = address.rstrip("/")
        if address.startswith(("unix:", "dns:", "ipv4:", "ipv6:")):
            return address
        _, colon, port = address.rpartition(":")
        return address if colon and port.isdigit() else f"{address}:{DEFAULT_PORT}"

    @property
    def loopback(self) -> bool:
        """Whether the server is on this machine: then no proxy is asked and nothing leaves it."""
        return self.target.startswith("unix:") or _is_loopback(self.target.rpartition(":")[0])


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine. Names other than `localhost` are not: they may change."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
