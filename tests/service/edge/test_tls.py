"""TLS and client certificates, with certificates made here."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock_server.service.tls import BadCertificate, TlsOptions, server_credentials
from support.server_process import ServerProcess, server_process

WITHIN = 20
NOW = datetime.now(UTC)


@dataclass
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem)
        return certificate, key


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def make(name: str, issuer: Pair | None = None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    if issuer is not None:
        names.append(x509.IPAddress(IPv4Address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(_key_usage(signs=issuer is None), critical=True)
        # Python 3.13 verifies strictly: it wants to know whose key signed.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(
                (key if issuer is None else issuer.key).public_key()
            ),
            critical=False,
        )
        .sign(key if issuer is None else issuer.key, hashes.SHA256())
    )
    return Pair(certificate, key)


@pytest.fixture
def authority() -> Pair:
    return make("authority.test")


def tls_flags(folder: Path, server: Pair) -> list[str]:
    certificate, key = server.write(folder, "server")
    return [
        *("--set", f"security.tls_cert={certificate}", "--set", f"security.tls_key={key}"),
    ]


def channel_to(server: ServerProcess, authority: Pair, client: Pair | None = None) -> Any:
    credentials = grpc.ssl_channel_credentials(
        authority.pem,
        None if client is None else client.key_pem,
        None if client is None else client.pem,
    )
    return grpc.aio.secure_channel(
        server.address, credentials, options=(("grpc.enable_http_proxy", 0),)
    )


async def check(channel: grpc.aio.Channel) -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=WITHIN)
    return int(answer.status)


async def test_calls_are_encrypted_and_plain_ones_refused(tmp_path: Path, authority: Pair) -> None:
    flags = tls_flags(tmp_path, make("server.test", authority))
    async with server_process(tmp_path, *flags) as server:
        async with channel_to(server, authority) as channel:
            assert await check(channel) == health_pb2.HealthCheckResponse.SERVING
        async with grpc.aio.insecure_channel(server.address) as plain:
            with pytest.raises(grpc.aio.AioRpcError):
                await check(plain)


async def test_a_client_certificate_gives_its_holder_a_role(
    tmp_path: Path, authority: Pair
) -> None:
    (tmp_path / "authority.pem").write_bytes(authority.pem)
    rules = "[{name: ops.test, role: admin}, {name: '*.workers.test', role: worker}]"
    flags = [
        *tls_flags(tmp_path, make("server.test", authority)),
        *("--set", f"security.tls_ca={tmp_path / 'authority.pem'}"),
        *("--set", "security.require_client_cert=true"),
        *("--set", f"security.certificates={rules}"),
    ]
    async with server_process(tmp_path, *flags) as server:
        codes = [
            await servers_code(server, authority, client)
            for client in (
                make("ops.test", authority),
                make("w1.workers.test", authority),
                make("stranger.test", authority),
            )
        ]
        async with channel_to(server, authority) as without:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await check(without)

    assert codes == ["OK", "PERMISSION_DENIED", "UNAUTHENTICATED"]
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE, "the handshake fails"


async def servers_code(server: ServerProcess, authority: Pair, client: Pair) -> str:
    async with channel_to(server, authority, client) as channel:
        stub: Any = channelz_pb2_grpc.ChannelzStub(channel)
        try:
            await stub.GetServers(channelz_pb2.GetServersRequest(), timeout=WITHIN)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


async def test_a_renewed_certificate_is_served_to_new_connections(
    tmp_path: Path, authority: Pair
) -> None:
    first, second = make("server.test", authority), make("server.test", authority)
    flags = tls_flags(tmp_path, first)
    async with server_process(tmp_path, *flags) as server:
        assert await serial_of(server, authority) == first.certificate.serial_number

        (tmp_path / "server.pem").write_bytes(second.pem)
        half_way = await serial_of(server, authority)
        (tmp_path / "server.key").write_bytes(second.key_pem)
        renewed = await serial_of(server, authority)

        assert half_way == first.certificate.serial_number, "a pair that does not fit is not served"
        assert renewed == second.certificate.serial_number
        assert "certificate.reloaded" in server.log.read_text()


async def serial_of(server: ServerProcess, authority: Pair) -> int:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.set_alpn_protocols(["h2"])
    host, _, port = server.address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    sock: ssl.SSLObject = writer.get_extra_info("ssl_object")
    data = sock.getpeercert(binary_form=True)
    writer.close()
    assert data is not None
    return x509.load_der_x509_certificate(data).serial_number


def test_files_that_do_not_belong_together_are_refused_at_the_start(
    tmp_path: Path, authority: Pair
) -> None:
    certificate, _ = make("a.test", authority).write(tmp_path, "a")
    _, key = make("b.test", authority).write(tmp_path, "b")

    with pytest.raises(BadCertificate, match="cannot be used together"):
        server_credentials(TlsOptions(certificate=certificate, key=key))
