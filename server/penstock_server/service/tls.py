"""TLS of the server: certificates that are read again for new connections when their files change.

A certificate can so be renewed without a restart. Files that cannot be read, or that do not belong
together (one of them was just being replaced), are left alone until they are right: what was
served before is served on.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from penstock_server.telemetry import events
from penstock_server.telemetry.logging import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """Which files TLS is made of, all PEM."""

    certificate: Path
    """Certificate chain of the server, its own first."""
    key: Path
    """Its private key."""
    client_authority: Path | None = None
    """Certificates that sign client certificates. None: clients have none."""
    client_certificate_required: bool = False
    """Refuse connections without a client certificate."""


class BadCertificate(Exception):
    """The files cannot be used for TLS; the text says which and why."""


def server_credentials(options: TlsOptions) -> grpc.ServerCredentials:
    """Credentials for a secure port. Raises BadCertificate."""
    certificates = _Certificates(options)
    make: Any = grpc.dynamic_ssl_server_credentials
    credentials: grpc.ServerCredentials = make(
        certificates.configuration,
        certificates.renewed,
        require_client_authentication=options.client_certificate_required,
    )
    return credentials


class _Certificates:
    """The files, as they were when they were last right."""

    def __init__(self, options: TlsOptions) -> None:
        self._options = options
        self._files = [
            path
            for path in (options.certificate, options.key, options.client_authority)
            if path is not None
        ]
        self._seen = self._stamps()
        self.configuration = self._read()

    def renewed(self) -> Any:
        """gRPC asks this before each handshake; None means that nothing has changed."""
        try:
            stamps = self._stamps()
            if stamps == self._seen:
                return None
            # Whatever comes of it, these very files are not read again.
            self._seen = stamps
            self.configuration = self._read()
        except (OSError, BadCertificate) as error:
            _log.error(events.CERTIFICATE_REJECTED, error=str(error))
            return None
        _log.info(events.CERTIFICATE_RELOADED, certificate=str(self._options.certificate))
        return self.configuration

    def _stamps(self) -> list[tuple[int, int, int]]:
        stats = [path.stat() for path in self._files]
        return [(stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats]

    def _read(self) -> Any:
        options = self._options
        _check_pair(options.certificate, options.key)
        authority = options.client_authority
        return grpc.ssl_server_certificate_configuration(
            [(options.key.read_bytes(), options.certificate.read_bytes())],
            root_certificates=None if authority is None else authority.read_bytes(),
        )


def _check_pair(certificate: Path, key: Path) -> None:
    # gRPC would take a key of another certificate without a word, and fail every handshake.
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise BadCertificate(
            f"{certificate} and {key} cannot be used together: {error}; give a PEM certificate and "
            "its own key, without a password"
        ) from error
