"""TLS and mTLS from PEM files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penstock import Client
from penstock.errors import ServerUnavailable
from support.scripted_server import ScriptedServer, take


class Pair(NamedTuple):
    certificate: Path
    key: Path


def certify(folder: Path, name: str) -> Pair:
    """A certificate for 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pair


async def test_a_server_with_mtls_is_reached_with_the_right_files_only(tmp_path):
    ours, theirs = certify(tmp_path, "client"), certify(tmp_path, "server")
    credentials = grpc.ssl_server_credentials(
        [(theirs.key.read_bytes(), theirs.certificate.read_bytes())],
        root_certificates=ours.certificate.read_bytes(),
        require_client_auth=True,
    )
    async with ScriptedServer(credentials=credentials) as server:
        server.unary["SubmitTasks"] = take
        right = server.options(
            tls_ca=theirs.certificate,
            tls_cert=ours.certificate,
            tls_key=ours.key,
            api_key="pk_secret",
        )
        async with Client(right) as client:
            assert (await client.submit("t", b"1")).task_id == "id-t-1"

        for wrong in (
            server.options(tls_ca=theirs.certificate),
            server.options(tls_ca=ours.certificate, tls_cert=ours.certificate, tls_key=ours.key),
            server.options(),
        ):
            async with Client(wrong) as client:
                with pytest.raises(ServerUnavailable, match="PENSTOCK_TLS_CA"):
                    await client.submit("t", timeout=timedelta(milliseconds=500))

    assert server.metadata[0]["authorization"] == "Bearer pk_secret"
    assert len(server.requests) == 1
